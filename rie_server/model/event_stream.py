"""``application/vnd.amazon.eventstream``: the frames that InvokeWithResponseStream answers with.

Pure. A frame is its length, the length of its headers and a checksum of the two (12 bytes), headers, payload, and a
checksum of all before it; numbers are big-endian.
"""

import base64
import json
import struct
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"

# SDKs refuse frames above 16 MB, and a smaller one reaches the reader sooner.
FRAME_PAYLOAD_BYTES = 64 * 1024
_STRING = 7
_AROUND_BYTES = 16  # prelude and the last checksum


def payload_chunks(data: bytes) -> bytes:
    """PayloadChunk events that hold ``data``; none for no data."""
    if len(data) <= FRAME_PAYLOAD_BYTES:
        return _frame(_PAYLOAD_CHUNK, data) if data else b""
    view = memoryview(data)
    pieces = range(0, len(data), FRAME_PAYLOAD_BYTES)
    return b"".join([_frame(_PAYLOAD_CHUNK, view[start : start + FRAME_PAYLOAD_BYTES]) for start in pieces])


def invoke_complete(
    *, error_code: str | None = None, error_details: str | None = None, log_tail: bytes | None = None
) -> bytes:
    """The InvokeComplete event; what is None is left out."""
    members = {
        "ErrorCode": error_code,
        "ErrorDetails": error_details,
        "LogResult": None if log_tail is None else base64.b64encode(log_tail).decode(),
    }
    told = {name: value for name, value in members.items() if value is not None}
    return _frame(_INVOKE_COMPLETE, json.dumps(told, separators=(",", ":")).encode())


class EventReader:
    """Frames in whatever pieces they come. Not thread-safe."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen = bytearray()

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """The events that ``data`` completes: ``:event-type`` and payload.

        Raises:
            ValueError: this is no event stream.
        """
        seen, events, start = self._seen, [], 0
        seen += data
        while len(seen) - start >= _AROUND_BYTES:
            size, headers_size, checksum = struct.unpack_from(">III", seen, start)
            if crc32(seen[start : start + 8]) != checksum or size < headers_size + _AROUND_BYTES:
                raise ValueError("no frame of an event stream")
            if len(seen) - start < size:
                break
            frame = bytes(seen[start : start + size])
            if crc32(frame[:-4]) != int.from_bytes(frame[-4:]):
                raise ValueError("a damaged frame of an event stream")
            events.append((_event_type(frame[12 : 12 + headers_size]), frame[12 + headers_size : -4]))
            start += size
        del seen[:start]
        return events


def _event_type(headers: bytes) -> str:
    at = 0
    while at < len(headers):
        name_end = at + 1 + headers[at]
        kind, size = struct.unpack_from(">BH", headers, name_end)
        if kind != _STRING:
            break
        value_end = name_end + 3 + size
        if headers[at + 1 : name_end] == b":event-type":
            return headers[name_end + 3 : value_end].decode()
        at = value_end
    raise ValueError("a frame without a type of event")


def _frame(headers: bytes, payload: bytes | memoryview) -> bytes:
    lengths = struct.pack(">II", _AROUND_BYTES + len(headers) + len(payload), len(headers))
    head = lengths + struct.pack(">I", crc32(lengths)) + headers
    return b"".join((head, payload, struct.pack(">I", crc32(payload, crc32(head)))))


def _headers(event_type: str, content_type: str) -> bytes:
    headers = {":event-type": event_type, ":content-type": content_type, ":message-type": "event"}
    return b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )


_PAYLOAD_CHUNK = _headers("PayloadChunk", "application/octet-stream")
_INVOKE_COMPLETE = _headers("InvokeComplete", "application/json")
