"""Failure records of streams and of Kafka, to the letter."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rie_server.model.arn import FunctionArn
from rie_server.model.batch_failure_record import (
    FailedBatch,
    FunctionAnswer,
    message_record,
    object_key,
    object_record,
    topic_record,
)
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.model.stream_batch import DiscardCondition
from tests.unit.event_sources.records import record

SOURCE_ARNS = {
    SourceKind.KINESIS: "arn:aws:kinesis:us-east-1:000000000000:stream/s",
    SourceKind.DYNAMODB: "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2024-01-01T00:00:00.000",
    SourceKind.MSK: "arn:aws:kafka:us-east-1:000000000000:cluster/c/uuid",
    SourceKind.SELF_MANAGED_KAFKA: None,
}
ARRIVED_AT = 1_657_720_081.25
GIVEN_UP_AT = 1_767_225_600.5


def failed_batch(kind: SourceKind, **changes: Any) -> FailedBatch:
    mapping = EventSourceMapping(
        uuid="esm",
        kind=kind,
        function=FunctionArn(region="us-east-1", account="000000000000", name="f", qualifier="live"),
        source_arn=SOURCE_ARNS[kind],
        enabled=True,
        state=MappingState.ENABLED,
        state_transition_reason="",
        members={},
        last_modified=0.0,
    )
    batch = FailedBatch(
        mapping=mapping,
        shard_id="shardId-0",
        records=(
            record("5", lane="t-0", arrived_at=ARRIVED_AT),
            record("6", lane="t-0", arrived_at=ARRIVED_AT + 1),
        ),
        request_id="r",
        condition=DiscardCondition.RETRY_ATTEMPTS_EXHAUSTED,
        invoke_count=2,
        answer=FunctionAnswer(executed_version="$LATEST", function_error="Unhandled"),
        event=b'{"Records":[]}',
        at=GIVEN_UP_AT,
        bootstrap_servers="b:9092",
    )
    return replace(batch, **changes)


CONTEXTS = (
    '{"requestContext":{"requestId":"r","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f",'
    '"condition":"RetryAttemptsExhausted","approximateInvokeCount":2},'
    '"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},'
    '"version":"1.0","timestamp":"2026-01-01T00:00:00.500Z",'
)
KAFKA_RECORDS = (
    '"payloadSize":14,"recordsInfo":{"t-0":{"firstRecordOffset":"5","lastRecordOffset":"6",'
    '"firstRecordTimestamp":"2022-07-13T13:48:01.250Z","lastRecordTimestamp":"2022-07-13T13:48:02.250Z"}}}'
)
INFORMATION = {
    SourceKind.KINESIS: '"KinesisBatchInfo":{"shardId":"shardId-0","startSequenceNumber":"5","endSequenceNumber":"6",'
    '"approximateArrivalOfFirstRecord":"2022-07-13T13:48:01.250Z",'
    '"approximateArrivalOfLastRecord":"2022-07-13T13:48:02.250Z","batchSize":2,'
    f'"streamArn":"{SOURCE_ARNS[SourceKind.KINESIS]}"}}',
    SourceKind.DYNAMODB: '"DDBStreamBatchInfo":{"shardId":"shardId-0","startSequenceNumber":"5",'
    '"endSequenceNumber":"6",'
    '"approximateArrivalOfFirstRecord":"2022-07-13T13:48:01Z",'
    '"approximateArrivalOfLastRecord":"2022-07-13T13:48:02Z","batchSize":2,'
    f'"streamArn":"{SOURCE_ARNS[SourceKind.DYNAMODB]}"}}',
    SourceKind.MSK: f'"KafkaBatchInfo":{{"batchSize":2,"eventSourceArn":"{SOURCE_ARNS[SourceKind.MSK]}",'
    f'"bootstrapServers":"b:9092",{KAFKA_RECORDS}',
    SourceKind.SELF_MANAGED_KAFKA: f'"KafkaBatchInfo":{{"batchSize":2,"bootstrapServers":"b:9092",{KAFKA_RECORDS}',
}


@pytest.mark.parametrize("kind", INFORMATION)
def test_a_message_says_which_records_were_given_up_and_why(kind: SourceKind) -> None:
    assert message_record(failed_batch(kind)).decode() == CONTEXTS + INFORMATION[kind] + "}"


@pytest.mark.parametrize("kind", INFORMATION)
def test_an_object_has_the_event_besides_as_a_text(kind: SourceKind) -> None:
    expected = CONTEXTS + INFORMATION[kind] + r',"payload":"{\"Records\":[]}"}'
    assert object_record(failed_batch(kind)).decode() == expected


def test_a_topic_gets_each_record_with_its_event() -> None:
    failed = failed_batch(SourceKind.SELF_MANAGED_KAFKA)
    assert topic_record(failed, failed.records[1], b'{"records": {"t-0": [1.0]}}').decode() == (
        CONTEXTS + '"KafkaBatchInfo":{"batchSize":1,"bootstrapServers":"b:9092","payloadSize":27,'
        '"recordInfo":{"offset":"6","timestamp":"2022-07-13T13:48:02.250Z"}},"payload":{"records": {"t-0": [1.0]}}}'
    )


def test_without_an_answer_there_is_no_response_context() -> None:
    failed = failed_batch(SourceKind.KINESIS, condition=DiscardCondition.RECORD_AGE_EXCEEDED, answer=None)
    written = json.loads(message_record(failed))
    assert written["requestContext"]["condition"] == "RecordAgeExceeded"
    assert "responseContext" not in written


def test_records_that_a_response_has_failed_have_a_function_error_of_null() -> None:
    answer = FunctionAnswer(executed_version="3", function_error=None)
    written = json.loads(message_record(failed_batch(SourceKind.KINESIS, answer=answer)))
    assert written["responseContext"] == {"statusCode": 200, "executedVersion": "3", "functionError": None}


def test_a_tumbling_window_is_told_apart() -> None:
    window = {"window": {"start": "2020-12-09T07:04:00Z", "end": "2020-12-09T07:06:00Z"}, "state": {"1": 2}}
    written = json.loads(message_record(failed_batch(SourceKind.KINESIS, time_window=window)))
    assert written["timeWindowInfo"] == window


def test_a_final_invocation_without_records_has_nulls_in_their_place() -> None:
    written = json.loads(message_record(failed_batch(SourceKind.DYNAMODB, records=())))["DDBStreamBatchInfo"]
    assert written["batchSize"] == 0
    assert [name for name, value in written.items() if value is None] == [
        "startSequenceNumber",
        "endSequenceNumber",
        "approximateArrivalOfFirstRecord",
        "approximateArrivalOfLastRecord",
    ]


def test_a_batch_of_several_partitions_tells_the_ends_of_each() -> None:
    several = (record("1", lane="t-0"), record("9", lane="t-1"), record("2", lane="t-0"))
    written = json.loads(message_record(failed_batch(SourceKind.MSK, records=several)))["KafkaBatchInfo"]["recordsInfo"]
    ends = {name: (part["firstRecordOffset"], part["lastRecordOffset"]) for name, part in written.items()}
    assert ends == {"t-0": ("1", "2"), "t-1": ("9", "9")}


def test_objects_are_kept_by_mapping_shard_and_day() -> None:
    key = object_key(failed_batch(SourceKind.KINESIS), "unique")
    assert key == "aws/lambda/esm/shardId-0/2026/01/01/2026-01-01T00.00.00-unique"
