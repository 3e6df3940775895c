"""The queue as a person sees it, over every database."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import EndedEvent, QueuedEvent
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.event_progress import EventFilter, EventProgress, EventState
from rie_server.model.invocation import InvokeRequest
from rie_server.stores.database import Database, sqlite_url
from rie_server.stores.event_survey import DatabaseEventSurvey
from rie_server.stores.events import DatabaseEventStore

NOW = 1_000.0
ORDERS = FunctionArn(region="eu-west-1", account="123456789012", name="orders")
ENDED = EndedEvent(
    ending=EventEnding(condition=EndingCondition.RETRIES_EXHAUSTED, status_code=200, invoke_count=3),
    config=EventInvokeConfig(on_failure="arn:aws:sqs:q"),
    ended_at=NOW,
)


class Queue:
    """A store with the survey beside it."""

    def __init__(self, database: Database) -> None:
        self.store = DatabaseEventStore(database)
        self.survey = DatabaseEventSurvey(database)

    def add(self, request_id: str, *, function: FunctionArn = ORDERS) -> QueuedEvent:
        event = QueuedEvent(
            request=InvokeRequest(function=function, payload=b"{}", request_id=request_id), enqueued_at=NOW - 100
        )
        durably(lambda told: self.store.add(event, told))
        return event

    def claim(self, event: QueuedEvent) -> None:
        (claimed,) = self.store.claim("me", {event.lane: 1}, now=NOW, lease_seconds=60)
        assert claimed == event

    def save(self, event: QueuedEvent, due_at: float | None) -> None:
        durably(lambda told: self.store.save(event, "me", due_at, told))

    def seen(self, limit: int = 100, **wanted: Any) -> list[EventProgress]:
        return list(self.survey.live_events(EventFilter(**wanted), limit=limit))

    def ids(self, limit: int = 100, **wanted: Any) -> list[str]:
        return [one.request_id for one in self.seen(limit, **wanted)]


def durably(write: Callable[[Callable[[Exception | None], None]], None]) -> None:
    done, errors = Event(), []

    def told(error: Exception | None) -> None:
        errors.append(error)
        done.set()

    write(told)
    assert done.wait(10)
    assert errors == [None]


@pytest.fixture(params=["sqlite", "postgresql"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    is_sqlite = request.param == "sqlite"
    url = sqlite_url(tmp_path) if is_sqlite else request.getfixturevalue("postgresql").new_database()
    database = Database(url)
    yield Queue(database)
    database.close()


def test_an_event_is_seen_on_every_step_of_its_way(queue: Queue) -> None:
    event = queue.add("r", function=ORDERS.qualified("live"))
    expected = EventProgress(
        request_id="r",
        function=ORDERS.qualified("live"),
        state=EventState.QUEUED,
        enqueued_at=NOW - 100,
        attempts=0,
        refusals=0,
        due_at=NOW - 100,
    )
    assert queue.seen() == [expected]

    queue.claim(event)
    assert queue.seen() == [replace(expected, state=EventState.IN_FLIGHT, due_at=None)]

    event = replace(event, refusals=1)
    queue.save(event, NOW - 2)
    retrying = replace(expected, state=EventState.RETRYING, refusals=1, due_at=NOW - 2)
    assert queue.seen() == [retrying]
    queue.claim(event)
    event = replace(event, refusals=0, attempts=1)
    queue.save(event, NOW - 1)
    assert queue.seen() == [replace(retrying, attempts=1, refusals=0, due_at=NOW - 1)]

    queue.claim(event)
    event = replace(event, ended=ENDED)
    queue.save(event, None)
    delivering = replace(expected, state=EventState.DELIVERING, attempts=1, due_at=None)
    assert queue.seen() == [delivering]
    queue.save(event, NOW + 5)
    assert queue.seen() == [replace(delivering, due_at=NOW + 5)], "a record that waits for its target says until when"


def test_events_are_found_by_function_request_and_state(queue: Queue) -> None:
    running, retrying, ended = queue.add("running"), queue.add("retrying"), queue.add("ended")
    queue.add("queued")
    queue.add("elsewhere", function=replace(ORDERS, region="us-east-1"))
    queue.add("longer", function=replace(ORDERS, name="my-orders"))
    queue.add("alike", function=replace(ORDERS, name="a_b"))
    queue.add("not alike", function=replace(ORDERS, name="aXb"))
    for event, saved in (
        (running, None),
        (retrying, replace(retrying, attempts=1)),
        (ended, replace(ended, ended=ENDED)),
    ):
        queue.claim(event)
        if saved is not None:
            queue.save(saved, NOW + 60)
    assert queue.ids(state=EventState.IN_FLIGHT) == ["running"]
    assert queue.ids(state=EventState.RETRYING) == ["retrying"]
    assert queue.ids(state=EventState.DELIVERING) == ["ended"]
    assert queue.ids(state=EventState.QUEUED) == ["queued", "elsewhere", "longer", "alike", "not alike"]
    assert queue.ids(state=EventState.QUEUED, function="orders") == ["queued", "elsewhere"]
    assert queue.ids(function="a_b") == ["alike"]
    assert queue.ids(function="%") == []
    assert queue.ids(request_id="retrying") == ["retrying"]
    assert queue.ids(request_id="retrying", function="my-orders") == []
    assert queue.ids(state=EventState.DROPPED) == []


def test_events_are_found_by_the_qualifier_that_was_invoked(queue: Queue) -> None:
    queue.add("unqualified")
    queue.add("latest", function=ORDERS.qualified("$LATEST"))
    queue.add("alias", function=ORDERS.qualified("live"))
    assert queue.ids(function="orders") == ["unqualified", "latest", "alias"]
    assert queue.ids(function="orders", qualifier="live") == ["alias"]
    assert queue.ids(function="orders", qualifier="$LATEST") == ["unqualified", "latest"]
    assert queue.ids(function="orders", qualifier="7") == []


def test_the_oldest_come_first_and_only_so_many(queue: Queue) -> None:
    for number in range(5):
        queue.add(str(number))
    assert queue.ids(limit=3) == ["0", "1", "2"]
