"""Tumbling windows: where they begin and end, and what is carried through them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.model.batch_response import BatchFailed, BatchSucceeded, ItemsFailed
from rie_server.model.tumbling_window import (
    STATE_BYTES,
    TumblingWindow,
    after_final_invoke,
    after_window_invoke,
    is_over,
    window_members,
    window_runs,
    window_start,
)
from tests.unit.event_sources.records import record

NINE_DECEMBER = 1_607_497_475
WINDOW = TumblingWindow(start=1_607_497_440, length_seconds=120, state={"1": 282})
SUCCEEDED = BatchSucceeded()


def answer(**members: Any) -> bytes:
    return json.dumps(members).encode()


def test_windows_begin_at_multiples_of_their_length() -> None:
    assert window_start(NINE_DECEMBER, 120) == WINDOW.start
    assert [window_start(at, 60) for at in (0.0, 59.999, 60.0, 119.5)] == [0, 0, 60, 60]


def test_the_event_tells_the_window_and_its_state() -> None:
    assert window_members(WINDOW, shard_id="shardId-6", source_arn="arn:s") == {
        "window": {"start": "2020-12-09T07:04:00Z", "end": "2020-12-09T07:06:00Z"},
        "state": {"1": 282},
        "shardId": "shardId-6",
        "eventSourceARN": "arn:s",
        "isFinalInvokeForWindow": False,
        "isWindowTerminatedEarly": False,
    }
    final = window_members(WINDOW, shard_id="s", source_arn="a", is_final=True, is_early=True)
    assert (final["isFinalInvokeForWindow"], final["isWindowTerminatedEarly"]) == (True, True)


def runs(*arrivals: float, open_since: int | None = None) -> list[tuple[int, list[float]]]:
    read = [record(str(at), arrived_at=at) for at in arrivals]
    return [
        (run.start, [one.arrived_at for one in run.records]) for run in window_runs(read, 60, open_since=open_since)
    ]


def test_records_are_cut_where_a_window_ends() -> None:
    assert runs(1, 59, 60, 61, 200) == [(0, [1, 59]), (60, [60, 61]), (180, [200])]
    assert runs() == []


def test_records_go_on_in_the_window_that_is_open() -> None:
    assert runs(61, 130, open_since=60) == [(60, [61]), (120, [130])]


@pytest.mark.parametrize("open_since", [None, 60])
def test_a_record_that_comes_late_belongs_to_the_window_that_is_open(open_since: int | None) -> None:
    assert runs(70, 59, 71, open_since=open_since) == [(60, [70, 59, 71])]


@given(arrivals=st.lists(st.floats(0, 1_000), max_size=30), open_since=st.none() | st.sampled_from([0, 60, 300]))
def test_no_record_is_lost_and_no_window_opens_twice(arrivals: list[float], open_since: int | None) -> None:
    cut = runs(*arrivals, open_since=open_since)
    starts = [start for start, _ in cut]
    assert [at for _, run in cut for at in run] == arrivals
    assert starts == sorted(set(starts))
    assert all(run and start >= (open_since or 0) and max(run) < start + 60 for start, run in cut)


@pytest.mark.parametrize(
    ("now", "is_at_tip", "over"),
    [(WINDOW.end, True, True), (WINDOW.end - 0.1, True, False), (WINDOW.end, False, False)],
)
def test_an_idle_window_is_over_when_its_time_is_up_and_everything_was_read(
    now: float, is_at_tip: bool, over: bool
) -> None:
    assert is_over(WINDOW, now=now, is_at_tip=is_at_tip) is over


def test_the_state_that_was_returned_is_carried_on() -> None:
    result, window = after_window_invoke(WINDOW, SUCCEEDED, answer(state={"1": 283}))
    assert result == SUCCEEDED
    assert window == TumblingWindow(start=WINDOW.start, length_seconds=120, state={"1": 283})


@pytest.mark.parametrize("payload", [b"null", b"{}", b"", b"nonsense", answer(state=None), answer(state=[1])])
def test_an_answer_without_a_state_is_a_failure(payload: bytes) -> None:
    assert after_window_invoke(WINDOW, SUCCEEDED, payload) == (BatchFailed(), WINDOW)


def test_a_failure_leaves_the_state_as_it_was() -> None:
    assert after_window_invoke(WINDOW, BatchFailed(), answer(state={"1": 0})) == (BatchFailed(), WINDOW)


def test_a_partial_failure_keeps_the_state_of_what_succeeded() -> None:
    failed = ItemsFailed(positions=(1,))
    result, window = after_window_invoke(WINDOW, failed, answer(state={"1": 283}))
    assert (result, window.state) == (failed, {"1": 283})


def test_a_partial_failure_of_the_first_record_keeps_the_state_from_before() -> None:
    failed = ItemsFailed(positions=(0, 1))
    assert after_window_invoke(WINDOW, failed, answer(state={"1": 283})) == (failed, WINDOW)


def test_a_state_of_more_than_1_mb_is_overgrown() -> None:
    frame = len('{"x":""}')
    fitting = TumblingWindow(start=0, length_seconds=1, state={"x": "ä" * ((STATE_BYTES - frame) // 2)})
    assert not fitting.is_overgrown
    assert TumblingWindow(start=0, length_seconds=1, state={"x": "x" * (STATE_BYTES - frame + 1)}).is_overgrown


def test_after_its_final_invocation_a_window_and_its_state_are_gone() -> None:
    assert after_final_invoke(WINDOW, was_early=False) is None


def test_a_window_that_was_terminated_early_goes_on_with_a_fresh_state() -> None:
    fresh = after_final_invoke(WINDOW, was_early=True)
    assert fresh == TumblingWindow(start=WINDOW.start, length_seconds=120)
    assert fresh.state == {}
