"""What a filter of an event source mapping looks at: the record as the handler would see it, with its payload opened.

Pure. A pattern that goes into the payload (``body``, ``data``, ``value``, ``key``) wants JSON there, one that compares
the key itself wants plain text, and a record of the other kind is dropped; one that does not name the key looks at the
metadata alone. DynamoDB's records are JSON throughout, with numbers as texts.

AWS: Lambda Developer Guide, "Control which events Lambda sends to your function", by event source.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from rie_server.model.event_source import SourceKind, SourceRecord
from rie_server.model.filter_pattern import Filters, Payload

_PAYLOAD_KEYS: Final[Mapping[SourceKind, tuple[str, ...]]] = {
    SourceKind.SQS: ("body",),
    SourceKind.KINESIS: ("data",),
    SourceKind.DYNAMODB: (),
    SourceKind.MSK: ("value", "key"),
    SourceKind.SELF_MANAGED_KAFKA: ("value", "key"),
    SourceKind.MQ: ("data",),
    SourceKind.DOCUMENTDB: (),
}


def passes(filters: Filters, kind: SourceKind, record: SourceRecord) -> bool:
    """Whether the function is to see ``record``."""
    if not filters.patterns:
        return True
    return filters.matches(filter_document(kind, record.read_document(), payload=record.payload))


def filter_document(kind: SourceKind, record: Mapping[str, Any], *, payload: bytes | None = None) -> dict[str, Any]:
    """The document that patterns are compared with.

    Patterns for Kinesis name ``data`` and ``partitionKey`` at the top, although the handler finds them in ``kinesis``.

    Args:
        record: one element of ``Records``, ``records[topic-partition]``, ``messages`` or ``rmqMessagesByQueue[queue]``
            of the event that the handler would get.
        payload: the bytes of ``body``, ``data`` or ``value``, for a caller that has them; without them, and for
            Kafka's ``key``, base64 is decoded here.
    """
    document = dict(record)
    if kind is SourceKind.KINESIS:
        document |= document.pop("kinesis", {})
    for key in _PAYLOAD_KEYS[kind]:
        raw = document.get(key)
        if payload is not None and key == _PAYLOAD_KEYS[kind][0]:
            document[key] = Payload(payload)
        elif isinstance(raw, str):
            document[key] = Payload(raw if kind is SourceKind.SQS else _from_base64(raw))
    return document


def _from_base64(text: str) -> bytes | str:
    """A schema registry may have made plain JSON of it already."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text
