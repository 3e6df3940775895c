"""Bytes become lines, whatever pieces they come in."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from rie_server.executors.docker_frames import FrameReader
from rie_server.executors.lines import LINE_BYTES_MAXIMUM, LineSplitter
from rie_server.executors.log_frames import Output, OutputReader
from rie_server.model.log_record import LogRecord


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@given(st.binary(max_size=200), st.lists(st.integers(0, 30)))
def test_lines_do_not_depend_on_how_the_bytes_arrive(data: bytes, sizes: list[int]) -> None:
    splitter = LineSplitter()
    lines = [line for piece in cut(data, sizes) for line in splitter.feed(piece)] + splitter.flush()
    expected = data.split(b"\n")
    assert lines == (expected if expected[-1] else expected[:-1])


def test_a_line_of_the_largest_size_is_whole_and_a_longer_one_is_cut() -> None:
    splitter = LineSplitter()
    whole, longer = b"a" * LINE_BYTES_MAXIMUM, b"b" * (LINE_BYTES_MAXIMUM + 1)
    assert splitter.feed(whole + b"\n" + longer + b"\n") == [whole, longer[:-1], b"b"]


def test_a_line_without_end_is_not_kept_in_memory() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"x" * (LINE_BYTES_MAXIMUM * 2 + 5)) == [b"x" * LINE_BYTES_MAXIMUM] * 2
    assert splitter.flush() == [b"x" * 5]


def frame(stream: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(payload)) + payload


@given(st.lists(st.integers(0, 12)))
def test_frames_do_not_depend_on_how_the_bytes_arrive_and_streams_do_not_mix(sizes: list[int]) -> None:
    data = frame(1, b"out ") + frame(2, b"err\n") + frame(1, b"put\nrest") + frame(2, b"")
    reader = FrameReader()
    lines = [line for piece in cut(data, sizes) for line in reader.feed(piece)]
    assert lines == [(2, b"err"), (1, b"out put")]
    assert reader.flush() == [(1, b"rest")]


def log_frame(kind: int, text: bytes, microseconds: int = 1_500_000) -> bytes:
    return b"\xa5\x5a\x00" + struct.pack(">BLQ", kind, len(text), microseconds) + text


def record(text: bytes, level: str | None = None) -> LogRecord:
    return LogRecord(text=text, level=level, at_epoch_seconds=1.5)


def read(data: bytes, sizes: list[int]) -> list[Output]:
    reader = OutputReader()
    found = [one for piece in cut(data, sizes) for one in reader.feed(piece)]
    return found + reader.flush(ended=True)


@given(st.lists(st.integers(0, 12)))
def test_records_keep_their_lines_and_their_place_however_the_bytes_arrive(sizes: list[int]) -> None:
    data = (
        b"printed\n"
        + log_frame(0x0F, b"one\ntwo\n")
        + b"no newline"
        + log_frame(0x16, b'{"a":1}')
        + log_frame(0x03, b"")
        + b"last"
    )
    expected = [
        b"printed",
        record(b"one\ntwo", "INFO"),
        b"no newline",
        record(b'{"a":1}', "ERROR"),
        record(b""),
        b"last",
    ]
    assert read(data, sizes) == expected


@given(st.binary(max_size=60).map(lambda data: data.replace(b"\x5a\x00", b"")), st.lists(st.integers(0, 12)))
def test_what_is_no_frame_is_text(data: bytes, sizes: list[int]) -> None:
    lines = data.split(b"\n")
    assert b"\n".join(read(data, sizes)) == b"\n".join(lines if lines[-1] else lines[:-1])  # type: ignore[arg-type]


def test_bytes_that_only_look_like_a_frame_are_text() -> None:
    unknown_kind = b"\xa5\x5a\x00\xff" + bytes(12) + b"\n"
    too_long = b"\xa5\x5a\x00\x0f\xff\xff\xff\xff" + bytes(8) + b"\n"
    reader = OutputReader()
    assert reader.feed(unknown_kind) == [unknown_kind[:-1]]
    assert reader.feed(too_long) == [too_long[:-1]]
    assert reader.feed(log_frame(0x0F, b"after")) == [record(b"after", "INFO")]


def test_a_frame_that_is_under_way_waits_and_the_rest_of_a_runtime_that_died_is_text() -> None:
    reader = OutputReader()
    beginning = log_frame(0x0F, b"longer than a pipe")[:20]
    assert reader.feed(beginning) == []
    assert reader.flush() == []
    assert reader.flush(ended=True) == [beginning]


def test_the_last_byte_of_a_character_is_not_held_back_for_ever() -> None:
    reader = OutputReader()
    price = "5 ¥".encode()
    assert reader.feed(price) + reader.flush() == [price]


def test_the_oldest_kind_of_frame_has_no_time() -> None:
    data = b"\xa5\x5a\x00\x01\x00\x00\x00\x02hi"
    assert OutputReader().feed(data) == [LogRecord(text=b"hi", level=None, at_epoch_seconds=None)]


def test_a_record_longer_than_a_log_event_comes_in_pieces() -> None:
    text = b"x" * (LINE_BYTES_MAXIMUM + 1)
    pieces = OutputReader().feed(log_frame(0x0B, text))
    assert pieces == [record(text[:-1], "DEBUG"), record(b"x", "DEBUG")]
