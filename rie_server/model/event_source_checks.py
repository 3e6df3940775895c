"""What AWS refuses in the settings of an event source mapping that is otherwise well formed, and in which words.

Pure. Values have passed the service model's constraints and have their defaults. Texts are AWS's where they are known,
and its neighbours' manner where they are not.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException
from rie_server.limits import FIFO_BATCH, FILTERS, RECORD_AGE_SECONDS_MINIMUM, SQS_BATCH_WITHOUT_WINDOW
from rie_server.model.destination_arn import DestinationKind, destination_target
from rie_server.model.event_source import SourceKind
from rie_server.model.event_source_arn import is_fifo
from rie_server.model.event_source_members import KAFKA_CONFIG, is_share_group, missing, parameter
from rie_server.model.filter_pattern import compile_filters

_RECORDS_TO: Final = frozenset({DestinationKind.SQS, DestinationKind.SNS, DestinationKind.S3})
_KAFKA_TOPIC: Final = "kafka://"
_MOST_POLLERS: Final[Mapping[bool, int]] = {True: 2_000, False: 10_000}
_LEAST_POLLERS: Final[Mapping[bool, int]] = {True: 1, False: 2}
_MINIMUM_POLLERS: Final = 200
_KAFKA_METRICS: Final = frozenset({"ErrorCount", "KafkaMetrics"})

Check = Callable[[SourceKind, Mapping[str, Any], str | None], None]


def check_settings(kind: SourceKind, settings: Mapping[str, Any], source_arn: str | None) -> None:
    """
    Raises:
        InvalidParameterValueException: the first thing that is wrong.
    """
    for check in _CHECKS:
        check(kind, settings, source_arn)


def check_starting_position(
    kind: SourceKind, settings: Mapping[str, Any], source_arn: str | None, *, now: float
) -> None:
    """Asked at creation only, before defaults are filled in: it cannot be changed later.

    Args:
        now: seconds since the epoch.
    """
    position, timestamp = settings.get("StartingPosition"), settings.get("StartingPositionTimestamp")
    if position is None and kind.is_stream:
        raise InvalidParameterValueException(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
            "Member must not be null."
        )
    if position == "AT_TIMESTAMP":
        if kind is SourceKind.DYNAMODB:
            raise InvalidParameterValueException(f"Unsupported starting position for arn type: {source_arn}")
        if timestamp is None:
            raise InvalidParameterValueException("Need to specify a timestamp")
        if timestamp > now:
            raise InvalidParameterValueException("StartingPositionTimestamp cannot be in the future.")
    elif timestamp is not None:
        raise InvalidParameterValueException(
            "StartingPositionTimestamp is supported only when StartingPosition is AT_TIMESTAMP."
        )


def _check_batch(kind: SourceKind, settings: Mapping[str, Any], source_arn: str | None) -> None:
    if kind is not SourceKind.SQS:
        return
    size, window_seconds = settings["BatchSize"], settings["MaximumBatchingWindowInSeconds"]
    if size > SQS_BATCH_WITHOUT_WINDOW and window_seconds == 0:
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    if is_fifo(source_arn) and window_seconds > 0:
        raise InvalidParameterValueException("Batching window is not supported for FIFO queues")
    if is_fifo(source_arn) and size > FIFO_BATCH:
        raise InvalidParameterValueException("Batch size must not exceed 10 for FIFO queues")


def _check_pollers(kind: SourceKind, settings: Mapping[str, Any], _: str | None) -> None:
    pollers = settings.get("ProvisionedPollerConfig")
    if pollers is None:
        return
    if "PollerGroupName" in pollers and not kind.is_kafka:
        raise InvalidParameterValueException(
            "Unsupported 'provisionedPollerConfig.pollerGroupName' parameter for given event source mapping type."
        )
    least, most = _LEAST_POLLERS[kind.is_kafka], _MOST_POLLERS[kind.is_kafka]
    minimum, maximum = pollers["MinimumPollers"], pollers["MaximumPollers"]
    if not least <= minimum <= _MINIMUM_POLLERS or not minimum <= maximum <= most:
        raise InvalidParameterValueException(
            f"MinimumPollers should be between [{least}, {_MINIMUM_POLLERS}] and MaximumPollers should be between "
            f"[MinimumPollers, {most}]"
        )
    if settings.get("ScalingConfig", {}).get("MaximumConcurrency") is not None:
        raise InvalidParameterValueException(
            "Provisioned mode for SQS ESM does not support maximum concurrency feature. Use MaximumPollers as the "
            "control mechanism and remove maximum concurrency."
        )


def _check_age(_: SourceKind, settings: Mapping[str, Any], __: str | None) -> None:
    age_seconds = settings.get("MaximumRecordAgeInSeconds", -1)
    if -1 < age_seconds < RECORD_AGE_SECONDS_MINIMUM:
        raise InvalidParameterValueException(
            f"MaximumRecordAgeInSeconds must be -1 or greater than or equal to {RECORD_AGE_SECONDS_MINIMUM}."
        )


def _check_window(_: SourceKind, settings: Mapping[str, Any], __: str | None) -> None:
    if not settings.get("TumblingWindowInSeconds"):
        return
    if settings["ParallelizationFactor"] > 1:
        raise InvalidParameterValueException(
            "TumblingWindowInSeconds is not supported when ParallelizationFactor is greater than 1."
        )
    if "FilterCriteria" in settings:
        raise InvalidParameterValueException("TumblingWindowInSeconds is not supported with FilterCriteria.")


def _check_on_failure(kind: SourceKind, settings: Mapping[str, Any], _: str | None) -> None:
    destination = settings.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if destination is None:
        return
    if destination.startswith(_KAFKA_TOPIC) and kind.is_kafka:
        if "ProvisionedPollerConfig" not in settings:
            raise InvalidParameterValueException(
                "Kafka topics are supported as a destination only when ProvisionedPollerConfig is provided."
            )
        return
    target = destination_target(destination)
    if target is not None and target.is_fifo and target.kind is DestinationKind.SNS:
        raise InvalidParameterValueException("FIFO-type Amazon SNS topics aren't supported as a destination.")
    if target is None or target.is_fifo or target.kind not in _RECORDS_TO:
        raise InvalidParameterValueException(f"The destination ARN {destination} is invalid.")


def _check_metrics(kind: SourceKind, settings: Mapping[str, Any], _: str | None) -> None:
    for name in settings.get("MetricsConfig", {}).get("Metrics", ()):
        if name in _KAFKA_METRICS and not kind.is_kafka:
            raise InvalidParameterValueException(
                f"Unsupported 'metricsConfig.metrics' value {name} for given event source mapping type."
            )


def _check_kafka(kind: SourceKind, settings: Mapping[str, Any], _: str | None) -> None:
    if not kind.is_kafka:
        return
    if kind is SourceKind.SELF_MANAGED_KAFKA:
        endpoints = settings.get("SelfManagedEventSource", {}).get("Endpoints", {})
        if not endpoints.get("KAFKA_BOOTSTRAP_SERVERS"):
            raise missing("SelfManagedEventSource.endpoints")
    registry = settings[KAFKA_CONFIG[kind]].get("SchemaRegistryConfig")
    if registry and "ProvisionedPollerConfig" not in settings:
        raise InvalidParameterValueException(
            "SchemaRegistryConfig is supported only when ProvisionedPollerConfig is provided."
        )
    if not is_share_group(kind, settings):
        return
    for name in ("StartingPosition", "StartingPositionTimestamp", "MaximumBatchingWindowInSeconds"):
        if name in settings:
            raise InvalidParameterValueException(
                f"Unsupported '{parameter(name)}' parameter when ConsumptionMode is Queue."
            )
    if settings["MaximumRetryAttempts"] < 0:
        raise InvalidParameterValueException("MaximumRetryAttempts cannot be -1 when ConsumptionMode is Queue.")


def _check_documentdb(kind: SourceKind, settings: Mapping[str, Any], _: str | None) -> None:
    if kind is SourceKind.DOCUMENTDB and "DatabaseName" not in settings["DocumentDBEventSourceConfig"]:
        raise missing("documentDBEventSourceConfig.databaseName")


def _check_filters(_: SourceKind, settings: Mapping[str, Any], __: str | None) -> None:
    filters = settings.get("FilterCriteria", {}).get("Filters", ())
    if len(filters) > FILTERS:
        raise InvalidParameterValueException(f"FilterCriteria cannot have more than {FILTERS} filters.")
    if any(not one.get("Pattern") for one in filters):
        raise InvalidParameterValueException("Invalid filter pattern definition.")
    compile_filters([one["Pattern"] for one in filters])


# In the order in which AWS is known, or likely, to complain.
_CHECKS: Final[tuple[Check, ...]] = (
    _check_batch,
    _check_pollers,
    _check_age,
    _check_window,
    _check_on_failure,
    _check_metrics,
    _check_kafka,
    _check_documentdb,
    _check_filters,
)
