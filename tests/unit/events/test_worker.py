"""The event worker over a store in memory, a clock that the test moves and an Invoker that the test is."""

import gc
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest

from rie_server.errors import ResourceNotFoundException, ServiceException
from rie_server.events.worker import HOUSE_SECONDS
from rie_server.model.async_event import QueuedEvent
from rie_server.model.invocation import InvokeRequest, InvokeResult
from tests.unit.events.stage import FUNCTION, THROTTLED, Stage, eventually


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def test_an_event_is_run_once_with_its_own_request_and_then_leaves_the_queue(stage: Stage) -> None:
    stage.worker.start()
    request = InvokeRequest(function=FUNCTION, payload=b'{"a": 1}', request_id="r", trace_header="Root=1")
    stage.worker.submit(request, lambda error: None)

    eventually(lambda: stage.queued() == [])
    assert stage.invoker.requests == [request]


def test_an_event_leaves_nothing_for_the_garbage_collector(stage: Stage) -> None:
    stage.worker.start()
    stage.submit("first")
    eventually(lambda: stage.queued() == [] and stage.worker.is_settled())
    gc.collect()
    gc.disable()
    try:
        for number in range(10):
            stage.submit(f"event-{number}")
        eventually(lambda: stage.queued() == [] and stage.worker.is_settled())
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_caller_is_told_after_the_event_is_stored_and_of_what_went_wrong(stage: Stage) -> None:
    assert stage.submit("a") is None
    assert stage.queued() == ["a"]

    stage.store.failure = ServiceException("disk full")
    assert stage.submit("b") is stage.store.failure
    assert stage.queued() == ["a"]


def test_events_that_an_earlier_server_left_are_run_at_start(stage: Stage) -> None:
    stage.submit("a")
    stage.submit("b")
    assert stage.invoker.ids == []

    stage.worker.start()

    eventually(lambda: stage.queued() == [])
    assert sorted(stage.invoker.ids) == ["a", "b"]


def test_an_event_stays_in_the_queue_while_its_function_runs(stage: Stage) -> None:
    stage.invoker.hold = True
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: "a" in stage.invoker.waiting)

    assert stage.queued() == ["a"]
    stage.invoker.finish("a")
    assert stage.queued() == []


def test_claims_of_a_dead_server_are_run_and_those_of_a_living_one_are_left(stage: Stage) -> None:
    stage.submit("a")
    stage.claim_for("dead")
    stage.gone.add("dead")
    stage.submit("b")
    stage.claim_for("other")

    stage.worker.start()

    eventually(lambda: stage.queued() == ["b"])
    assert stage.invoker.ids == ["a"]


def test_a_server_that_dies_later_is_taken_over_from(stage: Stage) -> None:
    stage.submit("a")
    stage.claim_for("other")
    stage.worker.start()
    stage.submit("own")
    eventually(lambda: stage.queued() == ["a"])

    stage.gone.add("other")
    moved_seconds = stage.advance_until(lambda: stage.queued() == [], step_seconds=1.0)

    assert moved_seconds <= HOUSE_SECONDS
    assert stage.invoker.ids == ["own", "a"]


def test_no_more_events_are_in_flight_than_allowed_and_a_free_slot_is_used_at_once(stage: Stage) -> None:
    stage.new_worker(slots=4)
    stage.invoker.hold = True
    for name in "abcde":
        stage.submit(name)
    stage.worker.start()
    eventually(lambda: len(stage.invoker.waiting) == 2)
    time.sleep(0.05)
    assert stage.invoker.ids == ["a", "b"]

    stage.invoker.finish("a")
    eventually(lambda: stage.invoker.ids == ["a", "b", "c"])
    for name in "bcde":
        eventually(lambda name=name: name in stage.invoker.waiting)
        stage.invoker.finish(name)
    eventually(lambda: stage.queued() == [])


@pytest.mark.parametrize("refused_late", [False, True])
def test_a_throttled_event_waits_twice_as_long_each_time_and_is_not_lost(stage: Stage, refused_late: bool) -> None:
    if refused_late:
        stage.invoker.results["orders"] = InvokeResult(
            payload=b"", function_error=None, executed_version="$LATEST", refusal=THROTTLED
        )
    else:
        stage.invoker.refuse["orders"] = THROTTLED
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: [event.refusals for event in stage.store] == [1])
    due = [next(iter(stage.store.lanes().values()))]
    for attempts in range(2, 5):
        stage.advance_until(lambda attempts=attempts: len(stage.invoker.ids) == attempts, step_seconds=0.5)
        eventually(lambda attempts=attempts: [event.refusals for event in stage.store] == [attempts])
        due.append(next(iter(stage.store.lanes().values())))

    starts = [0, 1, 3, 7]
    epoch = stage.clock.now() - stage.clock.monotonic()
    assert [at - epoch for at in due if at is not None] == pytest.approx(
        [start + 2**n for n, start in enumerate(starts)]
    )

    stage.invoker.refuse.clear()
    stage.invoker.results.clear()
    stage.advance_until(lambda: stage.queued() == [], step_seconds=1.0)
    assert set(stage.invoker.ids) == {"a"}


def test_events_of_a_throttled_function_do_not_hold_up_another_function(stage: Stage) -> None:
    stage.new_worker(slots=2)
    stage.invoker.refuse["busy"] = THROTTLED
    for number in range(20):
        stage.submit(f"busy-{number}", name="busy")
    stage.submit("free")
    stage.worker.start()

    eventually(lambda: "free" not in stage.queued())
    assert len(stage.queued()) == 20


def test_an_event_that_is_put_off_late_is_not_overlooked_for_one_that_is_due_later(stage: Stage) -> None:
    stage.store.add(
        QueuedEvent(
            request=InvokeRequest(function=FUNCTION, payload=b"{}", request_id="tomorrow"),
            enqueued_at=stage.clock.now() + 86_400,
        ),
        lambda error: None,
    )
    stage.invoker.hold = True
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: "a" in stage.invoker.waiting)
    time.sleep(0.05)  # by now the worker has set its alarm for tomorrow
    stage.invoker.hold = False
    stage.invoker.waiting.pop("a")(
        InvokeResult(payload=b"", function_error=None, executed_version="$LATEST", refusal=THROTTLED)
    )

    stage.advance_until(lambda: stage.queued() == ["tomorrow"], step_seconds=0.5)

    assert stage.clock.monotonic() < 5


def test_events_of_a_deleted_function_are_removed_with_a_word(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.invoker.refuse["orders"] = ResourceNotFoundException("Function not found: orders")
    with caplog.at_level(logging.WARNING):
        stage.worker.start()
        stage.submit("a")
        eventually(lambda: stage.queued() == [])

    assert "Event a for" in caplog.text
    assert "is dropped: RetriesExhausted: Function not found: orders" in caplog.text


def test_events_of_a_function_that_only_another_server_knows_are_left_to_it(stage: Stage) -> None:
    stage.elsewhere.add("orders")
    stage.worker.start()
    stage.submit("a")
    stage.submit("b", name="others")
    eventually(lambda: stage.queued() == ["a"])
    stage.claim_for("other")  # free

    stage.elsewhere.clear()
    stage.gone.add("other")
    stage.advance_until(lambda: stage.queued() == [], step_seconds=1.0)


def test_a_fault_in_the_invoker_costs_a_delay_and_not_the_event(stage: Stage) -> None:
    stage.invoker.refuse["orders"] = RuntimeError("a bug")
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: [event.refusals for event in stage.store] == [1])

    stage.invoker.refuse.clear()
    stage.advance_until(lambda: stage.queued() == [], step_seconds=1.0)


def test_a_store_that_fails_for_a_while_loses_nothing_and_runs_nothing_twice(stage: Stage) -> None:
    stage.invoker.hold = True
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: "a" in stage.invoker.waiting)
    stage.store.failure = ServiceException("disk full")
    stage.invoker.finish("a")
    assert stage.queued() == ["a"]
    stage.real.advance(30)
    time.sleep(0.05)

    stage.store.failure = None
    stage.advance_until(lambda: stage.queued() == [], step_seconds=1.0)
    assert stage.invoker.ids == ["a"]


def test_a_store_that_cannot_be_read_is_asked_again(stage: Stage) -> None:
    stage.submit("a")
    stage.store.failure = ServiceException("no route to the database")
    stage.worker.start()
    eventually(lambda: stage.store.claims > 0)

    stage.store.failure = None
    stage.advance_until(lambda: stage.queued() == [], step_seconds=1.0)


def test_nothing_is_asked_of_the_store_while_nothing_happens(stage: Stage) -> None:
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: stage.queued() == [])
    time.sleep(0.02)
    claims = stage.store.claims
    time.sleep(0.2)

    assert stage.store.claims == claims


def test_draining_waits_for_what_runs_and_takes_nothing_more(stage: Stage) -> None:
    stage.invoker.hold = True
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: "a" in stage.invoker.waiting)
    assert stage.worker.drain(0.01) is False

    assert stage.submit("late") is None
    threading.Timer(0.05, stage.invoker.finish, args=("a",)).start()

    assert stage.worker.drain(5.0) is True
    time.sleep(0.05)
    assert stage.invoker.ids == ["a"]
    assert stage.queued() == ["late"]


def test_draining_waits_for_events_that_are_just_being_claimed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, reached, go = stage.store.claim, threading.Event(), threading.Event()

    def slow_claim(
        owner: str, allotted: Mapping[str, int], *, now: float, lease_seconds: float
    ) -> Sequence[QueuedEvent]:
        claimed = claim(owner, allotted, now=now, lease_seconds=lease_seconds)
        reached.set()
        assert go.wait(10)
        return claimed

    monkeypatch.setattr(stage.store, "claim", slow_claim)
    stage.submit("a")
    stage.worker.start()
    assert reached.wait(10)

    assert stage.worker.drain(0.05) is False
    go.set()
    assert stage.worker.drain(5.0) is True
    assert stage.invoker.ids == ["a"]


def test_closing_ends_the_thread_and_may_be_repeated(stage: Stage) -> None:
    stage.worker.start()
    stage.worker.close()
    stage.worker.close()

    assert "event-worker" not in [thread.name for thread in threading.enumerate()]


def test_a_worker_that_never_started_can_be_closed(stage: Stage) -> None:
    stage.worker.close()

    assert stage.submit("a") is None
