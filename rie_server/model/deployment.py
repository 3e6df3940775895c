"""What must be done so that a function is as its template says: a decision, which ``registry.deployment`` carries out.

Pure. What is wanted is compared with what is there, not with what was deployed last, so that a function which was
changed by hand is as its template says again after a restart.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rie_server.model.arn import LATEST
from rie_server.model.event_invoke_rules import changed_settings
from rie_server.model.function_record import CodeReference, FunctionRecord
from rie_server.model.template_invoke import TemplateInvocation

_CLEARED: Mapping[str, Any] = {
    "DeadLetterConfig": {"TargetArn": ""},
    "Environment": {"Variables": {}},
    "FileSystemConfigs": [],
    "ImageConfig": {},
    "KMSKeyArn": "",
    "Layers": [],
    "VpcConfig": {},
}
"""How UpdateFunctionConfiguration is told that a member is to go."""

_CODE_MEMBERS = frozenset({"Architectures"})
"""Members of the configuration that only UpdateFunctionCode changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """The function is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace:
    """It is there as the other kind of package, or durable where it is not to be: no update can change that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """It is there, and this much of it differs: nothing, its code, or members of UpdateFunctionConfiguration."""

    code: bool
    configuration: Mapping[str, Any]


Plan = Create | Replace | Update


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsUpdate:
    """What differs in the settings of a function's invocation.

    Attributes:
        concurrency: its reservation.
        event_invoke: retries, age and destinations of its events.
        qualified: of which versions and aliases that differs, too.
    """

    concurrency: bool
    event_invoke: bool
    qualified: tuple[str, ...]

    @property
    def is_any(self) -> bool:
        return self.concurrency or self.event_invoke or bool(self.qualified)


def plan(
    existing: FunctionRecord | None, *, package_type: str, configuration: Mapping[str, Any], code: CodeReference
) -> Plan:
    """What turns ``existing`` into a function with this complete ``configuration`` and ``code``."""
    if existing is None:
        return Create()
    present = existing.current.configuration
    if existing.current.code.package_type != package_type:
        return Replace()
    if ("DurableConfig" in configuration) != ("DurableConfig" in present):
        return Replace()
    return Update(
        code=_is_other_code(code, existing.current.code)
        or any(configuration.get(name) != present.get(name) for name in _CODE_MEMBERS),
        configuration=_changes(configuration, present),
    )


def plan_settings(existing: FunctionRecord, wanted: TemplateInvocation) -> SettingsUpdate:
    """What turns the settings of ``existing`` into these; those of versions and aliases that the template does not name
    are none of its own.
    """
    return SettingsUpdate(
        concurrency=existing.reserved_concurrency != wanted.reserved_concurrency,
        event_invoke=_differs(existing, LATEST, wanted.event_invoke),
        qualified=tuple(name for name, members in wanted.qualified.items() if _differs(existing, name, members)),
    )


def _differs(existing: FunctionRecord, qualifier: str, wanted: Mapping[str, Any]) -> bool:
    present = existing.event_invoke_settings.get(qualifier)
    # When something was set does not matter here.
    at = 0.0 if present is None else present.last_modified
    return present != (changed_settings(None, wanted, at=at) if wanted else None)


def code_sha256(zip_bytes: bytes) -> str:
    """A zip's ``CodeSha256``."""
    return base64.b64encode(hashlib.sha256(zip_bytes).digest()).decode()


def _is_other_code(wanted: CodeReference, present: CodeReference) -> bool:
    return wanted.image_uri != present.image_uri or (wanted.image_uri is None and wanted.sha256 != present.sha256)


def _changes(wanted: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    changes = {
        name: value
        for name, value in wanted.items()
        if name not in _CODE_MEMBERS and value != present.get(name, _CLEARED.get(name))
    }
    gone = (name for name in present if name not in wanted and name in _CLEARED)
    return changes | {name: _CLEARED[name] for name in gone if present[name] != _CLEARED[name]}
