"""An ActiveMQ message, as STOMP brings it, in the shape in which the handler sees it. Pure.

STOMP does not tell when the broker took a message and when it handed it on: the sender's time stands for the first, the
time of arrival here for the second.
"""

from collections.abc import Mapping
from typing import Any

from rie_server.model.base64_bytes import base64_bytes

OF_STOMP = frozenset(
    {
        "ack",
        "content-length",
        "content-type",
        "correlation-id",
        "destination",
        "expires",
        "message-id",
        "original-destination",
        "persistent",
        "priority",
        "receipt",
        "redelivered",
        "reply-to",
        "subscription",
        "timestamp",
        "transformation",
        "type",
    }
)
"""Headers of the protocol; every other one is a property that the sender has set."""
NON_PERSISTENT, PERSISTENT = 1, 2


def activemq_document(headers: Mapping[str, str], body: bytes, *, now_ms: int, redelivered: bool) -> dict[str, Any]:
    """One element of ``messages``.

    Args:
        headers: of a MESSAGE frame. One with a content-length carries a bytes message, any other one text.
        now_ms: the time of arrival.
        redelivered: whether the message has been here before; the broker may say so as well.
    """
    sent_ms = _number(headers.get("timestamp"), now_ms)
    kind = "bytes" if "content-length" in headers else "text"
    persistent = headers.get("persistent") == "true"
    return {
        "messageID": headers.get("message-id"),
        "messageType": f"jms/{kind}-message",
        "deliveryMode": PERSISTENT if persistent else NON_PERSISTENT,
        "replyTo": headers.get("reply-to"),
        "type": headers.get("type"),
        "expiration": headers.get("expires", "0"),
        "priority": _number(headers.get("priority"), 4),
        "correlationId": headers.get("correlation-id"),
        "redelivered": redelivered or headers.get("redelivered") == "true",
        "destination": {"physicalName": queue_name(headers.get("destination", ""))},
        "data": base64_bytes(body).decode("ascii"),
        "timestamp": sent_ms,
        "brokerInTime": sent_ms,
        "brokerOutTime": now_ms,
        "properties": {name: value for name, value in headers.items() if name not in OF_STOMP},
    }


def queue_name(destination: str) -> str:
    return destination.removeprefix("/queue/")


def _number(text: str | None, default: int) -> int:
    try:
        return int(text or "")
    except ValueError:
        return default
