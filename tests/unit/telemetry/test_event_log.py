"""What became of events, over a queue in memory and a clock that the test moves."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import DeliveryKind
from rie_server.model.event_invoke import EndingCondition, EventEnding
from rie_server.model.event_progress import DeliveryOutcome, EventFilter, EventProgress, EventState
from rie_server.model.invocation import InvokeRequest
from rie_server.telemetry.event_log import EventLog
from tests.fakes.clock import FakeClock

SUCCESS = EventEnding(condition=EndingCondition.SUCCESS, status_code=200, invoke_count=1, response_payload=b'"done"')
EXHAUSTED = EventEnding(
    condition=EndingCondition.RETRIES_EXHAUSTED, status_code=200, invoke_count=3, function_error="Unhandled"
)
TAKEN = DeliveryOutcome(kind=DeliveryKind.ON_FAILURE, target_arn="arn:aws:sqs:us-east-1:1:q", attempts=1)
GIVEN_UP = DeliveryOutcome(
    kind=DeliveryKind.DEAD_LETTER, target_arn="arn:aws:sqs:us-east-1:1:d", attempts=5, error="no"
)


def event(request_id: str, name: str = "orders") -> QueuedEvent:
    function = FunctionArn(region="us-east-1", account="000000000000", name=name)
    request = InvokeRequest(function=function, payload=b"{}", request_id=request_id)
    return QueuedEvent(request=request, enqueued_at=1000.0)


class Queue:
    """Fills ``observing.EventSurvey``; ``while_read`` is what happens while somebody reads it."""

    def __init__(self) -> None:
        self.live: list[EventProgress] = []
        self.reads = 0
        self.while_read = lambda: None

    def add(self, request_id: str, state: EventState = EventState.QUEUED, name: str = "orders") -> None:
        known = event(request_id, name)
        self.live.append(
            EventProgress(
                request_id=request_id,
                function=known.request.function,
                state=state,
                enqueued_at=known.enqueued_at,
                attempts=0,
                refusals=0,
            )
        )

    def live_events(self, wanted: EventFilter, *, limit: int) -> Sequence[EventProgress]:
        self.reads += 1
        found = [one for one in self.live if wanted.takes(one)][:limit]
        self.while_read()
        return found


class Stage:
    def __init__(self, **bounds: int) -> None:
        self.queue = Queue()
        self.clock = FakeClock()
        self.log = EventLog(survey=self.queue, clock=self.clock, **bounds)
        self.told: list[EventProgress] = []

    def end(self, request_id: str, ending: EventEnding = SUCCESS, *outcomes: DeliveryOutcome) -> None:
        self.queue.live = [one for one in self.queue.live if one.request_id != request_id]
        self.log.ended(event(request_id), ending, outcomes)

    def ids(self, limit: int = 100, **wanted: object) -> list[str]:
        return [one.request_id for one in self.log.events(EventFilter(**wanted), limit=limit)]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize(
    ("ending", "outcomes", "state"),
    [
        (SUCCESS, (), EventState.DELIVERED),
        (SUCCESS, (replace(GIVEN_UP, kind=DeliveryKind.ON_SUCCESS),), EventState.DELIVERED),
        (EXHAUSTED, (), EventState.DROPPED),
        (EXHAUSTED, (GIVEN_UP,), EventState.DROPPED),
        (EXHAUSTED, (GIVEN_UP, TAKEN), EventState.DELIVERED),
    ],
)
def test_an_event_is_dropped_when_it_failed_and_nobody_has_its_record(
    stage: Stage, ending: EventEnding, outcomes: tuple[DeliveryOutcome, ...], state: EventState
) -> None:
    stage.end("r", ending, *outcomes)
    (ended,) = stage.log.events(EventFilter(), limit=10)
    assert (ended.state, ended.ending, ended.outcomes) == (state, ending, outcomes)
    assert ended.ended_at == stage.clock.now()


def test_what_lives_comes_first_and_then_what_has_ended_the_last_one_first(stage: Stage) -> None:
    for request_id in ("a", "b", "c", "d"):
        stage.queue.add(request_id)
    stage.end("a")
    stage.end("b")
    assert stage.ids() == ["c", "d", "b", "a"]
    assert stage.ids(limit=1) == ["c", "b"]


def test_events_are_found_by_function_request_and_state(stage: Stage) -> None:
    stage.queue.add("a", EventState.RETRYING)
    stage.queue.add("b", name="payments")
    stage.end("c", EXHAUSTED)
    assert stage.ids(function="orders") == ["a", "c"]
    assert stage.ids(function="payments") == ["b"]
    assert stage.ids(request_id="c") == ["c"]
    assert stage.ids(state=EventState.RETRYING) == ["a"]
    assert stage.ids(state=EventState.QUEUED) == ["b"]
    assert stage.ids(function="nobody") == []


def test_nobody_reads_the_queue_for_events_that_have_ended(stage: Stage) -> None:
    stage.end("a", EXHAUSTED)
    stage.end("b")
    assert stage.ids(state=EventState.DROPPED) == ["a"]
    assert stage.ids(state=EventState.DELIVERED) == ["b"]
    assert stage.queue.reads == 0


def test_an_event_that_ends_while_the_queue_is_read_is_there_once_and_has_ended(stage: Stage) -> None:
    stage.queue.add("a")
    stage.queue.while_read = lambda: stage.end("a")
    (found,) = stage.log.events(EventFilter(), limit=10)
    assert found.state is EventState.DELIVERED


def test_the_oldest_endings_are_forgotten() -> None:
    stage = Stage(kept_endings=3)
    for number in range(5):
        stage.end(str(number))
    assert stage.ids() == ["4", "3", "2"]


def test_answers_at_length_are_forgotten_sooner() -> None:
    stage = Stage(kept_response_bytes=100)
    for number in range(10):
        stage.end(str(number), replace(SUCCESS, response_payload=b"x" * 30))
    assert stage.ids() == ["9", "8", "7"]
    stage.end("7", replace(SUCCESS, response_payload=b"x" * 10))  # once more, after a crash
    assert stage.ids() == ["7", "9", "8"]
    stage.end("small", SUCCESS)
    assert stage.ids() == ["small", "7", "9", "8"], "what was replaced is still being counted"


def test_whoever_waits_is_told_when_the_event_ends(stage: Stage) -> None:
    stage.queue.add("a")
    stage.queue.add("b")
    others: list[EventProgress] = []
    assert stage.log.when_ended("a", stage.told.append)
    assert stage.log.when_ended("a", others.append)
    stage.end("b")
    assert stage.told == []
    stage.end("a", EXHAUSTED, TAKEN)
    assert [one.request_id for one in stage.told] == ["a"]
    assert others == stage.told
    stage.end("a")
    assert len(stage.told) == 1


def test_whoever_comes_late_is_told_at_once(stage: Stage) -> None:
    stage.end("a")
    assert stage.log.when_ended("a", stage.told.append)
    assert [one.request_id for one in stage.told] == ["a"]


def test_an_event_that_nobody_knows_is_not_waited_for(stage: Stage) -> None:
    assert not stage.log.when_ended("a", stage.told.append)
    stage.end("a")
    assert stage.told == []


def test_an_event_that_has_left_the_queue_and_not_yet_ended_is_known(stage: Stage) -> None:
    stage.log.started(event("a"))
    assert stage.log.when_ended("a", stage.told.append)
    stage.end("a")
    assert len(stage.told) == 1


def test_an_event_that_ends_while_somebody_looks_for_it_is_known(stage: Stage) -> None:
    stage.queue.while_read = lambda: stage.end("a")
    assert stage.log.when_ended("a", stage.told.append)
    assert len(stage.told) == 1


def test_an_event_that_went_back_to_the_queue_is_the_queues_to_know(stage: Stage) -> None:
    stage.log.started(event("a"))
    stage.log.postponed(event("a"), 2000.0)
    assert not stage.log.when_ended("a", stage.told.append)


def test_whoever_gives_up_is_not_told_any_more(stage: Stage) -> None:
    stage.queue.add("a")
    others: list[EventProgress] = []
    stage.log.when_ended("a", stage.told.append)
    stage.log.when_ended("a", others.append)
    assert stage.log.stop_waiting("a", stage.told.append)
    assert not stage.log.stop_waiting("a", print)
    stage.end("a")
    assert (stage.told, len(others)) == ([], 1)
    assert not stage.log.stop_waiting("a", others.append)
