"""A RabbitMQ message as the handler sees it (Lambda Developer Guide, "Process Amazon MQ messages"). Pure.

AWS's poller is written in Java, and it shows: a date is written the way Java's medium format does it, and text in
headers comes as a list of signed bytes.
"""

import datetime as dt
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from rie_server.model.base64_bytes import base64_bytes

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class MessageHead(NamedTuple):
    """What messages with the same properties have in common.

    Attributes:
        basic: ``basicProperties`` as JSON, but for the number that ends it, ``bodySize``.
        timestamp: seconds since the epoch; None where the sender gave none.
    """

    basic: bytes
    timestamp: int | None


def message_head(properties: Any) -> MessageHead:
    """
    Args:
        properties: AMQP's fourteen basic properties as attributes; ``timestamp`` in seconds since the epoch.
    """
    headers, timestamp = properties.headers, properties.timestamp
    basic = {
        "contentType": properties.content_type,
        "contentEncoding": properties.content_encoding,
        "headers": None if headers is None else {_text(name): header_value(value) for name, value in headers.items()},
        "deliveryMode": properties.delivery_mode,
        "priority": properties.priority,
        "correlationId": properties.correlation_id,
        "replyTo": properties.reply_to,
        "expiration": properties.expiration,
        "messageId": properties.message_id,
        "timestamp": None if timestamp is None else java_date(timestamp),
        "type": properties.type,
        "userId": properties.user_id,
        "appId": properties.app_id,
        "clusterId": properties.cluster_id,
    }
    text = json.dumps(basic, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_text)
    return MessageHead(f'{text[:-1]},"bodySize":'.encode(), timestamp)


def rabbitmq_document(head: MessageHead, body: bytes, *, redelivered: bool) -> bytes:
    """One element of ``rmqMessagesByQueue``, as JSON."""
    return b'{"basicProperties":%b%d},"redelivered":%b,"data":"%b"}' % (
        head.basic,
        len(body),
        b"true" if redelivered else b"false",
        base64_bytes(body),
    )


def header_value(value: Any) -> Any:
    """A value of AMQP's field table."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": [byte - 256 if byte > 127 else byte for byte in value]}
    if isinstance(value, Mapping):
        return {_text(name): header_value(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [header_value(one) for one in value]
    if isinstance(value, dt.datetime):
        return java_date(int(value.replace(tzinfo=value.tzinfo or dt.UTC).timestamp()))
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no such number
    return value


def _text(value: Any) -> str:
    """Of a short string, which the client leaves as bytes where they are no UTF-8; Java puts U+FFFD in their place."""
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value)


def java_date(seconds: int) -> str | None:
    """``Jan 1, 1970, 12:33:41 AM``; None for what no calendar has."""
    try:
        at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None
    hour, half = at.hour % 12 or 12, "AM" if at.hour < 12 else "PM"
    return f"{MONTHS[at.month - 1]} {at.day}, {at.year}, {hour}:{at.minute:02}:{at.second:02} {half}"
