"""What CreateEventSourceMapping and UpdateEventSourceMapping make of their members, and what is refused.

Pure. Members have the API's names and have passed the service model's constraints. Whether function and source exist
is asked by who carries it out; the rest of what AWS says is said here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rie_server.errors import InvalidParameterValueException, ResourceConflictException
from rie_server.model.arn import LATEST, FunctionArn, parse_function_reference
from rie_server.model.event_source import EventSourceMapping, SourceKind
from rie_server.model.event_source_arn import source_kind
from rie_server.model.event_source_checks import check_settings, check_starting_position
from rie_server.model.event_source_members import (
    KAFKA_CONFIG,
    REQUIRED,
    merged,
    missing,
    settings_of,
    unsupported,
    with_defaults,
)
from rie_server.model.source_access import check_source_access

# Neither the service model nor AWS lets an update name these.
CREATE_ONLY = frozenset(
    {"Queues", "SelfManagedEventSource", "StartingPosition", "StartingPositionTimestamp", "Topics"},
)


def new_settings(members: Mapping[str, Any], *, uuid: str, now: float) -> tuple[SourceKind, dict[str, Any]]:
    """The kind of source that a new mapping polls, and its settings with AWS's defaults.

    Args:
        now: seconds since the epoch.

    Raises:
        InvalidParameterValueException: in AWS's words.
    """
    _refuse_on_success(members)
    if members.get("SelfManagedEventSource") is not None and members.get("SourceAccessConfigurations") is None:
        raise missing("SourceAccessConfigurations")
    kind = source_kind(members)
    source_arn = members.get("EventSourceArn") or None
    settings = {name: value for name, value in settings_of(kind, members).items() if value is not None}
    for name in REQUIRED[kind]:
        if name not in settings:
            raise missing(name)
    if members.get("ProvisionedPollerConfig") == {}:
        raise InvalidParameterValueException(
            "Either MinimumPollers or MaximumPollers are required if ProvisionedPollerConfig is provided."
        )
    check_starting_position(kind, settings, source_arn, now=now)
    check_source_access(kind, settings.get("SourceAccessConfigurations", ()))
    complete = with_defaults(kind, settings, uuid=uuid)
    check_settings(kind, complete, source_arn)
    return kind, complete


def changed_settings(mapping: EventSourceMapping, members: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of ``mapping`` after an update; what ``members`` do not mention stays, what is empty goes.

    Raises:
        InvalidParameterValueException: in AWS's words.
    """
    kind, current = mapping.kind, mapping.members
    _refuse_on_success(members)
    changes = settings_of(kind, members)
    for name in CREATE_ONLY & changes.keys():
        raise unsupported(kind, name)
    settings = merged(kind, current, changes, uuid=mapping.uuid)
    for name in REQUIRED[kind]:
        if name not in settings:
            raise missing(name)
    check_source_access(
        kind,
        settings.get("SourceAccessConfigurations", ()),
        current=current.get("SourceAccessConfigurations", ()),
    )
    _refuse_other_consumer(kind, current, settings)
    check_settings(kind, settings, mapping.source_arn)
    return settings


def mapped_function(reference: str, *, region: str, account: str) -> FunctionArn:
    """The function of a mapping, as AWS keeps it: ``$LATEST`` of a full ARN is dropped, that of a name stays.

    Raises:
        ResourceNotFoundException: a function of another region.
    """
    function = parse_function_reference(reference, qualifier=None, region=region, account=account)
    is_latest = function.qualifier == LATEST and reference.startswith("arn:")
    return function.unqualified if is_latest else function


def refuse_duplicate(wanted: EventSourceMapping, others: Iterable[EventSourceMapping]) -> None:
    """
    Raises:
        ResourceConflictException: one of ``others`` has the same function poll the same source.
    """
    other = duplicate_of(wanted, others)
    if other is not None:
        raise ResourceConflictException(
            f"{_duplicate(wanted)} already exists. Please update or delete the existing mapping with UUID {other.uuid}"
        )


def duplicate_of(wanted: EventSourceMapping, others: Iterable[EventSourceMapping]) -> EventSourceMapping | None:
    """Whichever of ``others`` has the same function poll the same source."""
    for other in others:
        if other.uuid != wanted.uuid and other.function == wanted.function and _polls_the_same(wanted, other):
            return other
    return None


def bootstrap_servers(members: Mapping[str, Any]) -> list[str]:
    endpoints = members.get("SelfManagedEventSource", {}).get("Endpoints", {})
    return list(endpoints.get("KAFKA_BOOTSTRAP_SERVERS", ()))


def _polls_the_same(one: EventSourceMapping, other: EventSourceMapping) -> bool:
    if one.kind is not other.kind or one.source_arn != other.source_arn:
        return False
    if one.kind is SourceKind.SELF_MANAGED_KAFKA:
        shared = {*bootstrap_servers(one.members)} & {*bootstrap_servers(other.members)}
        return bool(shared) and bool(one.members["Topics"] == other.members["Topics"])
    return _part(one) == _part(other)


def _part(mapping: EventSourceMapping) -> tuple[Any, ...]:
    """What of its source a mapping polls, where a source has several things to poll."""
    members = mapping.members
    hosts = [one.get("URI") for one in members.get("SourceAccessConfigurations", ()) if one["Type"] == "VIRTUAL_HOST"]
    config = members.get("DocumentDBEventSourceConfig", {})
    return members.get("Topics"), members.get("Queues"), hosts, config.get("DatabaseName"), config.get("CollectionName")


def _duplicate(mapping: EventSourceMapping) -> str:
    arn, name = mapping.source_arn, mapping.function.name
    if mapping.kind is SourceKind.SQS:
        return f'An event source mapping with SQS arn (" {arn} ") and function (" {name} ")'
    if mapping.kind.is_kafka:
        source = arn or ",".join(bootstrap_servers(mapping.members))
        topics = ",".join(mapping.members["Topics"])
        return (
            f'An event source mapping with event source ("{source}"), function ("{mapping.function}"), '
            f'topics ("{topics}")'
        )
    return f'The event source arn (" {arn} ") and function (" {name} ") provided mapping'


def _refuse_on_success(members: Mapping[str, Any]) -> None:
    if (members.get("DestinationConfig") or {}).get("OnSuccess") is not None:
        raise InvalidParameterValueException(
            "Unsupported DestinationConfig parameter for given event source mapping type."
        )


def _refuse_other_consumer(kind: SourceKind, current: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    if not kind.is_kafka:
        return
    before, after = current[KAFKA_CONFIG[kind]], settings[KAFKA_CONFIG[kind]]
    for name in ("ConsumerGroupId", "ConsumptionMode"):
        if before.get(name) != after.get(name):
            raise InvalidParameterValueException(f"{name} cannot be updated.")
