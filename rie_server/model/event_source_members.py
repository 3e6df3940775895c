"""Which members an event source mapping has, by the kind of its source, and what AWS fills in where nothing is said.

Pure. ``settings_of`` brings what a request carries into the form in which it is kept and shown: an empty structure or
list is how a setting is taken away, so it is as if it were not there.
"""

from collections.abc import Mapping
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException
from rie_server.model.event_source import SourceKind

# What is not a setting of the polling itself.
_APART: Final = frozenset({"EventSourceArn", "FunctionName", "Enabled", "Tags", "UUID"})
# Of every kind, in the service model's order.
_EVERYWHERE: Final = frozenset({"BatchSize", "KMSKeyArn", "MaximumBatchingWindowInSeconds"})
_RETRIES: Final = frozenset(
    {"DestinationConfig", "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError", "MaximumRetryAttempts"}
)
_POSITION: Final = frozenset({"StartingPosition", "StartingPositionTimestamp"})
_FILTERED: Final = frozenset({"FilterCriteria", "FunctionResponseTypes", "MetricsConfig"})
_STREAM: Final = _EVERYWHERE | _RETRIES | _POSITION | _FILTERED | {"ParallelizationFactor", "TumblingWindowInSeconds"}
_KAFKA: Final = (
    _EVERYWHERE
    | _RETRIES
    | _POSITION
    | _FILTERED
    | {"Topics", "SourceAccessConfigurations", "ProvisionedPollerConfig", "LoggingConfig"}
)

ALLOWED: Final[Mapping[SourceKind, frozenset[str]]] = {
    SourceKind.SQS: _EVERYWHERE | _FILTERED | {"ScalingConfig", "ProvisionedPollerConfig"},
    SourceKind.KINESIS: _STREAM,
    SourceKind.DYNAMODB: _STREAM,
    SourceKind.MSK: _KAFKA | {"AmazonManagedKafkaEventSourceConfig"},
    SourceKind.SELF_MANAGED_KAFKA: _KAFKA | {"SelfManagedEventSource", "SelfManagedKafkaEventSourceConfig"},
    SourceKind.MQ: _EVERYWHERE | {"FilterCriteria", "Queues", "SourceAccessConfigurations"},
    SourceKind.DOCUMENTDB: _EVERYWHERE | _POSITION | {"SourceAccessConfigurations", "DocumentDBEventSourceConfig"},
}
REQUIRED: Final[Mapping[SourceKind, tuple[str, ...]]] = {
    SourceKind.SQS: (),
    SourceKind.KINESIS: (),
    SourceKind.DYNAMODB: (),
    SourceKind.MSK: ("Topics",),
    SourceKind.SELF_MANAGED_KAFKA: ("SourceAccessConfigurations", "Topics"),
    SourceKind.MQ: ("SourceAccessConfigurations", "Queues"),
    SourceKind.DOCUMENTDB: ("SourceAccessConfigurations", "DocumentDBEventSourceConfig"),
}
KAFKA_CONFIG: Final[Mapping[SourceKind, str]] = {
    SourceKind.MSK: "AmazonManagedKafkaEventSourceConfig",
    SourceKind.SELF_MANAGED_KAFKA: "SelfManagedKafkaEventSourceConfig",
}
# Structures of which an update may name a part.
PARTLY_UPDATED: Final = frozenset(
    {*KAFKA_CONFIG.values(), "DocumentDBEventSourceConfig", "ProvisionedPollerConfig"},
)

_STREAM_DEFAULTS: Final[Mapping[str, Any]] = {
    "BatchSize": 100,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 1,
    "DestinationConfig": {"OnFailure": {}},
    "MaximumRecordAgeInSeconds": -1,
    "BisectBatchOnFunctionError": False,
    "MaximumRetryAttempts": -1,
    "TumblingWindowInSeconds": 0,
    "FunctionResponseTypes": [],
}
_KAFKA_DEFAULTS: Final[Mapping[str, Any]] = {
    "BatchSize": 100,
    "StartingPosition": "TRIM_HORIZON",
    "DestinationConfig": {"OnFailure": {}},
}
# Where a batching window of half a second holds unless another is set, AWS shows none.
_DEFAULTS: Final[Mapping[SourceKind, Mapping[str, Any]]] = {
    SourceKind.SQS: {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []},
    SourceKind.KINESIS: _STREAM_DEFAULTS,
    SourceKind.DYNAMODB: _STREAM_DEFAULTS,
    SourceKind.MSK: _KAFKA_DEFAULTS,
    SourceKind.SELF_MANAGED_KAFKA: _KAFKA_DEFAULTS,
    SourceKind.MQ: {"BatchSize": 100},
    SourceKind.DOCUMENTDB: {"BatchSize": 100, "StartingPosition": "LATEST"},
}
_POLLERS_DEFAULT: Final[Mapping[bool, Mapping[str, int]]] = {
    True: {"MinimumPollers": 1, "MaximumPollers": 200},
    False: {"MinimumPollers": 2, "MaximumPollers": 200},
}


def settings_of(kind: SourceKind, members: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among the members of a request; None is what the request takes away.

    Raises:
        InvalidParameterValueException: one that this kind of source does not have.
    """
    settings = {name: _kept(kind, name, value) for name, value in members.items() if name not in _APART}
    for name, value in settings.items():
        is_said = value is not None and value != {"OnFailure": {}}
        if name not in ALLOWED[kind] and is_said:
            raise unsupported(kind, name)
    return {name: value for name, value in settings.items() if name in ALLOWED[kind]}


def unsupported(kind: SourceKind, name: str) -> InvalidParameterValueException:
    if kind is SourceKind.SQS and name in _POSITION:
        return InvalidParameterValueException(f"{name} is not valid for SQS event sources.")
    if name == "DestinationConfig":
        return InvalidParameterValueException(
            "Unsupported DestinationConfig parameter for given event source mapping type."
        )
    return InvalidParameterValueException(
        f"Unsupported '{parameter(name)}' parameter for given event source mapping type."
    )


def missing(name: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(f"Required '{parameter(name)}' parameter is missing.")


def parameter(name: str) -> str:
    """A member's name as AWS's messages spell it."""
    return f"{name[:1].lower()}{name[1:]}"


def with_defaults(kind: SourceKind, settings: Mapping[str, Any], *, uuid: str) -> dict[str, Any]:
    """``settings`` and what AWS fills in and shows. A consumer group is called like its mapping."""
    filled = {**_DEFAULTS[kind], **{name: value for name, value in settings.items() if value is not None}}
    if kind.is_kafka:
        name = KAFKA_CONFIG[kind]
        filled[name] = {"ConsumerGroupId": uuid, **filled.get(name, {})}
        if is_share_group(kind, filled):
            filled.setdefault("MaximumRetryAttempts", 0)
            if "StartingPosition" not in settings:
                del filled["StartingPosition"]
    if kind is SourceKind.DOCUMENTDB and "DocumentDBEventSourceConfig" in filled:
        filled["DocumentDBEventSourceConfig"] = {"FullDocument": "Default", **filled["DocumentDBEventSourceConfig"]}
    if "ProvisionedPollerConfig" in filled:
        filled["ProvisionedPollerConfig"] = {**_POLLERS_DEFAULT[kind.is_kafka], **filled["ProvisionedPollerConfig"]}
    return filled


def merged(kind: SourceKind, current: Mapping[str, Any], changes: Mapping[str, Any], *, uuid: str) -> dict[str, Any]:
    """``current`` after an update; what it does not mention stays."""
    settings = dict(current)
    for name, value in changes.items():
        if name in PARTLY_UPDATED and value is not None:
            settings[name] = {**current.get(name, {}), **value}
        elif value is not None or name not in KAFKA_CONFIG.values():
            settings[name] = value
    return with_defaults(kind, settings, uuid=uuid)


def is_share_group(kind: SourceKind, settings: Mapping[str, Any]) -> bool:
    """Kafka's queues: several consumers of one partition, no order."""
    return kind.is_kafka and settings.get(KAFKA_CONFIG[kind], {}).get("ConsumptionMode") == "Queue"


def _kept(kind: SourceKind, name: str, value: Any) -> Any:
    if name == "DestinationConfig" and value is not None:
        destination = (value.get("OnFailure") or {}).get("Destination")
        return {"OnFailure": {"Destination": destination} if destination else {}}
    if name == "FilterCriteria" and value is not None:
        return value if value.get("Filters") else None
    if name == "MetricsConfig" and value is not None:
        return value if value.get("Metrics") else None
    if name == "SourceAccessConfigurations" and kind is SourceKind.SELF_MANAGED_KAFKA:
        return value  # brokers that ask for nothing are reached with an empty list, and there must be one
    return None if value in ({}, [], "") else value
