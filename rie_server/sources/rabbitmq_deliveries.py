"""Messages out of the bytes that RabbitMQ sends, many at a time.

pika makes six objects of a message and copies three times what it has not read yet, which takes longer than all else
that becomes of a message here. So a ``DeliveringConnection`` reads by itself what nearly everything consists of: whole
messages for the one consumer, each of which is a method, a header and at most one frame of body. All else (replies,
heartbeats, larger bodies) goes to pika, one frame after the other. AMQP 0-9-1, sections 2.3.5 and 4.2.

Where pika begins to read is no part of its interface. A release that called it otherwise would read everything by
itself, and hand the messages to the consumer's callback.
"""

from collections.abc import Callable, Sequence
from struct import Struct
from typing import NamedTuple

from pika import SelectConnection

_METHOD, _HEADER, _BODY = 1, 2, 3
_FRAME_END = 0xCE
# Type, channel, length of what follows; of a header also class, weight and the length of the body.
_FRAME, _CONTENT = Struct(">BHI"), Struct(">BHIHHQ")
_FRAME_BYTES, _CONTENT_BYTES = _FRAME.size, _CONTENT.size
_BASIC, _BASIC_DELIVER = 60, b"\x00\x3c\x00\x3c"
_TAG_AND_BITS = Struct(">QB")
_REDELIVERED = 1

# Delivery tag, whether it has been delivered before, properties as the broker has sent them, body.
Delivered = tuple[int, bool, bytes, bytes]


class Reading(NamedTuple):
    """
    Attributes:
        end: where the first byte stands that was not read.
        is_part: a message of the consumer's stands there, of which more is to come.
    """

    messages: Sequence[Delivered]
    end: int
    is_part: bool


class DeliveryReader:
    """Reads the messages of one consumer. Pure."""

    def __init__(self, channel: int, consumer_tag: str) -> None:
        tag = consumer_tag.encode()
        self._channel = channel
        self._begin = _BASIC_DELIVER + bytes([len(tag)]) + tag

    def read(self, received: bytes, at: int = 0) -> Reading:
        """All whole messages that follow one another from ``at`` on."""
        begin, channel, size = self._begin, self._channel, len(received)
        messages: list[Delivered] = []
        while at + _FRAME_BYTES + len(begin) <= size:
            kind, number, length = _FRAME.unpack_from(received, at)
            if kind != _METHOD or number != channel or not received.startswith(begin, at + _FRAME_BYTES):
                break
            header = at + _FRAME_BYTES + length + 1
            if header + _CONTENT_BYTES > size:
                return Reading(messages, at, is_part=True)
            kind, number, length, of_class, _, body_bytes = _CONTENT.unpack_from(received, header)
            body = header + _FRAME_BYTES + length + 1
            end = body + (_FRAME_BYTES + body_bytes + 1 if body_bytes else 0)
            if kind != _HEADER or number != channel or of_class != _BASIC:
                break
            is_body_there = body_bytes and body + _FRAME_BYTES <= size
            if is_body_there and _FRAME.unpack_from(received, body) != (_BODY, channel, body_bytes):
                break
            if end > size:
                return Reading(messages, at, is_part=True)
            if not received[header - 1] == received[body - 1] == received[end - 1] == _FRAME_END:
                break
            tag, bits = _TAG_AND_BITS.unpack_from(received, at + _FRAME_BYTES + len(begin))
            properties = received[header + _CONTENT_BYTES : body - 1]
            content = received[body + _FRAME_BYTES : end - 1] if body_bytes else b""
            messages.append((tag, bits & _REDELIVERED != 0, properties, content))
            at = end
        return Reading(messages, at, is_part=False)


class DeliveringConnection(SelectConnection):  # type: ignore[misc]  # not every pika has types
    """pika's connection, which hands over the messages of one consumer by itself once it has been told to."""

    _frame_buffer: bytes
    _reader: DeliveryReader | None = None
    _on_messages: Callable[[Sequence[Delivered]], None]

    def deliver(self, reader: DeliveryReader, on_messages: Callable[[Sequence[Delivered]], None]) -> None:
        """From now on; what is on its way to pika's own consumer may still come there."""
        self._reader, self._on_messages = reader, on_messages

    def _on_data_available(self, data_in: bytes) -> None:
        reader = self._reader
        if reader is None:
            super()._on_data_available(data_in)
            return
        received = self._frame_buffer + data_in if self._frame_buffer else data_in
        self._frame_buffer = b""
        at = 0
        while True:
            reading = reader.read(received, at)
            if reading.messages:
                # Heartbeats look at it.
                self.bytes_received += reading.end - at
                self._on_messages(reading.messages)
            at = reading.end
            end = _frame_end(received, at)
            if reading.is_part or end > len(received):
                self._frame_buffer = received[at:]
                return
            super()._on_data_available(received[at:end])
            at = end


def _frame_end(received: bytes, at: int) -> int:
    """Where the frame ends that begins at ``at``; beyond all that was received where that cannot be known yet."""
    if at + _FRAME_BYTES > len(received):
        return len(received) + 1
    _, _, length = _FRAME.unpack_from(received, at)
    return at + _FRAME_BYTES + int(length) + 1
