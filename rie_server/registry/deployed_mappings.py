"""Makes the event source mappings of a template when the server starts.

Idempotent: a mapping of the same function to the same source is left alone where nothing differs, and updated where
something does; mappings that the template does not name stay. A mistake in the template stops the start; a source that
does not answer, or a name that cannot be known here, does not: the mapping is skipped, with the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from rie_server.errors import ConfigurationError, LambdaError
from rie_server.model.event_source import EventSourceMapping
from rie_server.model.event_source_rules import CREATE_ONLY, duplicate_of, mapped_function, new_settings
from rie_server.model.mapping_life_cycle import created
from rie_server.model.template_mappings import TemplateMapping, template_mappings

# From the members of a request as JSON has them to those that AWS's service model allows.
Checked = Callable[[Mapping[str, Any]], Mapping[str, Any]]

# How an update takes away what a template does not name any more.
_NOTHING: Final[Mapping[str, Any]] = {"KMSKeyArn": "", "SourceAccessConfigurations": []}


class MappingControl(Protocol):
    """The part of ``pollers.mappings.EventSourceMappings`` that a deployment needs."""

    def list(self, *, region: str, account: str) -> Sequence[EventSourceMapping]: ...
    def create(self, members: Mapping[str, Any], *, region: str, account: str) -> EventSourceMapping: ...
    def update(self, uuid: str, members: Mapping[str, Any], *, region: str, account: str) -> EventSourceMapping: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedMapping:
    """What became of one mapping of the template.

    Attributes:
        action: ``created``, ``updated``, ``unchanged`` or ``skipped``.
        reason: why it was skipped.
    """

    name: str
    action: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.action}" + ("" if self.reason is None else f": {self.reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMapping:
    """A mapping of the template, checked.

    Attributes:
        obstacle: why it will be skipped; then there are no members.
    """

    name: str
    members: Mapping[str, Any]
    obstacle: str | None = None


def read_mappings(path: Path, *, checked: Checked, region: str, account_id: str, now: float) -> Sequence[WantedMapping]:
    """The mappings of the template at ``path``.

    Args:
        now: seconds since the epoch.

    Raises:
        ConfigurationError: one line about what is wrong with the template.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigurationError(f"{path} cannot be read: {unreadable}.") from None
    found = template_mappings(text, path=path, region=region, account_id=account_id)
    return [_checked(one, path, checked, now) for one in found]


def deploy_mappings(
    wanted: Sequence[WantedMapping], *, control: MappingControl, region: str, account_id: str, now: float
) -> Sequence[DeployedMapping]:
    """Makes the server's mappings what ``wanted`` says, once its functions are there; one result each."""
    return [_deploy(one, control, region, account_id, now) for one in wanted]


def _checked(found: TemplateMapping, path: Path, checked: Checked, now: float) -> WantedMapping:
    if found.obstacle is not None:
        return WantedMapping(name=found.name, members={}, obstacle=found.obstacle)
    try:
        members = checked(found.members)
        new_settings(members, uuid="", now=now)
    except LambdaError as wrong:
        raise ConfigurationError(f"{path}: {found.name}: {wrong.message.rstrip('.')}.") from None
    return WantedMapping(name=found.name, members=members)


def _deploy(wanted: WantedMapping, control: MappingControl, region: str, account: str, now: float) -> DeployedMapping:
    if wanted.obstacle is not None:
        return DeployedMapping(name=wanted.name, action="skipped", reason=wanted.obstacle)
    try:
        existing = _existing(wanted, control, region, account, now)
        if existing is None:
            control.create(wanted.members, region=region, account=account)
            return DeployedMapping(name=wanted.name, action="created")
        changes = _changes(wanted, existing, now)
        fixed = sorted(changes.keys() & CREATE_ONLY)
        if fixed:
            reason = f"{', '.join(fixed)} cannot be changed; delete the mapping {existing.uuid} first"
            return DeployedMapping(name=wanted.name, action="skipped", reason=reason)
        if not changes:
            return DeployedMapping(name=wanted.name, action="unchanged")
        control.update(existing.uuid, changes, region=region, account=account)
    except LambdaError as refused:
        return DeployedMapping(name=wanted.name, action="skipped", reason=refused.message)
    return DeployedMapping(name=wanted.name, action="updated")


def _existing(
    wanted: WantedMapping, control: MappingControl, region: str, account: str, now: float
) -> EventSourceMapping | None:
    members = wanted.members
    kind, settings = new_settings(members, uuid="", now=now)
    proposed = created(
        "",
        kind,
        mapped_function(members["FunctionName"], region=region, account=account),
        settings,
        source_arn=members.get("EventSourceArn"),
        enabled=True,
        tags={},
        at=now,
    )
    return duplicate_of(proposed, control.list(region=region, account=account))


def _changes(wanted: WantedMapping, existing: EventSourceMapping, now: float) -> dict[str, Any]:
    """Members of an update that make ``existing`` what is wanted."""
    _, settings = new_settings(wanted.members, uuid=existing.uuid, now=now)
    current = existing.members
    changes = {
        name: settings.get(name, _NOTHING.get(name, {}))
        for name in sorted(settings.keys() | current.keys())
        if settings.get(name) != current.get(name)
    }
    enabled = wanted.members.get("Enabled", True)
    return changes if enabled == existing.enabled else {**changes, "Enabled": enabled}
