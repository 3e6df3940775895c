"""What AWS fills in, shows and refuses, by kind of source."""

from dataclasses import replace
from typing import Any

import pytest

from rie_server.errors import InvalidParameterValueException, ResourceConflictException, ResourceNotFoundException
from rie_server.model.event_source import SourceKind
from rie_server.model.event_source_arn import kind_of_arn
from rie_server.model.event_source_description import describe_mapping, describe_mapping_in_list
from rie_server.model.event_source_rules import changed_settings, mapped_function, new_settings, refuse_duplicate
from tests.unit.event_sources.mappings import (
    BASIC,
    BROKER,
    CLUSTER,
    DOCUMENTS,
    FIFO,
    MEMBERS,
    NOW,
    ORDERS,
    QUEUE,
    SECRET,
    STREAM,
    TABLE,
    UUID,
    mapping_of,
)

SQS, KINESIS, DYNAMODB, MSK, KAFKA, MQ, DOCUMENTDB = (
    SourceKind.SQS,
    SourceKind.KINESIS,
    SourceKind.DYNAMODB,
    SourceKind.MSK,
    SourceKind.SELF_MANAGED_KAFKA,
    SourceKind.MQ,
    SourceKind.DOCUMENTDB,
)
ALL = list(SourceKind)
TOPIC_ARN = "arn:aws:sns:us-east-1:000000000000:failed"
STREAM_DEFAULTS = {
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


def without(kind: SourceKind, *names: str) -> dict[str, Any]:
    return {name: value for name, value in MEMBERS[kind].items() if name not in names}


def refusal_of(members: dict[str, Any]) -> str:
    with pytest.raises(InvalidParameterValueException) as refusal:
        new_settings(members, uuid=UUID, now=NOW)
    return refusal.value.message


def unsupported(name: str) -> str:
    return f"Unsupported '{name}' parameter for given event source mapping type."


# --- defaults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SQS, {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []}),
        (KINESIS, {**STREAM_DEFAULTS, "StartingPosition": "LATEST"}),
        (DYNAMODB, {**STREAM_DEFAULTS, "StartingPosition": "TRIM_HORIZON"}),
        (
            MSK,
            {
                "BatchSize": 100,
                "StartingPosition": "TRIM_HORIZON",
                "DestinationConfig": {"OnFailure": {}},
                "Topics": ["orders"],
                "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": UUID},
            },
        ),
        (
            KAFKA,
            {
                "BatchSize": 100,
                "StartingPosition": "TRIM_HORIZON",
                "DestinationConfig": {"OnFailure": {}},
                "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["127.0.0.1:9092"]}},
                "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": UUID},
                "SourceAccessConfigurations": [BASIC],
                "Topics": ["orders"],
            },
        ),
        (MQ, {"BatchSize": 100, "Queues": ["orders"], "SourceAccessConfigurations": [BASIC]}),
        (
            DOCUMENTDB,
            {
                "BatchSize": 100,
                "StartingPosition": "LATEST",
                "DocumentDBEventSourceConfig": {"DatabaseName": "shop", "FullDocument": "Default"},
                "SourceAccessConfigurations": [BASIC],
            },
        ),
    ],
)
def test_every_kind_has_the_defaults_that_aws_shows_for_it(kind: SourceKind, settings: dict[str, Any]) -> None:
    assert new_settings(MEMBERS[kind], uuid=UUID, now=NOW) == (kind, settings)


@pytest.mark.parametrize(
    ("kind", "seconds"), [(SQS, 0), (KINESIS, 0), (DYNAMODB, 0), (MSK, 0.5), (KAFKA, 0.5), (MQ, 0.5), (DOCUMENTDB, 0.5)]
)
def test_half_a_second_of_batching_holds_where_none_is_shown(kind: SourceKind, seconds: float) -> None:
    assert mapping_of(kind).batching_window_seconds == seconds
    assert mapping_of(kind, MaximumBatchingWindowInSeconds=3).batching_window_seconds == 3


def test_one_bound_of_provisioned_pollers_brings_the_other() -> None:
    def pollers(kind: SourceKind, **given: int) -> Any:
        return mapping_of(kind, ProvisionedPollerConfig=given).members["ProvisionedPollerConfig"]

    assert pollers(SQS, MaximumPollers=5) == {"MinimumPollers": 2, "MaximumPollers": 5}
    assert pollers(MSK, MinimumPollers=3) == {"MinimumPollers": 3, "MaximumPollers": 200}


def test_a_share_group_of_kafka_has_no_position_and_does_not_retry_by_itself() -> None:
    members = mapping_of(KAFKA, SelfManagedKafkaEventSourceConfig={"ConsumptionMode": "Queue"}).members

    assert "StartingPosition" not in members
    assert members["MaximumRetryAttempts"] == 0
    assert members["SelfManagedKafkaEventSourceConfig"] == {"ConsumptionMode": "Queue", "ConsumerGroupId": UUID}


@pytest.mark.parametrize("empty", [{"FilterCriteria": {}}, {"FilterCriteria": {"Filters": []}}, {"KMSKeyArn": ""}])
def test_what_is_empty_is_as_if_it_were_not_there(empty: dict[str, Any]) -> None:
    assert mapping_of(SQS, **empty).members == mapping_of(SQS).members


def test_what_one_kind_does_not_have_may_be_given_empty() -> None:
    neutral = {"DestinationConfig": {"OnFailure": {}}, "FunctionResponseTypes": [], "Topics": None}
    assert mapping_of(MQ, **neutral).members == mapping_of(MQ).members


# --- sources ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        (QUEUE, SQS),
        (FIFO, SQS),
        (STREAM, KINESIS),
        (f"{STREAM}/consumer/fan-out:1767225600", KINESIS),
        (TABLE, DYNAMODB),
        (CLUSTER, MSK),
        (BROKER, MQ),
        (DOCUMENTS, DOCUMENTDB),
        ("arn:aws:dynamodb:us-east-1:000000000000:table/orders", None),
        (TOPIC_ARN, None),
        ("arn:aws:events:us-east-1:000000000000:rule/r", None),
        ("arn:aws:sqs:us-east-1:000000000000:a/b", None),
    ],
)
def test_the_arn_says_what_is_polled(arn: str, kind: SourceKind | None) -> None:
    assert kind_of_arn(arn) is kind


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "Unrecognized event source."),
        ({"EventSourceArn": ""}, "Unrecognized event source."),
        ({"EventSourceArn": TOPIC_ARN}, f"Unrecognized event source. Unsupported source arn : {TOPIC_ARN}"),
        (
            {**MEMBERS[KAFKA], "EventSourceArn": QUEUE},
            "SelfManagedEventSource and EventSourceArn are mutually exclusive. Please specify only one of them.",
        ),
        (without(KAFKA, "SourceAccessConfigurations"), "Required 'sourceAccessConfigurations' parameter is missing."),
        (without(KAFKA, "Topics"), "Required 'topics' parameter is missing."),
        (
            {**MEMBERS[KAFKA], "SelfManagedEventSource": {"Endpoints": {}}},
            "Required 'selfManagedEventSource.endpoints' parameter is missing.",
        ),
        (without(MSK, "Topics"), "Required 'topics' parameter is missing."),
        (without(MQ, "Queues"), "Required 'queues' parameter is missing."),
        (without(MQ, "SourceAccessConfigurations"), "Required 'sourceAccessConfigurations' parameter is missing."),
        (
            without(DOCUMENTDB, "DocumentDBEventSourceConfig"),
            "Required 'documentDBEventSourceConfig' parameter is missing.",
        ),
        (
            {**MEMBERS[DOCUMENTDB], "DocumentDBEventSourceConfig": {"CollectionName": "c"}},
            "Required 'documentDBEventSourceConfig.databaseName' parameter is missing.",
        ),
    ],
)
def test_a_source_that_is_not_named_completely_is_refused(members: dict[str, Any], message: str) -> None:
    assert refusal_of(members) == message


def test_a_broker_that_asks_for_nothing_has_an_empty_list_of_access_configurations() -> None:
    assert mapping_of(KAFKA, SourceAccessConfigurations=[]).members["SourceAccessConfigurations"] == []


# --- members that a kind does not have --------------------------------------------------------------------------------

VALUES: dict[str, Any] = {
    "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"},
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {"Destination": TOPIC_ARN}},
    "DocumentDBEventSourceConfig": {"DatabaseName": "d"},
    "FilterCriteria": {"Filters": [{"Pattern": "{}"}]},
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "LoggingConfig": {"SystemLogLevel": "INFO"},
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "MetricsConfig": {"Metrics": ["EventCount"]},
    "ParallelizationFactor": 1,
    "ProvisionedPollerConfig": {"MinimumPollers": 2},
    "Queues": ["q"],
    "ScalingConfig": {"MaximumConcurrency": 2},
    "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"},
    "SourceAccessConfigurations": [BASIC],
    "StartingPosition": "LATEST",
    "Topics": ["t"],
    "TumblingWindowInSeconds": 0,
}
RETRIES = {"BisectBatchOnFunctionError", "DestinationConfig", "MaximumRecordAgeInSeconds", "MaximumRetryAttempts"}
HAVE = {
    SQS: {"ScalingConfig", "ProvisionedPollerConfig", "FunctionResponseTypes", "MetricsConfig", "FilterCriteria"},
    KINESIS: {"ParallelizationFactor", "TumblingWindowInSeconds", "StartingPosition", "FilterCriteria", *RETRIES}
    | {"FunctionResponseTypes", "MetricsConfig"},
    MSK: {"Topics", "AmazonManagedKafkaEventSourceConfig", "SourceAccessConfigurations", "StartingPosition", *RETRIES}
    | {"ProvisionedPollerConfig", "LoggingConfig", "FunctionResponseTypes", "MetricsConfig", "FilterCriteria"},
    MQ: {"Queues", "SourceAccessConfigurations", "FilterCriteria"},
    DOCUMENTDB: {"DocumentDBEventSourceConfig", "SourceAccessConfigurations", "StartingPosition"},
}
HAVE[DYNAMODB] = HAVE[KINESIS]
HAVE[KAFKA] = (HAVE[MSK] - {"AmazonManagedKafkaEventSourceConfig"}) | {"SelfManagedKafkaEventSourceConfig"}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in ALL for name in VALUES if name not in HAVE[kind]])
def test_a_member_of_another_kind_is_refused_by_its_name(kind: SourceKind, name: str) -> None:
    message = refusal_of({**MEMBERS[kind], name: VALUES[name]})

    if name == "DestinationConfig":
        assert message == "Unsupported DestinationConfig parameter for given event source mapping type."
    elif (kind, name) == (SQS, "StartingPosition"):
        assert message == "StartingPosition is not valid for SQS event sources."
    else:
        assert message == unsupported(f"{name[0].lower()}{name[1:]}")


# --- values -----------------------------------------------------------------------------------------------------------

WINDOW_NEEDED = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
NO_WINDOW = "TumblingWindowInSeconds is not supported"


@pytest.mark.parametrize(
    ("kind", "members", "message"),
    [
        (SQS, {"BatchSize": 11}, WINDOW_NEEDED),
        (SQS, {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 0, "EventSourceArn": FIFO}, WINDOW_NEEDED),
        (
            SQS,
            {"MaximumBatchingWindowInSeconds": 1, "EventSourceArn": FIFO},
            "Batching window is not supported for FIFO queues",
        ),
        (
            SQS,
            {"ScalingConfig": {"MaximumConcurrency": 2}, "ProvisionedPollerConfig": {"MaximumPollers": 2}},
            (
                "Provisioned mode for SQS ESM does not support maximum concurrency feature. Use MaximumPollers as the "
                "control mechanism and remove maximum concurrency."
            ),
        ),
        (
            SQS,
            {"ProvisionedPollerConfig": {}},
            "Either MinimumPollers or MaximumPollers are required if ProvisionedPollerConfig is provided.",
        ),
        (
            SQS,
            {"ProvisionedPollerConfig": {"MinimumPollers": 1}},
            "MinimumPollers should be between [2, 200] and MaximumPollers should be between [MinimumPollers, 10000]",
        ),
        (
            MSK,
            {"ProvisionedPollerConfig": {"MinimumPollers": 5, "MaximumPollers": 4}},
            "MinimumPollers should be between [1, 200] and MaximumPollers should be between [MinimumPollers, 2000]",
        ),
        (
            MSK,
            {"ProvisionedPollerConfig": {"MaximumPollers": 2001}},
            "MinimumPollers should be between [1, 200] and MaximumPollers should be between [MinimumPollers, 2000]",
        ),
        (
            SQS,
            {"ProvisionedPollerConfig": {"MinimumPollers": 2, "PollerGroupName": "g"}},
            unsupported("provisionedPollerConfig.pollerGroupName"),
        ),
        (
            SQS,
            {"MetricsConfig": {"Metrics": ["KafkaMetrics"]}},
            "Unsupported 'metricsConfig.metrics' value KafkaMetrics for given event source mapping type.",
        ),
        (
            KINESIS,
            {"StartingPosition": None},
            (
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
                "Member must not be null."
            ),
        ),
        (KINESIS, {"StartingPosition": "AT_TIMESTAMP"}, "Need to specify a timestamp"),
        (
            KINESIS,
            {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": NOW + 1},
            "StartingPositionTimestamp cannot be in the future.",
        ),
        (
            KINESIS,
            {"StartingPositionTimestamp": NOW},
            "StartingPositionTimestamp is supported only when StartingPosition is AT_TIMESTAMP.",
        ),
        (
            DYNAMODB,
            {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": NOW},
            f"Unsupported starting position for arn type: {TABLE}",
        ),
        (SQS, {"StartingPositionTimestamp": NOW}, "StartingPositionTimestamp is not valid for SQS event sources."),
        (
            KINESIS,
            {"MaximumRecordAgeInSeconds": 59},
            "MaximumRecordAgeInSeconds must be -1 or greater than or equal to 60.",
        ),
        (
            KINESIS,
            {"TumblingWindowInSeconds": 1, "ParallelizationFactor": 2},
            f"{NO_WINDOW} when ParallelizationFactor is greater than 1.",
        ),
        (
            KINESIS,
            {"TumblingWindowInSeconds": 1, "FilterCriteria": {"Filters": [{"Pattern": '{"a": [1]}'}]}},
            f"{NO_WINDOW} with FilterCriteria.",
        ),
        (
            KINESIS,
            {"DestinationConfig": {"OnSuccess": {"Destination": TOPIC_ARN}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        (
            SQS,
            {"DestinationConfig": {"OnSuccess": {}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        (
            KINESIS,
            {"DestinationConfig": {"OnFailure": {"Destination": f"{ORDERS}"}}},
            f"The destination ARN {ORDERS} is invalid.",
        ),
        (
            KINESIS,
            {"DestinationConfig": {"OnFailure": {"Destination": FIFO}}},
            f"The destination ARN {FIFO} is invalid.",
        ),
        (
            KINESIS,
            {"DestinationConfig": {"OnFailure": {"Destination": f"{TOPIC_ARN}.fifo"}}},
            "FIFO-type Amazon SNS topics aren't supported as a destination.",
        ),
        (
            KINESIS,
            {"DestinationConfig": {"OnFailure": {"Destination": "kafka://failed"}}},
            "The destination ARN kafka://failed is invalid.",
        ),
        (
            MSK,
            {"DestinationConfig": {"OnFailure": {"Destination": "kafka://failed"}}},
            "Kafka topics are supported as a destination only when ProvisionedPollerConfig is provided.",
        ),
        (
            MSK,
            {"AmazonManagedKafkaEventSourceConfig": {"SchemaRegistryConfig": {"SchemaRegistryURI": "https://r"}}},
            "SchemaRegistryConfig is supported only when ProvisionedPollerConfig is provided.",
        ),
        (SQS, {"FilterCriteria": {"Filters": [{}]}}, "Invalid filter pattern definition."),
        (SQS, {"FilterCriteria": {"Filters": [{"Pattern": ""}]}}, "Invalid filter pattern definition."),
        (SQS, {"FilterCriteria": {"Filters": [{"Pattern": '{"a": 1}'}]}}, "Invalid filter pattern definition."),
        (SQS, {"FilterCriteria": {"Filters": [{"Pattern": "no json"}]}}, "Invalid filter pattern definition."),
        (
            SQS,
            {"FilterCriteria": {"Filters": [{"Pattern": '{"a": [1]}'}] * 6}},
            "FilterCriteria cannot have more than 5 filters.",
        ),
    ],
)
def test_a_value_that_does_not_go_with_the_others_is_refused(
    kind: SourceKind, members: dict[str, Any], message: str
) -> None:
    assert refusal_of({**MEMBERS[kind], **members}) == message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"StartingPosition": "LATEST"}, "Unsupported 'startingPosition' parameter when ConsumptionMode is Queue."),
        (
            {"MaximumBatchingWindowInSeconds": 1},
            "Unsupported 'maximumBatchingWindowInSeconds' parameter when ConsumptionMode is Queue.",
        ),
        ({"MaximumRetryAttempts": -1}, "MaximumRetryAttempts cannot be -1 when ConsumptionMode is Queue."),
    ],
)
def test_a_share_group_of_kafka_refuses_what_it_cannot_keep(more: dict[str, Any], message: str) -> None:
    queue = {"SelfManagedKafkaEventSourceConfig": {"ConsumptionMode": "Queue"}}
    assert refusal_of({**MEMBERS[KAFKA], **queue, **more}) == message


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (SQS, {"BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 300}),
        (SQS, {"BatchSize": 10, "EventSourceArn": FIFO}),
        (SQS, {"ScalingConfig": {"MaximumConcurrency": 1000}}),
        (DYNAMODB, {"BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 0}),
        (KINESIS, {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": NOW}),
        (KINESIS, {"TumblingWindowInSeconds": 900, "MaximumRecordAgeInSeconds": 60}),
        (KINESIS, {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failed"}}}),
        (
            KAFKA,
            {
                "DestinationConfig": {"OnFailure": {"Destination": "kafka://failed"}},
                "ProvisionedPollerConfig": {"MinimumPollers": 1, "PollerGroupName": "g"},
                "MetricsConfig": {"Metrics": ["EventCount", "ErrorCount", "KafkaMetrics"]},
                "LoggingConfig": {"SystemLogLevel": "DEBUG"},
            },
        ),
        (MQ, {"SourceAccessConfigurations": [BASIC, {"Type": "VIRTUAL_HOST", "URI": "/"}]}),
    ],
)
def test_what_aws_allows_is_kept_as_it_was_given(kind: SourceKind, members: dict[str, Any]) -> None:
    kept = mapping_of(kind, **members).members
    assert {name: kept[name] for name in members if name not in ("EventSourceArn", "ProvisionedPollerConfig")} == {
        name: value for name, value in members.items() if name not in ("EventSourceArn", "ProvisionedPollerConfig")
    }


# --- access to sources ------------------------------------------------------------------------------------------------


def access(kind: str, uri: str | None = SECRET) -> dict[str, str]:
    return {"Type": kind} if uri is None else {"Type": kind, "URI": uri}


NETWORK = [access("VPC_SUBNET", "subnet:subnet-1"), access("VPC_SECURITY_GROUP", "security_group:sg-1")]
INVALID_ACCESS = "Invalid 'sourceAccessConfigurations' parameter: "


@pytest.mark.parametrize(
    ("kind", "configurations", "message"),
    [
        (MSK, [access("BASIC_AUTH")], "type BASIC_AUTH is not supported for given event source mapping type."),
        (
            MQ,
            [access("SASL_SCRAM_512_AUTH")],
            "type SASL_SCRAM_512_AUTH is not supported for given event source mapping type.",
        ),
        (MQ, [access("VIRTUAL_HOST", "/")], "type BASIC_AUTH is required for given event source mapping type."),
        (MQ, [BASIC, BASIC], "type BASIC_AUTH is specified more than once."),
        (KAFKA, [BASIC, access("IAM_AUTH", None)], "only one authentication type can be specified."),
        (KAFKA, [access("IAM_AUTH")], "type IAM_AUTH does not support a URI."),
        (KAFKA, NETWORK[:1], "types VPC_SUBNET and VPC_SECURITY_GROUP must be specified together."),
        (
            KAFKA,
            [BASIC, access("OAUTHBEARER_SCOPE", "s")],
            "type OAUTHBEARER_SCOPE requires OAUTHBEARER_AUTH or IAM_OAUTHBEARER_AUTH.",
        ),
        (
            KAFKA,
            [access("IAM_OAUTHBEARER_AUTH", None)],
            "type IAM_OAUTHBEARER_AUTH requires OAUTHBEARER_AUDIENCE.",
        ),
    ],
)
def test_access_that_the_source_does_not_take_is_refused(
    kind: SourceKind, configurations: list[dict[str, str]], message: str
) -> None:
    assert refusal_of({**MEMBERS[kind], "SourceAccessConfigurations": configurations}) == INVALID_ACCESS + message


@pytest.mark.parametrize(("one", "name"), [({"URI": SECRET}, "type"), ({"Type": "BASIC_AUTH"}, "uri")])
def test_access_needs_a_type_and_mostly_a_uri(one: dict[str, str], name: str) -> None:
    assert refusal_of({**MEMBERS[MQ], "SourceAccessConfigurations": [one]}) == (
        f"Required 'sourceAccessConfigurations.{name}' parameter is missing."
    )


@pytest.mark.parametrize(
    "configurations",
    [
        NETWORK,
        [*NETWORK, NETWORK[0], access("SASL_SCRAM_256_AUTH"), access("SERVER_ROOT_CA_CERTIFICATE")],
        [access("CLIENT_CERTIFICATE_TLS_AUTH")],
        [access("IAM_AUTH", None)],
        [access("IAM_OAUTHBEARER_AUTH", None), access("OAUTHBEARER_AUDIENCE", "a")],
        [access("OAUTHBEARER_AUTH"), access("OAUTHBEARER_SCOPE", "s"), access("OAUTHBEARER_LOGICAL_CLUSTER", "c")],
    ],
)
def test_self_managed_kafka_takes_every_way_of_access_that_aws_has(configurations: list[dict[str, str]]) -> None:
    kept = mapping_of(KAFKA, SourceAccessConfigurations=configurations).members
    assert kept["SourceAccessConfigurations"] == configurations


# --- functions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "qualifier"),
    [
        ("orders", None),
        ("orders:live", "live"),
        ("orders:$LATEST", "$LATEST"),
        (str(ORDERS), None),
        (f"{ORDERS}:7", "7"),
        (f"{ORDERS}:$LATEST", None),
    ],
)
def test_latest_is_kept_of_a_name_and_dropped_of_an_arn(reference: str, qualifier: str | None) -> None:
    found = mapped_function(reference, region="us-east-1", account="000000000000")
    assert found == replace(ORDERS, qualifier=qualifier)


def test_a_function_of_another_region_is_not_reachable() -> None:
    with pytest.raises(ResourceNotFoundException, match="not reachable in this region"):
        mapped_function(str(ORDERS), region="eu-west-1", account="000000000000")


# --- duplicates -------------------------------------------------------------------------------------------------------

OTHER = "22222222-2222-4222-8222-222222222222"
EXISTS = f"already exists. Please update or delete the existing mapping with UUID {OTHER}"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (SQS, f'An event source mapping with SQS arn (" {QUEUE} ") and function (" orders ") {EXISTS}'),
        (KINESIS, f'The event source arn (" {STREAM} ") and function (" orders ") provided mapping {EXISTS}'),
        (DYNAMODB, f'The event source arn (" {TABLE} ") and function (" orders ") provided mapping {EXISTS}'),
        (MQ, f'The event source arn (" {BROKER} ") and function (" orders ") provided mapping {EXISTS}'),
        (DOCUMENTDB, f'The event source arn (" {DOCUMENTS} ") and function (" orders ") provided mapping {EXISTS}'),
        (
            MSK,
            (
                f'An event source mapping with event source ("{CLUSTER}"), function ("{ORDERS}"), topics ("orders") '
                f"{EXISTS}"
            ),
        ),
        (
            KAFKA,
            (
                f'An event source mapping with event source ("127.0.0.1:9092"), function ("{ORDERS}"), '
                f'topics ("orders") {EXISTS}'
            ),
        ),
    ],
)
def test_a_function_polls_a_source_once(kind: SourceKind, message: str) -> None:
    wanted = mapping_of(kind)
    refuse_duplicate(wanted, [wanted])
    with pytest.raises(ResourceConflictException) as conflict:
        refuse_duplicate(wanted, [mapping_of(kind, uuid=OTHER, BatchSize=1)])
    assert conflict.value.message == message


@pytest.mark.parametrize(
    ("kind", "difference"),
    [
        (SQS, {"EventSourceArn": f"{QUEUE}-2"}),
        (MSK, {"Topics": ["bills"]}),
        (KAFKA, {"Topics": ["bills"]}),
        (
            KAFKA,
            {"SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["127.0.0.1:9093"]}}},
        ),
        (MQ, {"Queues": ["bills"]}),
        (MQ, {"SourceAccessConfigurations": [BASIC, {"Type": "VIRTUAL_HOST", "URI": "other"}]}),
        (DOCUMENTDB, {"DocumentDBEventSourceConfig": {"DatabaseName": "shop", "CollectionName": "c"}}),
    ],
)
def test_another_part_of_a_source_is_another_source(kind: SourceKind, difference: dict[str, Any]) -> None:
    refuse_duplicate(mapping_of(kind), [mapping_of(kind, uuid=OTHER, **difference)])


def test_another_function_or_qualifier_may_poll_the_same_source() -> None:
    live = mapping_of(SQS, uuid=OTHER, function=ORDERS.qualified("live"))
    bills = mapping_of(SQS, uuid=OTHER, function=replace(ORDERS, name="bills"))
    refuse_duplicate(mapping_of(SQS), [live, bills])


# --- updates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "before", "update", "changed"),
    [
        (SQS, {"BatchSize": 5}, {"MaximumBatchingWindowInSeconds": 2}, {"MaximumBatchingWindowInSeconds": 2}),
        (SQS, {"ScalingConfig": {"MaximumConcurrency": 2}}, {"ScalingConfig": {}}, {"ScalingConfig": None}),
        (
            SQS,
            {"FilterCriteria": {"Filters": [{"Pattern": '{"a": [1]}'}]}},
            {"FilterCriteria": {}},
            {"FilterCriteria": None},
        ),
        (
            SQS,
            {"FunctionResponseTypes": ["ReportBatchItemFailures"]},
            {"FunctionResponseTypes": []},
            {"FunctionResponseTypes": []},
        ),
        (SQS, {"KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"}, {"KMSKeyArn": ""}, {"KMSKeyArn": None}),
        (
            SQS,
            {"ProvisionedPollerConfig": {"MinimumPollers": 3}},
            {"ProvisionedPollerConfig": {"MaximumPollers": 9}},
            {"ProvisionedPollerConfig": {"MinimumPollers": 3, "MaximumPollers": 9}},
        ),
        (
            SQS,
            {"ProvisionedPollerConfig": {"MinimumPollers": 3}},
            {"ProvisionedPollerConfig": {}},
            {"ProvisionedPollerConfig": None},
        ),
        (
            KINESIS,
            {"DestinationConfig": {"OnFailure": {"Destination": TOPIC_ARN}}},
            {"DestinationConfig": {"OnFailure": {"Destination": ""}}},
            {"DestinationConfig": {"OnFailure": {}}},
        ),
        (KINESIS, {}, {"ParallelizationFactor": 10}, {"ParallelizationFactor": 10}),
        (
            KAFKA,
            {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"}},
            {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"}, "BatchSize": 1},
            {"BatchSize": 1},
        ),
        (
            DOCUMENTDB,
            {},
            {"DocumentDBEventSourceConfig": {"FullDocument": "UpdateLookup"}},
            {"DocumentDBEventSourceConfig": {"DatabaseName": "shop", "FullDocument": "UpdateLookup"}},
        ),
    ],
)
def test_an_update_changes_what_it_names_and_takes_away_what_is_empty(
    kind: SourceKind, before: dict[str, Any], update: dict[str, Any], changed: dict[str, Any]
) -> None:
    mapping = mapping_of(kind, **before)
    wanted = {**mapping.members, **changed}
    assert changed_settings(mapping, update) == {name: value for name, value in wanted.items() if value is not None}


@pytest.mark.parametrize(
    ("kind", "update", "message"),
    [
        (SQS, {"BatchSize": 11}, WINDOW_NEEDED),
        (SQS, {"ParallelizationFactor": 2}, unsupported("parallelizationFactor")),
        (KINESIS, {"StartingPosition": "LATEST"}, unsupported("startingPosition")),
        (KAFKA, {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"}}, "ConsumerGroupId cannot be updated."),
        (
            KAFKA,
            {"SelfManagedKafkaEventSourceConfig": {"ConsumptionMode": "Queue"}},
            "ConsumptionMode cannot be updated.",
        ),
        (
            MQ,
            {"SourceAccessConfigurations": [BASIC, {"Type": "VIRTUAL_HOST", "URI": "/"}]},
            f"{INVALID_ACCESS}type VIRTUAL_HOST cannot be updated.",
        ),
    ],
)
def test_an_update_is_held_to_the_same_rules_and_some_members_stay_for_ever(
    kind: SourceKind, update: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameterValueException) as refusal:
        changed_settings(mapping_of(kind), update)
    assert refusal.value.message == message


# --- what is shown ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_a_mapping_is_shown_with_its_settings_and_how_it_stands(kind: SourceKind) -> None:
    mapping = mapping_of(kind)
    shown = describe_mapping(mapping)

    assert shown == {
        **mapping.members,
        "UUID": UUID,
        "EventSourceArn": mapping.source_arn,
        "EventSourceMappingArn": f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{UUID}",
        "FunctionArn": str(ORDERS),
        "LastModified": NOW,
        "LastProcessingResult": None if kind is SQS else "No records processed",
        "State": "Creating",
        "StateTransitionReason": "User action" if kind in (KINESIS, DYNAMODB) else "USER_INITIATED",
    }


def test_a_list_hides_filters_that_a_key_of_the_users_protects() -> None:
    filters = {"FilterCriteria": {"Filters": [{"Pattern": '{"a": [1]}'}]}}
    hidden = mapping_of(SQS, KMSKeyArn="arn:aws:kms:us-east-1:000000000000:key/k", **filters)

    assert describe_mapping(hidden)["FilterCriteria"] == filters["FilterCriteria"]
    assert "FilterCriteria" not in describe_mapping_in_list(hidden)
    assert "FilterCriteria" in describe_mapping_in_list(mapping_of(SQS, **filters))
