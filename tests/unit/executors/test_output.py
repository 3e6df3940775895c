"""Bytes become lines, whatever pieces they come in."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from rie_server.executors.docker_frames import FrameReader
from rie_server.executors.lines import LINE_BYTES_MAXIMUM, LineSplitter


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
