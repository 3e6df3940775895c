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
