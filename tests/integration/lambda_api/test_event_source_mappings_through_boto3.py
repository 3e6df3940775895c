"""Event source mappings as a client sees them: members, statuses, messages. Pollers only remember what was asked."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from rie_server.errors import InvalidParameterValueException
from rie_server.model.event_source import SourceKind
from tests.conftest import wait_until
from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import ARN, create, error_of, shown
from tests.unit.event_sources.mappings import BASIC, MEMBERS, QUEUE, STREAM

INVALID, NOT_FOUND = "InvalidParameterValueException", "ResourceNotFoundException"
IN_USE, CONFLICT, VALIDATION = "ResourceInUseException", "ResourceConflictException", "ValidationException"
UUID = "11111111-1111-4111-8111-111111111111"
GONE = (404, NOT_FOUND, "The resource you requested does not exist.")


@pytest.fixture(autouse=True)
def function(client: Any) -> None:
    create(client)


def make(client: Any, kind: SourceKind = SourceKind.SQS, **members: Any) -> Mapping[str, Any]:
    return client.create_event_source_mapping(FunctionName="f", **{**MEMBERS[kind], **members})


def settled(client: Any, mapping: Mapping[str, Any]) -> Any:
    def look() -> Any:
        got = client.get_event_source_mapping(UUID=mapping["UUID"])
        return got if got["State"] in ("Enabled", "Disabled") else None

    return wait_until(look, what="the mapping to settle")


def refused(client: Any, kind: SourceKind, **members: Any) -> tuple[int, str, str]:
    return error_of(client.create_event_source_mapping, FunctionName="f", **{**MEMBERS[kind], **members})


# --- success ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "names", "reason"),
    [
        (SourceKind.SQS, {"MaximumBatchingWindowInSeconds", "FunctionResponseTypes"}, "USER_INITIATED"),
        (
            SourceKind.KINESIS,
            {"MaximumBatchingWindowInSeconds", "FunctionResponseTypes", "StartingPosition", "DestinationConfig"}
            | {"BisectBatchOnFunctionError", "MaximumRecordAgeInSeconds", "MaximumRetryAttempts"}
            | {"ParallelizationFactor", "TumblingWindowInSeconds", "LastProcessingResult"},
            "User action",
        ),
        (
            SourceKind.MSK,
            {"StartingPosition", "DestinationConfig", "Topics", "AmazonManagedKafkaEventSourceConfig"}
            | {"LastProcessingResult"},
            "USER_INITIATED",
        ),
        (
            SourceKind.SELF_MANAGED_KAFKA,
            {"StartingPosition", "DestinationConfig", "Topics", "SelfManagedKafkaEventSourceConfig"}
            | {"SelfManagedEventSource", "SourceAccessConfigurations", "LastProcessingResult"},
            "USER_INITIATED",
        ),
        (SourceKind.MQ, {"Queues", "SourceAccessConfigurations", "LastProcessingResult"}, "USER_INITIATED"),
        (
            SourceKind.DOCUMENTDB,
            {"StartingPosition", "DocumentDBEventSourceConfig", "SourceAccessConfigurations", "LastProcessingResult"},
            "USER_INITIATED",
        ),
    ],
)
def test_create_answers_202_with_the_members_that_aws_shows(
    client: Any, kind: SourceKind, names: set[str], reason: str
) -> None:
    before = time.time()
    created = make(client, kind)
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert before - 0.001 <= created["LastModified"].timestamp() <= time.time() + 0.001
    common = {"UUID", "EventSourceMappingArn", "FunctionArn", "BatchSize", "State", "StateTransitionReason"}
    source = set() if kind is SourceKind.SELF_MANAGED_KAFKA else {"EventSourceArn"}
    assert shown(created).keys() == common | source | names | {"LastModified"}
    assert (created["State"], created["StateTransitionReason"]) == ("Creating", reason)
    assert created["FunctionArn"] == ARN

    got = settled(client, created)
    assert shown(got) == {**shown(created), "State": "Enabled"}


def test_last_modified_is_a_number_on_the_wire(control_plane: ControlPlane) -> None:
    path = f"{control_plane.url}/2015-03-31/event-source-mappings/"
    with requests.post(path, json={"FunctionName": "f", "EventSourceArn": QUEUE}, timeout=5) as reply:
        assert reply.status_code == 202
        assert isinstance(reply.json()["LastModified"], float | int)


def test_everything_that_can_be_set_is_shown_again(client: Any) -> None:
    members = {
        "BatchSize": 500,
        "MaximumBatchingWindowInSeconds": 5,
        "FilterCriteria": {"Filters": [{"Pattern": '{"body": {"kind": ["order"]}}'}]},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 7},
        "MetricsConfig": {"Metrics": ["EventCount"]},
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
    }
    created = make(client, **members, Tags={"team": "shop"})
    got = settled(client, created)
    assert {name: got[name] for name in members} == members
    assert client.list_tags(Resource=created["EventSourceMappingArn"])["Tags"] == {"team": "shop"}


def test_a_position_in_time_comes_back_as_it_was_given(client: Any) -> None:
    created = make(
        client, SourceKind.KINESIS, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1_767_225_600.5
    )
    assert created["StartingPositionTimestamp"].timestamp() == 1_767_225_600.5


@pytest.mark.parametrize(
    ("name", "arn"), [("f:$LATEST", f"{ARN}:$LATEST"), (f"{ARN}:$LATEST", ARN), ("000000000000:function:f", ARN)]
)
def test_the_function_is_shown_as_aws_keeps_it(client: Any, name: str, arn: str) -> None:
    created = client.create_event_source_mapping(FunctionName=name, EventSourceArn=QUEUE)
    assert created["FunctionArn"] == arn


def test_update_and_delete_answer_202_with_where_the_mapping_is_going(client: Any, control_plane: ControlPlane) -> None:
    mapping = settled(client, make(client))
    update = client.update_event_source_mapping
    updated = update(UUID=mapping["UUID"], BatchSize=3)
    assert updated["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (updated["State"], updated["BatchSize"]) == ("Updating", 3)
    assert settled(client, mapping)["State"] == "Enabled"
    assert control_plane.pollers.running[0].mapping.batch_size == 3
    assert update(UUID=mapping["UUID"], Enabled=False)["State"] == "Disabling"
    assert settled(client, mapping)["State"] == "Disabled"
    assert control_plane.pollers.running == []
    assert update(UUID=mapping["UUID"], Enabled=True)["State"] == "Enabling"
    assert settled(client, mapping)["State"] == "Enabled"

    deleted = client.delete_event_source_mapping(UUID=mapping["UUID"])
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert deleted["State"] == "Deleting"
    wait_until(lambda: not client.list_event_source_mappings()["EventSourceMappings"])
    assert error_of(client.get_event_source_mapping, UUID=mapping["UUID"]) == GONE


def test_lists_are_of_a_function_or_a_source_and_come_in_pages(client: Any) -> None:
    create(client, "g")
    queues = [make(client, EventSourceArn=f"{QUEUE}-{number}")["UUID"] for number in range(3)]
    other = client.create_event_source_mapping(
        FunctionName="g", EventSourceArn=STREAM, StartingPosition="LATEST", Enabled=False
    )["UUID"]

    def listed(**members: Any) -> list[str]:
        return [one["UUID"] for one in client.list_event_source_mappings(**members)["EventSourceMappings"]]

    assert listed() == sorted([*queues, other])
    assert listed(FunctionName="f") == listed(FunctionName=ARN) == sorted(queues)
    assert listed(FunctionName="g") == listed(EventSourceArn=STREAM) == [other]
    assert listed(FunctionName="f", EventSourceArn=STREAM) == listed(FunctionName="nobody") == []
    pages = client.get_paginator("list_event_source_mappings").paginate(PaginationConfig={"PageSize": 3})
    assert [[one["UUID"] for one in page["EventSourceMappings"]] for page in pages] == [
        sorted([*queues, other])[:3],
        sorted([*queues, other])[3:],
    ]


def test_a_mapping_has_tags(client: Any) -> None:
    arn = make(client)["EventSourceMappingArn"]
    client.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    client.untag_resource(Resource=arn, TagKeys=["a"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "2"}


def test_the_function_may_be_deleted_and_the_mapping_stays_enabled(client: Any) -> None:
    mapping = settled(client, make(client))
    client.delete_function(FunctionName="f")
    assert client.get_event_source_mapping(UUID=mapping["UUID"])["State"] == "Enabled"


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_mapping_that_does_not_exist(client: Any) -> None:
    arn = f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{UUID}"
    for call in (
        client.get_event_source_mapping,
        client.update_event_source_mapping,
        client.delete_event_source_mapping,
    ):
        assert error_of(call, UUID=UUID) == GONE
    nowhere = (404, NOT_FOUND, f"Event source mapping not found: {arn}")
    assert error_of(client.list_tags, Resource=arn) == nowhere
    assert error_of(client.tag_resource, Resource=arn, Tags={"a": "1"}) == nowhere
    assert error_of(client.untag_resource, Resource=arn, TagKeys=["a"]) == nowhere


def test_the_body_of_an_error_has_awss_keys(control_plane: ControlPlane, client: Any) -> None:
    control_plane.pollers.gate.clear()
    mapping = make(client)
    path = f"{control_plane.url}/2015-03-31/event-source-mappings/{mapping['UUID']}"
    with requests.put(path, json={"BatchSize": 1}, timeout=5) as reply:
        assert reply.status_code == 400
        assert reply.headers["x-amzn-ErrorType"] == IN_USE
        assert reply.json() == {
            "Type": "User",
            "Message": "Cannot update the event source mapping because it is in use.",
        }
    assert error_of(client.delete_event_source_mapping, UUID=mapping["UUID"]) == (
        400,
        IN_USE,
        "Cannot delete the event source mapping because it is in use.",
    )
    control_plane.pollers.gate.set()
    settled(client, mapping)


def test_a_function_that_does_not_exist_is_no_404(client: Any) -> None:
    missing = (400, INVALID, "Function does not exist")
    for name in ("nobody", "f:live", "f:7"):
        assert error_of(client.create_event_source_mapping, FunctionName=name, EventSourceArn=QUEUE) == missing
    mapping = settled(client, make(client))
    assert error_of(client.update_event_source_mapping, UUID=mapping["UUID"], FunctionName="nobody") == missing


def test_the_same_source_twice_is_a_conflict(client: Any) -> None:
    uuid = make(client)["UUID"]
    assert refused(client, SourceKind.SQS, BatchSize=1) == (
        409,
        CONFLICT,
        (
            f'An event source mapping with SQS arn (" {QUEUE} ") and function (" f ") already exists. '
            f"Please update or delete the existing mapping with UUID {uuid}"
        ),
    )


def test_what_the_source_says_is_passed_on(control_plane: ControlPlane, client: Any) -> None:
    words = f"Stream not found: {STREAM}"
    control_plane.inspector.refusal = InvalidParameterValueException(words)
    assert refused(client, SourceKind.KINESIS) == (400, INVALID, words)
    assert client.list_event_source_mappings()["EventSourceMappings"] == []


@pytest.mark.parametrize(
    ("kind", "members", "message"),
    [
        (SourceKind.SQS, {"EventSourceArn": None}, "Unrecognized event source."),
        (
            SourceKind.SQS,
            {"BatchSize": 11},
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ),
        (SourceKind.SQS, {"StartingPosition": "LATEST"}, "StartingPosition is not valid for SQS event sources."),
        (
            SourceKind.SQS,
            {"FilterCriteria": {"Filters": [{"Pattern": '{"body": "order"}'}]}},
            "Invalid filter pattern definition.",
        ),
        (
            SourceKind.KINESIS,
            {"StartingPosition": None},
            (
                "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
                "Member must not be null."
            ),
        ),
        (
            SourceKind.KINESIS,
            {"DestinationConfig": {"OnSuccess": {"Destination": QUEUE}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        (
            SourceKind.SELF_MANAGED_KAFKA,
            {"SourceAccessConfigurations": None},
            "Required 'sourceAccessConfigurations' parameter is missing.",
        ),
        (SourceKind.MQ, {"Queues": None}, "Required 'queues' parameter is missing."),
        (
            SourceKind.DOCUMENTDB,
            {"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}},
            "Unsupported 'filterCriteria' parameter for given event source mapping type.",
        ),
        (
            SourceKind.MSK,
            {"SourceAccessConfigurations": [BASIC]},
            (
                "Invalid 'sourceAccessConfigurations' parameter: type BASIC_AUTH is not supported for given event "
                "source mapping type."
            ),
        ),
    ],
)
def test_combinations_that_aws_refuses(client: Any, kind: SourceKind, members: dict[str, Any], message: str) -> None:
    wanted = {name: value for name, value in {**MEMBERS[kind], **members}.items() if value is not None}
    assert error_of(client.create_event_source_mapping, FunctionName="f", **wanted) == (400, INVALID, message)
    assert client.list_event_source_mappings()["EventSourceMappings"] == []


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"BatchSize": 10_001}, "batchSize"),
        ({"MaximumBatchingWindowInSeconds": 301}, "maximumBatchingWindowInSeconds"),
        ({"EventSourceArn": "orders"}, "eventSourceArn"),
        ({"ScalingConfig": {"MaximumConcurrency": 1}}, "scalingConfig.maximumConcurrency"),
        ({"FunctionResponseTypes": ["Nothing"]}, "functionResponseTypes"),
        ({"Topics": []}, "topics"),
        ({"StartingPosition": "SOMEWHERE"}, "startingPosition"),
        ({"SourceAccessConfigurations": [{"Type": "NONE"}]}, "sourceAccessConfigurations.1.member.type"),
    ],
)
def test_values_out_of_range_are_named(client: Any, members: dict[str, Any], where: str) -> None:
    status, code, message = refused(client, SourceKind.SQS, **members)
    assert (status, code) == (400, VALIDATION)
    assert f"at '{where}' failed to satisfy constraint: " in message


def test_a_uuid_of_the_wrong_length_is_refused(client: Any) -> None:
    with pytest.raises(ClientError) as refusal:
        client.get_event_source_mapping(UUID="short")
    assert refusal.value.response["Error"]["Code"] == VALIDATION
