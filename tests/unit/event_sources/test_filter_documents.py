"""What filters see of the records of each event source."""

import base64
import json
from typing import Any

import pytest

from rie_server.model.event_source import SourceKind, SourceRecord
from rie_server.model.filter_documents import passes
from rie_server.model.filter_pattern import compile_filters

JSON_TEXT = '{"City": "Seattle", "Level": 3.0e2}'
PLAIN_TEXT = "Seattle"
JSON_PATTERN = {"City": ["Seattle"]}
TEXT_PATTERN = [{"prefix": "Sea"}]


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def sqs(body: str) -> dict[str, Any]:
    return {"messageId": "1", "body": body, "attributes": {"SenderId": "me"}, "eventSource": "aws:sqs"}


def kinesis(data: str | bytes) -> dict[str, Any]:
    return {
        "kinesis": {"partitionKey": "1", "sequenceNumber": "5", "data": b64(data), "approximateArrivalTimestamp": 1.5},
        "eventSource": "aws:kinesis",
    }


def mq(data: str) -> dict[str, Any]:
    return {"messageID": "ID:1", "data": b64(data), "redelivered": False}


def kafka(value: str | None, key: str = "k") -> dict[str, Any]:
    text = None if value is None else b64(value)
    return {"topic": "t", "partition": 0, "offset": 15, "key": b64(key), "value": text, "headers": []}


SOURCES = [
    (SourceKind.SQS, "body", sqs, {"messageId": ["1"]}),
    (SourceKind.KINESIS, "data", kinesis, {"partitionKey": ["1"]}),
    (SourceKind.MQ, "data", mq, {"messageID": ["ID:1"]}),
    (SourceKind.MSK, "value", kafka, {"offset": [15]}),
    (SourceKind.SELF_MANAGED_KAFKA, "value", kafka, {"offset": [15]}),
]


def read(document: dict[str, Any], payload: bytes | None = None) -> SourceRecord:
    return SourceRecord(identifier="1", lane=None, arrived_at=0.0, size_bytes=100, document=document, payload=payload)


def let_through(kind: SourceKind, pattern: Any, document: dict[str, Any], payload: bytes | None = None) -> bool:
    return passes(compile_filters([json.dumps(pattern)]), kind, read(document, payload))


@pytest.mark.parametrize(("kind", "key", "record", "metadata"), SOURCES)
@pytest.mark.parametrize(
    ("payload", "pattern", "is_seen"),
    [
        (JSON_TEXT, JSON_PATTERN, True),
        (JSON_TEXT, {"City": ["Oslo"]}, False),
        (PLAIN_TEXT, TEXT_PATTERN, True),
        (PLAIN_TEXT, ["Oslo"], False),
        (PLAIN_TEXT, JSON_PATTERN, False),
        (PLAIN_TEXT, {"City": [{"exists": False}]}, False),
        (JSON_TEXT, [{"prefix": "{"}], False),
        (JSON_TEXT, [{"anything-but": "x"}], False),
        (f"[{JSON_TEXT}]", JSON_PATTERN, True),
        ("5", ["5"], True),
        ("5", [{"numeric": ["=", 5]}], False),
    ],
)
def test_json_is_compared_with_nested_patterns_and_plain_text_with_plain_ones(
    kind: SourceKind, key: str, record: Any, metadata: Any, payload: str, pattern: Any, is_seen: bool
) -> None:
    assert let_through(kind, {key: pattern}, record(payload)) is is_seen
    assert let_through(kind, {key: pattern} | metadata, record(payload)) is is_seen


@pytest.mark.parametrize(("kind", "key", "record", "metadata"), SOURCES)
@pytest.mark.parametrize("payload", [JSON_TEXT, PLAIN_TEXT, ""])
def test_a_pattern_without_the_payload_looks_at_metadata_alone(
    kind: SourceKind, key: str, record: Any, metadata: Any, payload: str
) -> None:
    assert key not in metadata
    assert let_through(kind, metadata, record(payload))
    assert not let_through(kind, {name: ["other"] for name in metadata}, record(payload))


@pytest.mark.parametrize("pattern", [JSON_PATTERN, [{"anything-but": "x"}], [{"exists": False}]])
def test_bytes_that_are_no_text_match_no_pattern_for_the_payload(pattern: Any) -> None:
    assert not let_through(SourceKind.KINESIS, {"data": pattern}, kinesis(b"\xff\xfe"))


def test_numbers_in_a_payload_are_compared_as_they_are_written() -> None:
    assert let_through(SourceKind.SQS, {"body": {"Level": [{"numeric": ["=", 300]}]}}, sqs(JSON_TEXT))
    assert not let_through(SourceKind.SQS, {"body": {"Level": [300]}}, sqs(JSON_TEXT))


def test_a_choice_may_look_at_the_payload_or_at_metadata() -> None:
    pattern = {"$or": [{"body": JSON_PATTERN}, {"attributes": {"SenderId": ["me"]}}]}
    assert let_through(SourceKind.SQS, pattern, sqs(PLAIN_TEXT))


def test_keys_of_kafka_records_are_payloads_too() -> None:
    assert let_through(SourceKind.MSK, {"key": ["k"], "value": JSON_PATTERN}, kafka(JSON_TEXT))
    assert let_through(SourceKind.MSK, {"key": JSON_PATTERN}, kafka("v", key=JSON_TEXT))


def test_a_kafka_record_without_a_value_has_null() -> None:
    assert let_through(SourceKind.MSK, {"value": [None]}, kafka(None))
    assert not let_through(SourceKind.MSK, {"value": JSON_PATTERN}, kafka(None))


def test_payload_bytes_of_the_caller_are_used_instead_of_base64() -> None:
    record = kafka("something else")
    assert let_through(SourceKind.MSK, {"value": JSON_PATTERN}, record, JSON_TEXT.encode())


def test_a_value_that_a_schema_registry_made_json_of_is_seen_as_such() -> None:
    record = kafka(None) | {"value": JSON_TEXT}
    assert let_through(SourceKind.MSK, {"value": JSON_PATTERN}, record)


def test_records_of_dynamodb_are_compared_as_they_are() -> None:
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": {"Id": {"N": "101"}}, "SizeBytes": 26}}
    nested = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"Id": {"N": ["101"]}}}}
    assert let_through(SourceKind.DYNAMODB, nested, record)
    assert not let_through(SourceKind.DYNAMODB, {"dynamodb": {"NewImage": {"Id": {"N": [101]}}}}, record)
    assert let_through(SourceKind.DYNAMODB, {"dynamodb": {"OldImage": {"Id": {"N": [{"exists": False}]}}}}, record)


def test_the_record_stays_as_it_was() -> None:
    record = kinesis(JSON_TEXT)
    before = json.dumps(record)
    assert let_through(SourceKind.KINESIS, {"data": JSON_PATTERN}, record)
    assert json.dumps(record) == before


def test_without_filters_every_record_passes() -> None:
    assert passes(compile_filters([]), SourceKind.SQS, read(sqs("\x00")))
