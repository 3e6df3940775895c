"""The control plane's record of a function: everything the API stores, echoes and runs, and where its life stands.

Pure data, with the two ways out of it: a JSON document for the store, and a FunctionVersion for the engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.event_invoke_rules import EventInvokeSettings
from rie_server.model.function import FunctionVersion, ImageConfig
from rie_server.model.log_settings import LogSettings
from rie_server.model.recursion import RecursiveLoop

_DOCUMENT_FORMAT = 1


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
    """

    package_type: str
    sha256: str
    size_bytes: int
    image_uri: str | None = None
    image_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One code with one configuration. ``configuration`` has the API's own member names, defaults filled in."""

    deployment_id: str
    configuration: Mapping[str, Any]
    code: CodeReference


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
    recursive_loop: RecursiveLoop = RecursiveLoop.TERMINATE

    def code_digests(self) -> frozenset[str]:
        """Every zip in the code store that this function still needs."""
        deployments = (self.current, self.serving)
        return frozenset(one.code.sha256 for one in deployments if one is not None and one.code.package_type == "Zip")


def to_document(record: FunctionRecord) -> dict[str, Any]:
    """What the store keeps."""
    return {
        "format": _DOCUMENT_FORMAT,
        "arn": _flat(record.arn),
        "current": _deployment_document(record.current),
        "serving": None if record.serving is None else _deployment_document(record.serving),
        "life": _flat(record.life),
        "tags": dict(record.tags),
        "revision_id": record.revision_id,
        "last_modified": record.last_modified,
        "event_invoke_settings": {
            qualifier: _flat(settings) for qualifier, settings in record.event_invoke_settings.items()
        },
        "reserved_concurrency": record.reserved_concurrency,
        "recursive_loop": record.recursive_loop,
    }


def from_document(document: Mapping[str, Any]) -> FunctionRecord:
    """The record that ``to_document`` wrote. Documents of earlier releases lack what could not be set then."""
    life = document["life"]
    status = life["update_status"]
    return FunctionRecord(
        arn=FunctionArn(**document["arn"]),
        current=_deployment(document["current"]),
        serving=None if document["serving"] is None else _deployment(document["serving"]),
        life=LifeCycle(
            **{
                **life,
                "state": State(life["state"]),
                "update_status": None if status is None else UpdateStatus(status),
            }
        ),
        tags=document["tags"],
        revision_id=document["revision_id"],
        last_modified=document["last_modified"],
        event_invoke_settings={
            qualifier: EventInvokeSettings(**settings)
            for qualifier, settings in document.get("event_invoke_settings", {}).items()
        },
        reserved_concurrency=document.get("reserved_concurrency"),
        recursive_loop=RecursiveLoop(document.get("recursive_loop", RecursiveLoop.TERMINATE)),
    )


def runnable(arn: FunctionArn, deployment: Deployment, code_directory: Path | None) -> FunctionVersion:
    """What the engine runs for ``deployment``."""
    configuration, code = deployment.configuration, deployment.code
    image = configuration.get("ImageConfig", {})
    return FunctionVersion(
        arn=arn,
        version=LATEST,
        deployment_id=deployment.deployment_id,
        runtime=configuration.get("Runtime"),
        handler=configuration.get("Handler"),
        timeout_seconds=configuration["Timeout"],
        memory_size_mb=configuration["MemorySize"],
        ephemeral_storage_mb=configuration["EphemeralStorage"]["Size"],
        architecture=configuration["Architectures"][0],
        variables=configuration.get("Environment", {}).get("Variables", {}),
        code_directory=code_directory,
        image_uri=code.image_uri,
        image_config=ImageConfig(
            entry_point=_words(image.get("EntryPoint")),
            command=_words(image.get("Command")),
            working_directory=image.get("WorkingDirectory") or None,
        ),
        log_group=configuration["LoggingConfig"]["LogGroup"],
        role=configuration["Role"],
        log_settings=LogSettings.of(configuration["LoggingConfig"]),
    )


def _words(value: list[str] | None) -> tuple[str, ...] | None:
    """An empty list overrides nothing, as in AWS."""
    return tuple(value) if value else None


def _deployment_document(deployment: Deployment) -> dict[str, Any]:
    return {
        "deployment_id": deployment.deployment_id,
        "configuration": dict(deployment.configuration),
        "code": _flat(deployment.code),
    }


def _deployment(document: Mapping[str, Any]) -> Deployment:
    return Deployment(
        deployment_id=document["deployment_id"],
        configuration=document["configuration"],
        code=CodeReference(**document["code"]),
    )


def _flat(data: Any) -> dict[str, Any]:
    return {field.name: getattr(data, field.name) for field in fields(data)}
