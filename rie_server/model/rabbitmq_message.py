"""A RabbitMQ message as the handler sees it (Lambda Developer Guide, "Process Amazon MQ messages"). Pure.

AWS's poller is written in Java, and it shows: a date is written the way Java's medium format does it, and text in
headers comes as a list of signed bytes.
"""

import base64
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PROPERTIES = {
    "contentType": "content_type",
    "contentEncoding": "content_encoding",
    "headers": "headers",
    "deliveryMode": "delivery_mode",
    "priority": "priority",
    "correlationId": "correlation_id",
    "replyTo": "reply_to",
    "expiration": "expiration",
    "messageId": "message_id",
    "timestamp": "timestamp",
    "type": "type",
    "userId": "user_id",
    "appId": "app_id",
    "clusterId": "cluster_id",
}
"""AWS's names of AMQP's fourteen basic properties, and AMQP's own."""


def rabbitmq_document(properties: Mapping[str, Any], body: bytes, *, redelivered: bool) -> dict[str, Any]:
    """One element of ``rmqMessagesByQueue``.

    Args:
        properties: by AMQP's names; ``timestamp`` in seconds since the epoch.
    """
    basic: dict[str, Any] = {ours: properties.get(theirs) for ours, theirs in PROPERTIES.items()}
    if basic["headers"] is not None:
        basic["headers"] = {str(name): header_value(value) for name, value in basic["headers"].items()}
    if basic["timestamp"] is not None:
        basic["timestamp"] = java_date(basic["timestamp"])
    basic["bodySize"] = len(body)
    return {"basicProperties": basic, "redelivered": redelivered, "data": base64.b64encode(body).decode("ascii")}


def header_value(value: Any) -> Any:
    """A value of AMQP's field table."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": [byte - 256 if byte > 127 else byte for byte in value]}
    if isinstance(value, Mapping):
        return {str(name): header_value(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [header_value(one) for one in value]
    if isinstance(value, dt.datetime):
        return java_date(int(value.replace(tzinfo=value.tzinfo or dt.UTC).timestamp()))
    if isinstance(value, Decimal):
        return float(value)
    return value


def java_date(seconds: int) -> str | None:
    """``Jan 1, 1970, 12:33:41 AM``; None for what no calendar has."""
    try:
        at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None
    hour, half = at.hour % 12 or 12, "AM" if at.hour < 12 else "PM"
    return f"{MONTHS[at.month - 1]} {at.day}, {at.year}, {hour}:{at.minute:02}:{at.second:02} {half}"
