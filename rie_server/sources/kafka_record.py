"""Kafka's messages as the handler sees them, and the event around them. Pure; thread-safe.

A key or a value that is null has no member, as in AWS's events: a tombstone is a record without ``value``. A record is
written as JSON at once: thousands come in a second, and most of what stands in them is always the same.
"""

import json
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from confluent_kafka import Message

from rie_server.model.base64_bytes import base64_bytes
from rie_server.model.event_source import EventSourceMapping, SourceKind, SourceRecord

_TIMESTAMP_TYPES = (b"NO_TIMESTAMP_TYPE", b"CREATE_TIME", b"LOG_APPEND_TIME")
_new = tuple.__new__
_lane_of = attrgetter("lane")
_SIGNED = tuple(byte - 256 if byte > 127 else byte for byte in range(256))


class PartitionRecords:
    """Makes the records of one partition.

    Args:
        lane: ``topic-0``.
    """

    __slots__ = ("_head", "_lane")

    def __init__(self, lane: str, topic: str, partition: int) -> None:
        self._lane = lane
        self._head = b'{"topic":%b,"partition":%d,"offset":' % (json.dumps(topic).encode(), partition)

    def record(self, message: Message) -> SourceRecord:
        """Of a message without an error."""
        offset = message.offset() or 0
        kind, timestamp_ms = message.timestamp()
        # The client says text or bytes, and gives bytes.
        key: Any = message.key()
        value: Any = message.value()
        headers = message.headers()
        document = b'%b%d,"timestamp":%d,"timestampType":"%b"%b%b,"headers":%b}' % (
            self._head,
            offset,
            timestamp_ms,
            _TIMESTAMP_TYPES[kind],
            b"" if key is None else b',"key":"%b"' % base64_bytes(key),
            b"" if value is None else b',"value":"%b"' % base64_bytes(value),
            _headers(headers) if headers else b"[]",
        )
        # All members in order, past the constructor with its names: that takes a third of the time.
        return _new(
            SourceRecord,
            (str(offset), self._lane, timestamp_ms / 1000, len(document), document, value, None, None),
        )


def event(
    mapping: EventSourceMapping, bootstrap_servers: Sequence[str], records: Sequence[SourceRecord]
) -> dict[str, Any]:
    """``{"eventSource": ..., "bootstrapServers": "a:9092,b:9092", "records": {"topic-0": [...]}}``."""
    by_lane: dict[str, list[Any]] = {}
    for lane, some in groupby(records, _lane_of):
        by_lane.setdefault(lane or "", []).extend([record.document for record in some])
    around: dict[str, Any] = {"eventSource": "SelfManagedKafka"}
    if mapping.kind is SourceKind.MSK:
        around = {"eventSource": "aws:kafka", "eventSourceArn": mapping.source_arn}
    return {**around, "bootstrapServers": ",".join(bootstrap_servers), "records": by_lane}


def _headers(headers: Any) -> bytes:
    """Bytes as Java has them, from -128 to 127."""
    shown = [{name: None if content is None else [_SIGNED[byte] for byte in content]} for name, content in headers]
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode()
