"""How the State of an event source mapping moves, and what may be done to it meanwhile.

Pure: from a mapping to the next one, or a refusal in AWS's words. A mapping in transition settles by itself: its poller
starts or stops, and then it is Enabled or Disabled, or gone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rie_server.errors import ResourceInUseException
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind

NO_RECORDS: Final = "No records processed"

_S = MappingState

# Where a mapping may go from each state; everything else is denied. From Deleting it only goes away.
LEGAL_MOVES: Final[Mapping[MappingState, frozenset[MappingState]]] = {
    _S.CREATING: frozenset({_S.ENABLED, _S.DISABLED}),
    _S.ENABLING: frozenset({_S.ENABLED}),
    _S.ENABLED: frozenset({_S.UPDATING, _S.DISABLING, _S.DELETING}),
    _S.DISABLING: frozenset({_S.DISABLED}),
    _S.DISABLED: frozenset({_S.UPDATING, _S.ENABLING, _S.DELETING}),
    _S.UPDATING: frozenset({_S.ENABLED, _S.DISABLED}),
    _S.DELETING: frozenset(),
}
_SETTLED: Final = frozenset({_S.ENABLED, _S.DISABLED})


def created(
    uuid: str,
    kind: SourceKind,
    function: FunctionArn,
    members: Mapping[str, Any],
    *,
    source_arn: str | None,
    enabled: bool,
    tags: Mapping[str, str],
    at: float,
) -> EventSourceMapping:
    """A new mapping: Creating until its poller runs; one of SQS that is not to be enabled is Disabled at once."""
    is_there_at_once = kind is SourceKind.SQS and not enabled
    return EventSourceMapping(
        uuid=uuid,
        kind=kind,
        function=function,
        source_arn=source_arn,
        enabled=enabled,
        state=_S.DISABLED if is_there_at_once else _S.CREATING,
        state_transition_reason=_reason_of_user(kind),
        members=members,
        last_modified=round(at, 3),
        last_processing_result=None if kind is SourceKind.SQS else NO_RECORDS,
        tags=tags,
    )


def updated(
    mapping: EventSourceMapping, *, function: FunctionArn, members: Mapping[str, Any], enabled: bool, at: float
) -> EventSourceMapping:
    """An accepted update: Enabling or Disabling where that is what changes, else Updating.

    Raises:
        ResourceInUseException: an earlier change is still under way.
    """
    if not is_settled(mapping):
        raise ResourceInUseException("Cannot update the event source mapping because it is in use.")
    state = _S.UPDATING
    if enabled != mapping.enabled:
        state = _S.ENABLING if enabled else _S.DISABLING
    return replace(
        _moved(mapping, state),
        function=function,
        members=members,
        enabled=enabled,
        state_transition_reason=_reason_of_user(mapping.kind),
        last_modified=round(at, 3),
    )


def given_up(mapping: EventSourceMapping, reason: str, *, at: float) -> EventSourceMapping:
    """The service itself disables a mapping that cannot go on without its user."""
    return replace(
        _moved(mapping, _S.DISABLING), enabled=False, state_transition_reason=reason, last_modified=round(at, 3)
    )


def deleting(mapping: EventSourceMapping, *, at: float) -> EventSourceMapping:
    """
    Raises:
        ResourceInUseException: an earlier change, or deletion, is still under way.
    """
    if not is_settled(mapping):
        raise ResourceInUseException("Cannot delete the event source mapping because it is in use.")
    return replace(
        _moved(mapping, _S.DELETING),
        state_transition_reason=_reason_of_user(mapping.kind),
        last_modified=round(at, 3),
    )


def settled(mapping: EventSourceMapping) -> EventSourceMapping:
    """Its poller runs, or has ended; one that is settled already stays as it is."""
    if is_settled(mapping):
        return mapping
    return _moved(mapping, _S.ENABLED if mapping.enabled else _S.DISABLED)


def is_settled(mapping: EventSourceMapping) -> bool:
    """Nothing is under way."""
    return mapping.state in _SETTLED


def _moved(mapping: EventSourceMapping, state: MappingState) -> EventSourceMapping:
    if state not in LEGAL_MOVES[mapping.state]:
        raise ValueError(f"event source mapping {mapping.uuid} cannot go from {mapping.state} to {state}")
    return replace(mapping, state=state)


def _reason_of_user(kind: SourceKind) -> str:
    return "User action" if kind.is_stream else "USER_INITIATED"
