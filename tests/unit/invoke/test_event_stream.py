"""Frames of an event stream, as botocore reads them."""

import json
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from rie_server.model.bandwidth import wait_seconds
from rie_server.model.event_stream import FRAME_PAYLOAD_BYTES, EventReader, invoke_complete, payload_chunks

MB = 1024 * 1024
AWS_RATE = 2 * MB


def frames(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(event.headers, event.payload) for event in buffer]


def test_a_piece_is_one_payload_chunk() -> None:
    headers = {":event-type": "PayloadChunk", ":content-type": "application/octet-stream", ":message-type": "event"}
    assert frames(payload_chunks(b"A\0\xff\n")) == [(headers, b"A\0\xff\n")]


def test_no_data_is_no_frame() -> None:
    assert payload_chunks(b"") == b""


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(min_value=1, max_value=50))
def test_what_is_written_can_be_read_in_any_pieces(payloads: list[bytes], size: int) -> None:
    data = b"".join(payload_chunks(payload) for payload in payloads) + invoke_complete(error_code="X")
    reader = EventReader()
    got = [event for start in range(0, len(data), size) for event in reader.feed(data[start : start + size])]
    wanted = [("PayloadChunk", payload) for payload in payloads if payload]
    assert got == [*wanted, ("InvokeComplete", b'{"ErrorCode":"X"}')]


@given(st.binary(min_size=16, max_size=100))
def test_what_is_no_event_stream_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        EventReader().feed(data)


def test_a_damaged_frame_is_refused() -> None:
    data = payload_chunks(b"whole")
    with pytest.raises(ValueError, match="damaged"):
        EventReader().feed(data[:-6] + b"E" + data[-5:])


@given(st.integers(min_value=1, max_value=5 * FRAME_PAYLOAD_BYTES), st.binary(min_size=1, max_size=20))
def test_large_pieces_are_several_chunks_that_make_up_the_whole(size: int, pattern: bytes) -> None:
    data = (pattern * size)[:size]
    chunks = [payload for _, payload in frames(payload_chunks(data))]
    assert b"".join(chunks) == data
    assert max(len(chunk) for chunk in chunks) <= FRAME_PAYLOAD_BYTES


def test_the_end_says_only_what_there_is_to_say() -> None:
    headers = {":event-type": "InvokeComplete", ":content-type": "application/json", ":message-type": "event"}
    assert frames(invoke_complete()) == [(headers, b"{}")]
    [(_, payload)] = frames(invoke_complete(error_code="Unhandled", error_details="é", log_tail=b"END\n"))
    assert json.loads(payload) == {"ErrorCode": "Unhandled", "ErrorDetails": "é", "LogResult": "RU5ECg=="}


@pytest.mark.parametrize(
    ("sent_bytes", "elapsed_seconds", "rate", "seconds"),
    [
        (6 * MB, 0.0, AWS_RATE, 0.0),
        (8 * MB, 0.0, AWS_RATE, 1.0),
        (8 * MB, 0.25, AWS_RATE, 0.75),
        (8 * MB, 2.0, AWS_RATE, 0.0),
        (8 * MB, 0.999, AWS_RATE, 0.0),
        (200 * MB, 0.0, 0, 0.0),
    ],
)
def test_the_first_six_megabytes_are_free_and_the_rest_has_its_rate(
    sent_bytes: int, elapsed_seconds: float, rate: int, seconds: float
) -> None:
    assert wait_seconds(sent_bytes, elapsed_seconds=elapsed_seconds, bytes_per_second=rate) == seconds
