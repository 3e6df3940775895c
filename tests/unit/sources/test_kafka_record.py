"""Records of Kafka as the handler sees them."""

import base64
import json
from typing import Any, cast

import pytest
from confluent_kafka import Message

from rie_server.sources.kafka_record import PartitionRecords, event
from tests.fakes.partitions import partition_mapping


class _Message:
    """What a record is made of, as the client has it."""

    def __init__(self, *, key: bytes | None = None, value: bytes | None = b"v", headers: Any = None) -> None:
        self.key, self.value, self.headers = (lambda: key), (lambda: value), (lambda: headers)
        self.offset, self.timestamp = (lambda: 15), (lambda: (1, 1_545_084_650_987))


def _document(**members: Any) -> Any:
    record = PartitionRecords("my-topic-3", "my-topic", 3).record(cast("Message", _Message(**members)))
    return json.loads(cast("bytes", record.document))


def test_a_record_has_the_members_of_awss_event_in_their_order() -> None:
    record = PartitionRecords("my-topic-0", "my-topic", 0).record(
        cast("Message", _Message(key=b"\xff", value=b"Hello", headers=[("headerKey", b"head\xe9r")]))
    )
    assert record.document == (
        b'{"topic":"my-topic","partition":0,"offset":15,"timestamp":1545084650987,"timestampType":"CREATE_TIME",'
        b'"key":"/w==","value":"SGVsbG8=","headers":[{"headerKey":[104,101,97,100,-23,114]}]}'
    )
    assert (record.identifier, record.lane, record.arrived_at) == ("15", "my-topic-0", 1_545_084_650.987)
    assert (record.payload, record.size_bytes, record.invalid) == (b"Hello", len(record.document), None)
    assert record.read_document() == json.loads(record.document)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 57, 200, 5000])
def test_bytes_of_any_length_are_base64_in_one_line(size: int) -> None:
    content = bytes(number % 256 for number in range(size))
    document = _document(key=content, value=content)
    assert document["key"] == document["value"] == base64.b64encode(content).decode()


def test_what_is_null_has_no_member() -> None:
    assert _document(value=None).keys() == {"topic", "partition", "offset", "timestamp", "timestampType", "headers"}
    assert _document()["headers"] == []


def test_headers_may_have_any_name_come_again_and_be_null() -> None:
    headers = [('"\\ü\n', b""), ("twice", b"a"), ("twice", None)]
    assert _document(headers=headers)["headers"] == [{'"\\ü\n': []}, {"twice": [97]}, {"twice": None}]


def test_records_stand_under_their_partitions() -> None:
    first, second = PartitionRecords("t-0", "t", 0), PartitionRecords("t-1", "t", 1)
    records = [one.record(cast("Message", _Message())) for one in (first, second, second, first)]
    assert event(partition_mapping(), ["a:1", "b:2"], records) == {
        "eventSource": "SelfManagedKafka",
        "bootstrapServers": "a:1,b:2",
        "records": {"t-0": [records[0].document, records[3].document], "t-1": [one.document for one in records[1:3]]},
    }
