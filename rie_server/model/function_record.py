"""The control plane's record of a function: everything the API stores, echoes and runs, and where its life stands.

Pure data, with a way out of it: a FunctionVersion for the engine. The other one, a document for the store, is in
``function_document``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from rie_server.model.alias import Alias
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.durable_config import durable_config
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.event_invoke_rules import EventInvokeSettings
from rie_server.model.function import FunctionVersion, ImageConfig
from rie_server.model.function_url import FunctionUrl
from rie_server.model.layer import LayerReference, merged_digest
from rie_server.model.log_settings import LogSettings
from rie_server.model.managed_instances import max_concurrency
from rie_server.model.recursion import RecursiveLoop
from rie_server.model.resource_policy import ResourcePolicy
from rie_server.model.snap_start import is_on


class State(StrEnum):
    PENDING = "Pending"
    ACTIVE = "Active"
    FAILED = "Failed"


class UpdateStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReference:
    """Which code a deployment runs.

    Attributes:
        sha256: as ``CodeSha256``: base64 of a zip's digest, hex digits of an image's; empty until the image is there.
        image_digest: ``sha256:...``, known once the image has been prepared.
        unzipped_bytes: 0 for images, and for zips of releases that did not note it.
    """

    package_type: str
    sha256: str
    size_bytes: int
    image_uri: str | None = None
    image_digest: str | None = None
    unzipped_bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One code with one configuration.

    Attributes:
        configuration: has the API's own member names, defaults filled in.
        layers: what its ``Layers`` were when they were set; their versions may have been deleted since.
    """

    deployment_id: str
    configuration: Mapping[str, Any]
    code: CodeReference
    layers: tuple[LayerReference, ...] = ()

    @property
    def layer_digests(self) -> tuple[str, ...]:
        return tuple(layer.sha256 for layer in self.layers)

    def code_digests(self) -> frozenset[str]:
        """What it needs of the code store: its zip, those of its layers, and what these make together."""
        own = (self.code.sha256,) if self.code.package_type == "Zip" else ()
        layers = self.layer_digests
        return frozenset((*own, *layers, *((merged_digest(layers),) if layers else ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeCycle:
    """``State`` and ``LastUpdateStatus`` with their reasons, as GetFunction shows them."""

    state: State
    state_reason: str | None = None
    state_reason_code: str | None = None
    update_status: UpdateStatus | None = None
    update_reason: str | None = None
    update_reason_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedVersion:
    """A version with a number: what ``$LATEST`` was when it was published.

    Attributes:
        deployment: under an id of its own, because its environments live on when ``$LATEST`` changes.
        latest_description: ``$LATEST``'s own, where the version was given another one.
    """

    version: str
    deployment: Deployment
    life: LifeCycle
    revision_id: str
    last_modified: str
    latest_description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedConcurrency:
    """How many environments stand ready for a version or an alias, and since when (``LastModified``)."""

    executions: int
    last_modified: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRecord:
    """A function as it stands.

    Attributes:
        arn: unqualified.
        current: what the API shows, and what will run once it is ready.
        serving: what invocations run now; the former deployment while an update is in progress, None until the
            function has been active once.
        last_modified: ``2026-01-01T00:00:00.000+0000``.
        event_invoke_settings: by qualifier.
        reserved_concurrency: executions kept for this function, and its most at a time; None when nothing is reserved.
        provisioned: provisioned concurrency by qualifier.
        version: which version ``current``, ``serving`` and ``life`` are about; see ``at``.
        versions: the published ones by number, in the order of their numbers.
        aliases: by name.
        last_version: the number that was given last, also by an earlier function of this name; none is given twice.
        gone_configs: what held last for the events of versions and aliases that were deleted since.
        policies: resource policies by qualifier; the function's own is under the empty text.
        stored_settings: what is shown again and has no effect here: by the setting's name, then by qualifier, the
            function's own under the empty text.
        urls: function URLs by alias; the function's own is under the empty text.
    """

    arn: FunctionArn
    current: Deployment
    serving: Deployment | None
    life: LifeCycle
    tags: Mapping[str, str]
    revision_id: str
    last_modified: str
    event_invoke_settings: Mapping[str, EventInvokeSettings] = field(default_factory=dict)
    reserved_concurrency: int | None = None
    provisioned: Mapping[str, ProvisionedConcurrency] = field(default_factory=dict)
    recursive_loop: RecursiveLoop = RecursiveLoop.TERMINATE
    version: str = LATEST
    versions: Mapping[str, PublishedVersion] = field(default_factory=dict)
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    last_version: int = 0
    gone_configs: Mapping[str, EventInvokeConfig] = field(default_factory=dict)
    policies: Mapping[str, ResourcePolicy] = field(default_factory=dict)
    stored_settings: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    urls: Mapping[str, FunctionUrl] = field(default_factory=dict)

    def version_of(self, qualifier: str | None) -> str | None:
        """The version that a qualifier means, of an alias the first one; None where there is no such qualifier."""
        if qualifier is None or qualifier == LATEST:
            return LATEST
        if qualifier in self.versions:
            return qualifier
        alias = self.aliases.get(qualifier)
        return None if alias is None else alias.version

    def at(self, version: str) -> "FunctionRecord":
        """The function as this version of it: what belongs to a deployment is the version's, all else the function's.

        To be looked at, not to be saved.
        """
        if version == LATEST:
            return self
        published = self.versions[version]
        return replace(
            self,
            current=published.deployment,
            serving=published.deployment if published.life.state is State.ACTIVE else None,
            life=published.life,
            revision_id=published.revision_id,
            last_modified=published.last_modified,
            version=version,
        )

    @property
    def provisioned_total(self) -> int:
        """Executions that are provisioned for all versions and aliases together."""
        return sum(one.executions for one in self.provisioned.values())

    @property
    def held_concurrency(self) -> int:
        """Executions of the account that are this function's alone: reserved, or else provisioned."""
        return self.provisioned_total if self.reserved_concurrency is None else self.reserved_concurrency

    def stored_setting(self, name: str, qualifier: str = "") -> Mapping[str, Any] | None:
        return self.stored_settings.get(name, {}).get(qualifier)

    def with_stored_setting(self, name: str, qualifier: str, value: Mapping[str, Any] | None) -> "FunctionRecord":
        """``self`` with a setting that is shown and has no effect; None takes it away."""
        kept = {key: one for key, one in self.stored_settings.get(name, {}).items() if key != qualifier}
        changed = kept if value is None else {**kept, qualifier: value}
        return replace(self, stored_settings={**self.stored_settings, name: changed})

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """What the function needs now, ``$LATEST``'s first."""
        former = () if self.serving is None else (self.serving,)
        return (self.current, *former, *(one.deployment for one in self.versions.values()))

    @property
    def code_bytes(self) -> int:
        """What counts as its code storage: that of every version, as AWS counts."""
        own = (self.current, *(one.deployment for one in self.versions.values()))
        return sum(deployment.code.size_bytes for deployment in own)

    def code_digests(self) -> frozenset[str]:
        """Everything in the code store that this function still needs."""
        return frozenset().union(*(one.code_digests() for one in self.deployments))


def runnable(
    arn: FunctionArn,
    deployment: Deployment,
    code_directory: Path | None,
    version: str = LATEST,
    *,
    layers_directory: Path | None = None,
) -> FunctionVersion:
    """What the engine runs for ``deployment``."""
    configuration, code = deployment.configuration, deployment.code
    image = configuration.get("ImageConfig", {})
    return FunctionVersion(
        arn=arn,
        version=version,
        deployment_id=deployment.deployment_id,
        runtime=configuration.get("Runtime"),
        handler=configuration.get("Handler"),
        timeout_seconds=configuration["Timeout"],
        memory_size_mb=configuration["MemorySize"],
        ephemeral_storage_mb=configuration["EphemeralStorage"]["Size"],
        architecture=configuration["Architectures"][0],
        variables=configuration.get("Environment", {}).get("Variables", {}),
        code_directory=code_directory,
        layers_directory=layers_directory,
        image_uri=code.image_uri,
        image_config=ImageConfig(
            entry_point=_words(image.get("EntryPoint")),
            command=_words(image.get("Command")),
            working_directory=image.get("WorkingDirectory") or None,
        ),
        log_group=configuration["LoggingConfig"]["LogGroup"],
        role=configuration["Role"],
        log_settings=LogSettings.of(configuration["LoggingConfig"]),
        is_traced=configuration.get("TracingConfig", {}).get("Mode") == "Active",
        snap_start=is_on(configuration, version),
        max_concurrency=max_concurrency(configuration),
        tenant_isolated=bool(configuration.get("TenancyConfig")),
        durable=durable_config(configuration),
    )


def _words(value: list[str] | None) -> tuple[str, ...] | None:
    """An empty list overrides nothing, as in AWS."""
    return tuple(value) if value else None
