"""A function as the engine needs it to run: one version, with its code and limits resolved.

Pure data. The control plane's own record of a function (everything the API stores and echoes) is
``registry``'s business; this is what comes out of it for an invocation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rie_server.model.arn import FunctionArn
from rie_server.model.durable_config import DurableConfig
from rie_server.model.log_settings import LogSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """Overrides of a container image's own settings (CreateFunction ``ImageConfig``); None keeps the image's."""

    entry_point: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    working_directory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersion:
    """One runnable version of a function.

    Attributes:
        arn: unqualified ARN of the function.
        version: ``$LATEST`` or a number.
        deployment_id: changes with every update of code or configuration. An environment that was started for another
            deployment is stale and serves nobody any more.
        runtime: ``python3.12``, ``provided.al2023``, ...; None for images.
        variables: the function's own ``Environment.Variables``.
        code_directory: the unpacked zip, read-only; None for images.
        layers_directory: what its layers make when each lies over those before it: a folder to be seen at ``/opt``,
            read-only; None without layers.
        image_uri: None for zip packages.
        log_group: where AWS would write (``LoggingConfig.LogGroup`` or ``/aws/lambda/NAME``).
        durable: None for all but durable functions.
        log_settings: the format of its log, and levels.
        is_traced: ``TracingConfig`` is ``Active``.
        snap_start: its environments are told that they have been restored once they are initialized.
        max_concurrency: how many invocations run in an environment at a time; None for one, as usual.
        tenant_isolated: an environment serves invocations of one tenant alone.
    """

    arn: FunctionArn
    version: str
    deployment_id: str
    runtime: str | None
    handler: str | None
    timeout_seconds: int
    memory_size_mb: int
    ephemeral_storage_mb: int
    architecture: str
    variables: Mapping[str, str]
    code_directory: Path | None
    image_uri: str | None
    image_config: ImageConfig
    log_group: str
    role: str
    durable: DurableConfig | None = None
    log_settings: LogSettings = field(default_factory=LogSettings)
    is_traced: bool = False
    snap_start: bool = False
    tenant_isolated: bool = False
    max_concurrency: int | None = None
    layers_directory: Path | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Identity of the pool that serves this version: ARN and version."""
        return str(self.arn), self.version
