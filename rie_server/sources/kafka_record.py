"""Kafka's messages as the handler sees them, and the event around them. Pure; thread-safe.

A key or a value that is null has no member, as in AWS's events: a tombstone is a record without ``value``.
"""

from binascii import b2a_base64
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Message

from rie_server.model.event_source import EventSourceMapping, SourceKind, SourceRecord

_TIMESTAMP_TYPES = ("NO_TIMESTAMP_TYPE", "CREATE_TIME", "LOG_APPEND_TIME")
_RECORD_BYTES = 160
"""Of a record's names, numbers and punctuation."""
_SIGNED = tuple(byte - 256 if byte > 127 else byte for byte in range(256))


def source_record(message: Message, lane: str, topic: str, partition: int) -> SourceRecord:
    """
    Args:
        lane: ``topic-0``.
    """
    offset = message.offset() or 0
    kind, timestamp_ms = message.timestamp()
    document: dict[str, Any] = {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp_ms,
        "timestampType": _TIMESTAMP_TYPES[kind],
    }
    size_bytes = _RECORD_BYTES + len(topic)
    # The client says text or bytes, and gives bytes.
    key: Any = message.key()
    value: Any = message.value()
    headers: Any = message.headers()
    if key is not None:
        document["key"] = encoded = b2a_base64(key, newline=False).decode("ascii")
        size_bytes += len(encoded)
    if value is not None:
        document["value"] = encoded = b2a_base64(value, newline=False).decode("ascii")
        size_bytes += len(encoded)
    document["headers"] = [_header(name, content) for name, content in headers] if headers else []
    if headers:
        size_bytes += sum(8 + 6 * len(name) + 5 * len(content or b"") for name, content in headers)
    return SourceRecord(
        identifier=str(offset),
        lane=lane,
        arrived_at=timestamp_ms / 1000,
        size_bytes=size_bytes,
        document=document,
        payload=value,
    )


def event(
    mapping: EventSourceMapping, bootstrap_servers: Sequence[str], records: Sequence[SourceRecord]
) -> dict[str, Any]:
    """``{"eventSource": ..., "bootstrapServers": "a:9092,b:9092", "records": {"topic-0": [...]}}``."""
    by_lane: dict[str, list[Any]] = {}
    for record in records:
        by_lane.setdefault(record.lane or "", []).append(record.document)
    around: dict[str, Any] = {"eventSource": "SelfManagedKafka"}
    if mapping.kind is SourceKind.MSK:
        around = {"eventSource": "aws:kafka", "eventSourceArn": mapping.source_arn}
    return {**around, "bootstrapServers": ",".join(bootstrap_servers), "records": by_lane}


def _header(name: str, content: Any) -> dict[str, Any]:
    """Bytes as Java has them, from -128 to 127."""
    return {name: None if content is None else [_SIGNED[byte] for byte in content]}
