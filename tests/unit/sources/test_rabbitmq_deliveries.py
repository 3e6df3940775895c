"""Messages are read out of what RabbitMQ sends, wherever its bytes are cut."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties
from pika.frame import Body, Header, Heartbeat, Method
from pika.spec import Basic

from rie_server.sources.rabbitmq_deliveries import Delivered, DeliveringConnection, DeliveryReader

TAG = "ctag1.orders"
PROPERTIES = BasicProperties(content_type="text/plain", headers={"n": 1}, delivery_mode=2)


class Connection(DeliveringConnection):
    """One without a socket, which keeps what it hands over and what pika gets to process."""

    def __init__(self) -> None:
        self._frame_buffer, self.bytes_received = b"", 0
        self.messages: list[Delivered] = []
        self.frames: list[Any] = []
        self.deliver(DeliveryReader(1, TAG), self.messages.extend)

    def _process_frame(self, frame_value: Any) -> None:
        self.frames.append(frame_value)

    def receive(self, stream: bytes, cuts: Sequence[int] = ()) -> None:
        begin = 0
        for end in (*sorted(cuts), len(stream)):
            if end > begin:
                self._on_data_available(stream[begin:end])
                begin = end


def _message(number: int, *bodies: bytes, consumer: str = TAG, channel: int = 1) -> bytes:
    """With a frame for each of ``bodies``."""
    frames = [
        Method(channel, Basic.Deliver(consumer, number, number % 2 == 0, "exchange", "key")),
        Header(channel, len(b"".join(bodies)), PROPERTIES),
        *(Body(channel, body) for body in bodies),
    ]
    return b"".join(frame.marshal() for frame in frames)


def _expected(number: int, body: bytes) -> Delivered:
    return number, number % 2 == 0, b"".join(PROPERTIES.encode()), body


HEARTBEAT = Heartbeat().marshal()
STREAM = b"".join(
    (
        _message(1, b"one"),
        _message(2),
        HEARTBEAT,
        _message(3, b"\xce" * 300),
        _message(4, b"in two ", b"frames"),
        Method(1, Basic.Cancel("another")).marshal(),
        _message(5, b"five"),
        _message(6, b"somebody else's", consumer="ctag1.others"),
        _message(7, b"of another channel", channel=2),
        _message(8, b"eight"),
        HEARTBEAT,
    )
)
OURS = [_expected(1, b"one"), _expected(2, b""), _expected(3, b"\xce" * 300), _expected(5, b"five")]
PIKAS = [Heartbeat, Method, Header, Body, Body, Method, Method, Header, Body, Method, Header, Body, Heartbeat]


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=12))
def test_messages_and_all_else_come_whole_and_in_order_wherever_bytes_are_cut(cuts: list[int]) -> None:
    connection = Connection()
    connection.receive(STREAM, cuts)
    assert connection.messages == [*OURS, _expected(8, b"eight")]
    assert [type(frame) for frame in connection.frames] == PIKAS


def test_every_byte_may_come_alone() -> None:
    connection = Connection()
    connection.receive(STREAM, range(len(STREAM)))
    assert connection.messages == [*OURS, _expected(8, b"eight")]
    assert connection.bytes_received == len(STREAM)


def test_a_heartbeat_is_not_kept_back_until_more_comes() -> None:
    connection = Connection()
    connection.receive(_message(1, b"one") + HEARTBEAT)
    assert [type(frame) for frame in connection.frames] == [Heartbeat]


def test_a_message_that_began_before_its_consumer_was_known_is_left_to_pika() -> None:
    connection = Connection()
    connection.receive(Header(1, 3, PROPERTIES).marshal() + Body(1, b"one").marshal() + _message(2, b"two"))
    assert [type(frame) for frame in connection.frames] == [Header, Body]
    assert connection.messages == [_expected(2, b"two")]


@pytest.mark.parametrize("from_end", [1, len(Body(1, b"one").marshal()) + 1])
def test_a_frame_without_its_end_is_refused_by_pika(from_end: int) -> None:
    broken = bytearray(_message(1, b"one"))
    broken[-from_end] = 0
    with pytest.raises(Exception, match="FRAME_END"):
        Connection().receive(bytes(broken))
