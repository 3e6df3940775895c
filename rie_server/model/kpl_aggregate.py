"""Records that the Kinesis Producer Library has packed into one: the public aggregation format, taken apart.

Pure. A packed record begins with four magic bytes, goes on with a protobuf message and ends with that message's MD5.
What does not look so, or does not hold together, is an ordinary record.

    message AggregatedRecord { repeated string partition_key_table = 1;  repeated string explicit_hash_key_table = 2;
                               repeated Record records = 3; }
    message Record { required uint64 partition_key_index = 1;  optional uint64 explicit_hash_key_index = 2;
                     required bytes data = 3;  repeated Tag tags = 4; }
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRecord:
    """One record as its producer had put it."""

    partition_key: str
    data: bytes


def unpack(data: bytes) -> tuple[PackedRecord, ...] | None:
    """The records in ``data``, in their order; None where it is one record by itself."""
    if not data.startswith(MAGIC) or len(data) < len(MAGIC) + _DIGEST_BYTES:
        return None
    message = data[len(MAGIC) : -_DIGEST_BYTES]
    if hashlib.md5(message, usedforsecurity=False).digest() != data[-_DIGEST_BYTES:]:
        return None
    try:
        return _read(message)
    except (ValueError, IndexError, UnicodeDecodeError):
        return None


def _read(message: bytes) -> tuple[PackedRecord, ...]:
    keys: list[str] = []
    packed: list[tuple[int, bytes]] = []
    for number, value in _fields(message):
        if number == 1:
            keys.append(_bytes(value).decode())
        elif number == 3:
            packed.append(_record(_bytes(value)))
    return tuple(PackedRecord(partition_key=keys[index], data=data) for index, data in packed)


def _record(message: bytes) -> tuple[int, bytes]:
    """The index of its partition key, and its data."""
    index: int | None = None
    data: bytes | None = None
    for number, value in _fields(message):
        if number == 1 and isinstance(value, int):
            index = value
        elif number == 3:
            data = _bytes(value)
    if index is None or data is None:
        raise ValueError("a record without a partition key or without data")
    return index, data


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where bytes belong")  # noqa: TRY004 - it is the message's value, not our type
    return value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number and value."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == _LENGTH_DELIMITED:
            length, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"no such wire type: {kind}")
        if at + length > len(message):
            raise ValueError("the message ends within a field")
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
