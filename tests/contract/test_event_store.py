"""What every EventStore promises."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.invocation import InvokeRequest
from rie_server.ports import EventStore
from rie_server.stores.database import Database, sqlite_url
from rie_server.stores.events import DatabaseEventStore
from tests.fakes.stores import MemoryEventStore

ORDERS = FunctionArn(region="eu-west-1", account="123456789012", name="orders")
NOW = 1_000.0


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    if request.param == "memory":
        yield MemoryEventStore()
        return
    database = Database(sqlite_url(tmp_path))
    yield DatabaseEventStore(database)
    database.close()


def event(request_id: str, *, enqueued_at: float = NOW - 100) -> QueuedEvent:
    return QueuedEvent(
        request=InvokeRequest(function=ORDERS, payload=b"{}", request_id=request_id), enqueued_at=enqueued_at
    )


def durably(write: Callable[[Callable[[Exception | None], None]], None]) -> Exception | None:
    """Carries a write out and returns what its callback was told."""
    told: list[Exception | None] = []
    done = threading.Event()

    def on_durable(error: Exception | None) -> None:
        told.append(error)
        done.set()

    write(on_durable)
    assert done.wait(10), "the store never called back"
    return told[0]


def add(store: EventStore, *events: QueuedEvent) -> None:
    for each in events:
        assert durably(lambda done, each=each: store.add(each, done)) is None


def ids(events: "Iterator[QueuedEvent] | list[QueuedEvent]") -> list[str]:
    return [each.request.request_id for each in events]


def test_an_event_comes_out_as_it_went_in(store: EventStore) -> None:
    plain = event("plain")
    full = QueuedEvent(
        request=InvokeRequest(
            function=ORDERS.qualified("live"),
            payload=bytes(range(256)) * 4096,
            request_id="full",
            want_log_tail=True,
            client_context='{"a": "ü"}',
            cognito_identity="{}",
            trace_header="Root=1-2-3;Sampled=1",
            tenant_id="blue",
        ),
        enqueued_at=12.25,
    )

    add(store, plain, full)

    assert {each.request.request_id: each for each in store} == {"plain": plain, "full": full}
    assert {each.request.request_id: each for each in store.claim("me", 2, now=NOW)} == {"plain": plain, "full": full}


def test_claims_take_the_oldest_first_and_no_more_than_asked(store: EventStore) -> None:
    add(store, *(event(name, enqueued_at=at) for name, at in (("b", 2.0), ("c", 3.0), ("a", 1.0))))

    assert ids(store.claim("me", 2, now=NOW)) == ["a", "b"]
    assert ids(store.claim("me", 2, now=NOW)) == ["c"]
    assert ids(store.claim("me", 2, now=NOW)) == []


def test_a_claimed_event_is_nobody_elses_but_still_in_the_store(store: EventStore) -> None:
    add(store, event("a"))
    store.claim("me", 1, now=NOW)

    assert ids(store.claim("you", 1, now=NOW)) == []
    assert ids(iter(store)) == ["a"]


def test_no_two_owners_ever_claim_the_same_event(store: EventStore) -> None:
    add(store, *(event(str(number)) for number in range(100)))
    claimed: list[str] = []

    def claim_all(owner: str) -> None:
        while taken := store.claim(owner, 3, now=NOW):
            claimed.extend(ids(list(taken)))

    threads = [threading.Thread(target=claim_all, args=(f"owner-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed, key=int) == [str(number) for number in range(100)]


def test_an_event_of_the_future_is_not_claimed_before_its_time(store: EventStore) -> None:
    add(store, event("later", enqueued_at=NOW + 1))

    assert ids(store.claim("me", 1, now=NOW)) == []
    assert store.next_due_at() == NOW + 1
    assert ids(store.claim("me", 1, now=NOW + 1)) == ["later"]


def test_a_removed_event_is_gone(store: EventStore) -> None:
    add(store, event("a"), event("b"))
    store.claim("me", 2, now=NOW)

    assert durably(lambda done: store.remove("a", done)) is None

    assert ids(iter(store)) == ["b"]


def test_removing_what_is_not_there_is_harmless(store: EventStore) -> None:
    assert durably(lambda done: store.remove("nothing", done)) is None


def test_a_postponed_event_comes_back_at_its_time_and_counts_the_refusal(store: EventStore) -> None:
    add(store, event("a"))
    for refusals in range(3):
        due_at = NOW + 60 * refusals
        (claimed,) = store.claim("me", 1, now=due_at)
        assert claimed.refusals == refusals
        assert claimed.enqueued_at == NOW - 100
        assert durably(lambda done, due_at=due_at: store.postpone("a", due_at + 60, done)) is None
        assert ids(store.claim("me", 1, now=due_at + 59)) == []
        assert store.next_due_at() == due_at + 60


def test_only_unclaimed_events_are_due(store: EventStore) -> None:
    assert store.next_due_at() is None
    add(store, event("a", enqueued_at=1.0), event("b", enqueued_at=2.0))

    store.claim("me", 1, now=NOW)

    assert store.next_due_at() == 2.0


def test_claims_of_owners_that_are_gone_are_released_and_no_others(store: EventStore) -> None:
    add(store, event("a", enqueued_at=1.0), event("b", enqueued_at=2.0), event("c", enqueued_at=3.0))
    for owner in ("dead", "alive", "dead too"):
        store.claim(owner, 1, now=NOW)

    assert sorted(store.claim_owners()) == ["alive", "dead", "dead too"]
    assert store.release(["dead", "dead too", "never seen"]) == 2
    assert list(store.claim_owners()) == ["alive"]
    assert ids(store.claim("me", 3, now=NOW)) == ["a", "c"]
    assert store.release([]) == 0


def test_a_request_id_that_is_queued_already_is_refused_and_its_neighbours_are_not(store: EventStore) -> None:
    add(store, event("a"))
    told: dict[str, Exception | None] = {}
    done = threading.Semaphore(0)
    for name in ("b", "a", "c"):

        def on_durable(error: Exception | None, name: str = name) -> None:
            told[name] = error
            done.release()

        store.add(event(name), on_durable)
    for _ in range(3):
        assert done.acquire(timeout=10)

    assert told["a"] is not None
    assert told["b"] is None
    assert told["c"] is None
    assert ids(iter(store)) == ["a", "b", "c"]


def test_every_event_is_listed_however_many_there_are(store: EventStore) -> None:
    done = threading.Semaphore(0)
    for number in range(1_203):
        store.add(event(str(number)), lambda error: done.release())
    for _ in range(1_203):
        assert done.acquire(timeout=10)

    assert ids(iter(store)) == [str(number) for number in range(1_203)]
    assert len(list(itertools.islice(store, 5))) == 5


def test_events_and_claims_outlive_the_process(tmp_path: Path) -> None:
    first = Database(sqlite_url(tmp_path))
    add(DatabaseEventStore(first), event("a"), event("b"))
    DatabaseEventStore(first).claim("first", 1, now=NOW)
    first.close()

    second = Database(sqlite_url(tmp_path))
    store = DatabaseEventStore(second)
    assert ids(iter(store)) == ["a", "b"]
    assert list(store.claim_owners()) == ["first"]
    second.close()
