"""Which lines fit into one PutLogEvents."""

from collections import deque

from rie_server.model.log_event import (
    BATCH_BYTES,
    BATCH_EVENTS,
    BATCH_MILLISECONDS,
    EVENT_BYTES,
    EVENT_OVERHEAD_BYTES,
    LogEvent,
    log_events,
    next_batch,
)


def event(at: int, size_bytes: int = 30) -> LogEvent:
    return LogEvent(epoch_milliseconds=at, message="m", size_bytes=size_bytes)


def test_a_line_is_an_event_with_its_newline() -> None:
    assert log_events(1.5, "ü") == [LogEvent(epoch_milliseconds=1500, message="ü\n", size_bytes=3 + 26)]


def test_an_empty_line_is_no_empty_event() -> None:
    assert log_events(1.5, "")[0].message == "\n"


def test_a_line_too_long_for_an_event_is_several() -> None:
    events = log_events(1.5, "x" * EVENT_BYTES)
    assert [one.size_bytes - EVENT_OVERHEAD_BYTES for one in events] == [EVENT_BYTES, 1]


def test_a_batch_has_limits_of_number_and_size_and_time() -> None:
    assert len(next_batch(deque([event(1)] * (BATCH_EVENTS + 1)))) == BATCH_EVENTS
    half = BATCH_BYTES // 2
    assert len(next_batch(deque([event(1, half), event(1, half), event(1, 1)]))) == 2
    assert len(next_batch(deque([event(0), event(BATCH_MILLISECONDS - 1), event(BATCH_MILLISECONDS)]))) == 2
    assert next_batch(deque()) == []


def test_a_batch_is_in_the_order_of_time_and_equal_times_stay_as_they_came() -> None:
    first, second, older = event(5, 31), event(5, 32), event(4)
    assert next_batch(deque([first, second, older])) == [older, first, second]
