"""Records of the Kinesis Producer Library, packed here by a writer of its own."""

import hashlib

import pytest

from rie_server.model.kpl_aggregate import MAGIC, PackedRecord, unpack


def varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def packed(message: bytes) -> bytes:
    return MAGIC + message + hashlib.md5(message).digest()


def pack(keys: list[str], records: list[tuple[int, bytes]]) -> bytes:
    message = b"".join(field(1, key.encode()) for key in keys)
    message += field(2, b"12345")  # an explicit hash key
    for index, data in records:
        message += field(3, field(1, index) + field(2, 0) + field(3, data) + field(4, field(1, b"tag")))
    return packed(message)


def test_packed_records_come_apart_in_order_with_their_own_keys() -> None:
    data = pack(["a", "Zoë"], [(1, b"first"), (0, b"x" * 300), (1, b"")])
    assert unpack(data) == (
        PackedRecord(partition_key="Zoë", data=b"first"),
        PackedRecord(partition_key="a", data=b"x" * 300),
        PackedRecord(partition_key="Zoë", data=b""),
    )


def test_fields_of_a_later_format_are_passed_over() -> None:
    unknown = varint(9 << 3 | 5) + b"1234" + varint(10 << 3 | 1) + b"12345678"
    message = field(1, b"a") + unknown + field(3, field(1, 0) + field(3, b"data"))
    assert unpack(packed(message)) == (PackedRecord(partition_key="a", data=b"data"),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"id": 7}',
        MAGIC,
        MAGIC + b"not an MD5 of what is before it",
        pack(["a"], [(0, b"data")])[:-1] + b"\x00",
        packed(field(1, b"a") + field(3, field(1, 7) + field(3, b"no such key"))),
        packed(field(1, b"a") + field(3, field(1, 0))),
        packed(field(1, b"\xff") + field(3, field(1, 0) + field(3, b"key is no text"))),
        packed(varint(3 << 3 | 2) + varint(99) + b"ends too early"),
        packed(varint(1 << 3 | 7)),
        packed(b"\x80" * 12),
        packed(field(3, 5)),
    ],
)
def test_what_is_not_packed_or_does_not_hold_together_is_one_record(data: bytes) -> None:
    assert unpack(data) is None
