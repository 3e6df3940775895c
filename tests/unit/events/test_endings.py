"""What follows when an event has ended: its ending is stored, its records are sent, and then it leaves the queue."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from rie_server.errors import LeaseLostError, ServiceException
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.invocation import InvokeResult
from tests.unit.events.stage import Stage, eventually

FAILED = InvokeResult(payload=b'{"errorMessage": "no"}', function_error="Unhandled", executed_version="$LATEST")
QUEUE = "arn:aws:sqs:us-east-1:000000000000:"
BOTH = EventInvokeConfig(maximum_retry_attempts=0, on_failure=f"{QUEUE}failed", dead_letter=f"{QUEUE}dead")


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    stage.configs.config = BOTH
    stage.invoker.results["orders"] = FAILED
    yield stage
    stage.close()


def targets(deliveries: list[Delivery]) -> list[tuple[DeliveryKind, str]]:
    return [(delivery.kind, delivery.target_arn.rpartition(":")[2]) for delivery in deliveries]


def tries_of(stage: Stage) -> int:
    """How often the records of the only event were tried."""
    (event,) = stage.store
    return 0 if event.ended is None else event.ended.tries


def test_a_failed_event_goes_to_its_destination_and_its_dead_letter_queue_and_leaves(stage: Stage) -> None:
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: "a" in stage.journal.endings)

    assert stage.queued() == []
    assert targets(stage.destinations.delivered) == [
        (DeliveryKind.ON_FAILURE, "failed"),
        (DeliveryKind.DEAD_LETTER, "dead"),
    ]
    assert [call for call, _ in stage.journal.calls] == ["received", "started", "ending", "ended"]
    assert [(one.attempts, one.error) for one in stage.journal.endings["a"][1]] == [(1, None), (1, None)]


def test_a_function_error_is_retried_with_the_same_request_after_the_base_and_twice_the_base(stage: Stage) -> None:
    stage.configs.config = EventInvokeConfig(on_failure=f"{QUEUE}failed")
    stage.worker.start()
    stage.submit("a")
    for runs, wait_seconds in ((1, 60), (2, 120)):
        eventually(lambda runs=runs: stage.journal.calls.count(("postponed", "a")) == runs)
        stage.clock.advance(wait_seconds - 0.5)
        time.sleep(0.02)
        assert len(stage.invoker.ids) == runs, "too early"
        stage.clock.advance(0.5)
    eventually(lambda: stage.queued() == [])

    assert stage.invoker.requests == [stage.invoker.requests[0]] * 3
    assert [call for call, _ in stage.journal.calls][1:5] == ["started", "postponed", "started", "postponed"]


def test_a_target_that_is_down_is_tried_again_and_the_other_one_is_not(stage: Stage) -> None:
    stage.destinations.refuse(f"{QUEUE}failed", passes=True)
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: tries_of(stage) == 1 and stage.store.lanes() != {})
    stage.destinations.accept(f"{QUEUE}failed")

    moved = stage.advance_until(lambda: stage.queued() == [], step_seconds=0.5)

    assert moved == 1.0
    assert targets(stage.destinations.delivered) == [
        (DeliveryKind.DEAD_LETTER, "dead"),
        (DeliveryKind.ON_FAILURE, "failed"),
    ]
    assert stage.invoker.ids == ["a"]


def test_a_record_that_cannot_be_delivered_is_given_up_after_five_tries_and_logged_whole(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.destinations.refuse(f"{QUEUE}failed", passes=True)
    stage.worker.start()
    with caplog.at_level(logging.ERROR):
        stage.submit("a")
        for tries, wait_seconds in enumerate((1, 5, 25, 90), start=1):
            eventually(lambda tries=tries: tries_of(stage) == tries and stage.store.lanes() != {})
            stage.clock.advance(wait_seconds)
        eventually(lambda: "a" in stage.journal.endings)

    assert stage.queued() == []
    outcomes = {one.kind: one for one in stage.journal.endings["a"][1]}
    assert outcomes[DeliveryKind.ON_FAILURE].attempts == 5
    assert outcomes[DeliveryKind.ON_FAILURE].error == f"{QUEUE}failed takes nothing"
    assert outcomes[DeliveryKind.DEAD_LETTER].error is None
    assert len(stage.journal.failed_deliveries) == 5
    assert "is given up after 5 tries" in caplog.text
    assert '"condition":"RetriesExhausted"' in caplog.text.replace(" ", "")


def test_a_target_that_will_never_take_a_record_is_tried_once(stage: Stage) -> None:
    stage.destinations.refuse(f"{QUEUE}failed", passes=False)
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: "a" in stage.journal.endings)

    assert len([one for one in stage.destinations.attempts if one.target_arn == f"{QUEUE}failed"]) == 1


def test_an_event_that_has_ended_is_not_run_again_by_the_next_server(stage: Stage) -> None:
    stage.new_worker(destinations=Stuck(reached := threading.Event(), go := threading.Event()))
    stage.worker.start()
    stage.submit("a")
    assert reached.wait(5)
    stage.store.release(lambda owner: True)  # the server is dead, for all that the next one knows
    stage.new_worker()
    stage.worker.start()

    eventually(lambda: targets(stage.destinations.delivered) != [])
    eventually(lambda: stage.queued() == [])
    go.set()
    assert stage.invoker.ids == ["a"]


class Stuck:
    """A target that says nothing until the test lets it; of some functions only, or of all."""

    def __init__(self, reached: threading.Event, go: threading.Event, *, name: str | None = None) -> None:
        self._reached = reached
        self._go = go
        self._name = name
        self.delivered: list[str] = []

    def deliver(self, delivery: Delivery) -> None:
        if self._name in (None, delivery.function.name):
            self._reached.set()
            assert self._go.wait(10)
        self.delivered.append(delivery.request_id)


def test_a_target_that_is_slow_holds_up_no_other_functions_records_and_no_runs(stage: Stage) -> None:
    reached, go = threading.Event(), threading.Event()
    target = Stuck(reached, go, name="orders")
    stage.new_worker(destinations=target, threads=4, slots=8)
    stage.invoker.results["bills"] = FAILED
    for number in range(30):
        stage.submit(f"slow-{number}")
    stage.worker.start()
    assert reached.wait(5)
    eventually(lambda: len(stage.invoker.ids) == 30)

    stage.submit("quick", name="bills")
    eventually(lambda: "quick" in target.delivered)
    assert len(stage.queued()) == 30
    go.set()
    eventually(lambda: stage.queued() == [])
    assert sorted(set(stage.invoker.ids)) == sorted(stage.invoker.ids), "none was run twice"


def test_an_ending_that_cannot_be_stored_is_stored_later_before_anything_is_sent(stage: Stage) -> None:
    stage.invoker.hold = True
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: "a" in stage.invoker.waiting)
    stage.store.failure = ServiceException("disk full")
    stage.invoker.waiting.pop("a")(FAILED)
    time.sleep(0.05)
    assert stage.destinations.attempts == []

    stage.store.failure = None
    stage.advance_until(lambda: stage.queued() == [], step_seconds=0.5)
    assert len(stage.destinations.delivered) == 2


def test_the_late_answer_of_a_server_that_has_lost_its_lease_changes_nothing(stage: Stage) -> None:
    stage.invoker.hold = True
    stage.worker.start()
    stage.submit("a")
    eventually(lambda: "a" in stage.invoker.waiting)
    stage.store.release(lambda owner: True)
    stage.claim_for("another")

    stage.invoker.waiting.pop("a")(FAILED)

    eventually(stage.worker.is_settled)
    assert stage.queued() == ["a"]
    assert stage.destinations.attempts == []
    assert isinstance(save_of(stage, "a"), LeaseLostError)


def test_leases_of_what_runs_are_renewed_and_those_of_the_silent_expire(stage: Stage) -> None:
    stage.invoker.hold = True
    stage.worker.start()
    stage.submit("mine")
    eventually(lambda: "mine" in stage.invoker.waiting)
    stage.claim_for_silent("theirs")
    for _ in range(9):
        stage.store.lease_clock += 15.0
        renewals = stage.store.renewals
        stage.real.advance(15.0)
        eventually(lambda renewals=renewals: stage.store.renewals > renewals)

    eventually(lambda: "theirs" in stage.invoker.waiting)
    assert stage.invoker.ids == ["mine", "theirs"]
    assert save_of(stage, "mine") is None


def save_of(stage: Stage, request_id: str) -> Exception | None:
    told: list[Exception | None] = []
    event: QueuedEvent = next(one for one in stage.store if one.request.request_id == request_id)
    stage.store.save(event, "me", None, told.append)
    return told[0]


def test_ten_thousand_waiting_events_of_one_function_do_not_delay_anothers_first(stage: Stage) -> None:
    stage.invoker.hold = True
    for number in range(10_000):
        stage.submit(f"slow-{number}")
    stage.worker.start()
    eventually(lambda: len(stage.invoker.waiting) == 64)
    stage.submit("first", name="bills")

    eventually(lambda: "first" in stage.invoker.waiting)
    assert len(stage.invoker.waiting) == 65
