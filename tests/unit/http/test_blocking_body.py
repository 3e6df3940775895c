"""Bodies in pieces for servers that block: what waits, who is held, and how it ends."""

import io
import threading

import pytest

from rie_server.api.blocking_body import WAITING_BYTES, BlockingBody, BlockingRequestBody
from rie_server.api.body_stream import BodyStream


def test_pieces_that_wait_are_one_block_and_hold_the_writer() -> None:
    told: list[bool] = []
    stream = BodyStream(lambda: told.append(stream.is_held))
    body = BlockingBody(stream)
    stream.write(bytes(WAITING_BYTES))
    stream.write(b"x")
    assert told == [True]
    blocks = iter(body)
    assert len(next(blocks)) == WAITING_BYTES + 1
    assert told == [True, False]
    stream.finish(last=b"end")
    assert list(blocks) == [b"end"]


def test_a_writer_on_another_thread_is_never_held_for_good() -> None:
    free = threading.Event()
    free.set()
    stream = BodyStream(lambda: free.clear() if stream.is_held else free.set())
    body = BlockingBody(stream)
    pieces = 2000

    def write() -> None:
        for _ in range(pieces):
            assert free.wait(10)
            stream.write(bytes(4096))
        stream.finish()

    writer = threading.Thread(target=write, name="writer")
    writer.start()
    assert sum(len(block) for block in body) == pieces * 4096
    writer.join()


def test_a_body_that_is_broken_off_ends_the_connection() -> None:
    stream = BodyStream()
    body = BlockingBody(stream)
    stream.write(b"half")
    stream.break_off()
    blocks = iter(body)
    assert next(blocks) == b"half"
    with pytest.raises(ConnectionAbortedError):
        next(blocks)


def test_a_client_that_has_left_holds_nobody() -> None:
    stream = BodyStream()
    body = BlockingBody(stream)
    stream.write(bytes(WAITING_BYTES + 1))
    body.close()
    assert not stream.is_held


class Heard:
    def __init__(self) -> None:
        self.data = b""
        self.end = ""

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self, _trailers: object) -> None:
        self.end = "whole"

    def break_off(self) -> None:
        self.end = "broken off"


class Broken(io.BytesIO):
    """An input that ends in the middle of a chunk."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            raise OSError("Missing chunk terminating newline")
        return data


def test_a_request_is_read_to_its_end() -> None:
    body, heard = BlockingRequestBody(), Heard()
    body.stream.attach(heard)
    body.read_all(io.BytesIO(bytes(100_000)))
    assert (len(heard.data), heard.end) == (100_000, "whole")


def test_a_request_that_breaks_off_says_so() -> None:
    body, heard = BlockingRequestBody(), Heard()
    body.stream.attach(heard)
    body.read_all(Broken(b"half"))
    assert (heard.data, heard.end) == (b"half", "broken off")


def test_a_request_that_is_held_is_not_read_on() -> None:
    body, heard = BlockingRequestBody(), Heard()
    body.stream.attach(heard)
    body.stream.hold(True)
    reader = threading.Thread(target=body.read_all, args=(io.BytesIO(bytes(100_000)),), name="reader")
    reader.start()
    reader.join(0.1)
    assert len(heard.data) < 100_000
    body.stream.hold(False)
    reader.join()
    assert (len(heard.data), heard.end) == (100_000, "whole")
