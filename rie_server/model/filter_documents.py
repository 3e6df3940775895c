"""What a filter of an event source mapping looks at: the record as the handler would see it, with its payload opened.

Pure. A pattern that goes into the payload (``body``, ``data``, ``value``, ``key``) wants JSON there, one that compares
the key itself wants plain text, and a record of the other kind is dropped; one that does not name the key looks at the
metadata alone. DynamoDB's records are JSON throughout, with numbers as texts.

AWS: Lambda Developer Guide, "Control which events Lambda sends to your function", by event source.
"""

import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from rie_server.model.event_source_kind import EventSourceKind
from rie_server.model.filter_pattern import Filters, Payload

_PAYLOAD_KEYS: Final[Mapping[EventSourceKind, tuple[str, ...]]] = {
    EventSourceKind.SQS: ("body",),
    EventSourceKind.KINESIS: ("data",),
    EventSourceKind.DYNAMODB: (),
    EventSourceKind.KAFKA: ("value", "key"),
    EventSourceKind.MQ: ("data",),
    EventSourceKind.DOCUMENTDB: (),
}
_NOTHING_DECODED: Final[Mapping[str, bytes]] = MappingProxyType({})


def passes(
    filters: Filters,
    kind: EventSourceKind,
    record: Mapping[str, Any],
    *,
    decoded: Mapping[str, bytes] = _NOTHING_DECODED,
) -> bool:
    """Whether the function is to see ``record``.

    Args:
        record: one element of ``Records``, ``records[topic-partition]``, ``messages`` or ``rmqMessagesByQueue[queue]``
            of the event that the handler would get.
        decoded: the payload's bytes by payload key, for a caller that has them; otherwise base64 is decoded here.
    """
    return not filters.patterns or filters.matches(filter_document(kind, record, decoded=decoded))


def filter_document(
    kind: EventSourceKind, record: Mapping[str, Any], *, decoded: Mapping[str, bytes] = _NOTHING_DECODED
) -> dict[str, Any]:
    """The document that patterns are compared with.

    Patterns for Kinesis name ``data`` and ``partitionKey`` at the top, although the handler finds them in ``kinesis``.
    """
    document = dict(record)
    if kind is EventSourceKind.KINESIS:
        document |= document.pop("kinesis", {})
    for key in _PAYLOAD_KEYS[kind]:
        raw = document.get(key)
        if key in decoded:
            document[key] = Payload(decoded[key])
        elif isinstance(raw, str):
            document[key] = Payload(raw if kind is EventSourceKind.SQS else _from_base64(raw))
    return document


def _from_base64(text: str) -> bytes | str:
    """A schema registry may have made plain JSON of it already."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text
