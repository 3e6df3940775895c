"""The body of an answer that goes on for minutes, as botocore's reader of event streams wants it.

botocore insists on a first event that tells nothing (``initial-response``), which AWS sends and emulators forget; and
it has no way to end a reading that waits for the next event. Thread-safe.
"""

import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

_FIRST_EVENT: Final = b"initial-response"
_LENGTHS_BYTES: Final = 8

# The body of the last answer that this thread has got: botocore hands on no more than the events.
_own = threading.local()


class PushBody:
    """
    Args:
        raw: urllib3's response.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def stream(self) -> Iterator[bytes]:
        """What botocore reads."""
        pieces = self._raw.stream()
        begun = b""
        for piece in pieces:
            begun += piece
            if len(begun) >= 4 and len(begun) >= struct.unpack_from("!I", begun)[0]:
                break
        if begun and _FIRST_EVENT not in begun[: struct.unpack_from("!I", begun)[0]]:
            yield first_event()
        yield begun
        yield from pieces

    def close(self) -> None:
        self._raw.close()

    def shutdown(self) -> None:
        """Ends a reading on another thread; urllib3 of an older date lets it wait for its timeout."""
        with suppress(AttributeError, OSError, ValueError, RuntimeError):
            self._raw.shutdown()


def first_event() -> bytes:
    """An ``initial-response`` as AWS sends it."""
    headers = b"".join(
        struct.pack("!B", len(name)) + name + struct.pack("!BH", 7, len(value)) + value
        for name, value in ((b":message-type", b"event"), (b":event-type", _FIRST_EVENT))
    )
    body = b"{}"
    total = _LENGTHS_BYTES + 4 + len(headers) + len(body) + 4
    lengths = struct.pack("!II", total, len(headers))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + body
    return message + struct.pack("!I", zlib.crc32(message))


def keep_bodies(client: Any, operation: str) -> None:
    """Has ``client`` give its answers to ``operation`` such a body. May be called again."""
    client.meta.events.register(f"before-parse.kinesis.{operation}", _wrap, unique_id=f"push-body-{operation}")


def last_body() -> PushBody:
    """Of the answer that this thread has got last."""
    body: PushBody = _own.body
    return body


def _wrap(response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] < 300:
        response_dict["body"] = _own.body = PushBody(response_dict["body"])
