"""What every EventStore promises."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rie_server.errors import LeaseLostError
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import EndedEvent, QueuedEvent
from rie_server.model.delivery import DeliveryKind
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.event_progress import DeliveryOutcome
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.stores.database import Database, sqlite_url
from rie_server.stores.events import DatabaseEventStore
from rie_server.storing import EventStore
from tests.fakes.stores import MemoryEventStore

ORDERS = FunctionArn(region="eu-west-1", account="123456789012", name="orders")
NOW = 1_000.0
ENDED = EndedEvent(
    ending=EventEnding(
        condition=EndingCondition.RETRIES_EXHAUSTED,
        status_code=200,
        invoke_count=3,
        function_error="Unhandled",
        executed_version="$LATEST",
        response_payload=b'{"errorMessage": "\xff\x00"}',
        error_message="no",
    ),
    config=EventInvokeConfig(maximum_retry_attempts=1, on_failure="arn:aws:sqs:f", dead_letter="arn:aws:sqs:d"),
    ended_at=NOW + 0.125,
    tries=1,
    outcomes=(DeliveryOutcome(kind=DeliveryKind.ON_FAILURE, target_arn="arn:aws:sqs:f", attempts=1, error="gone"),),
)


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    if request.param == "memory":
        yield MemoryEventStore()
        return
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").new_database()
    else:
        url = sqlite_url(tmp_path)
    database = Database(url)
    yield DatabaseEventStore(database)
    database.close()


def event(request_id: str, *, enqueued_at: float = NOW - 100, function: FunctionArn = ORDERS) -> QueuedEvent:
    return QueuedEvent(
        request=InvokeRequest(function=function, payload=b"{}", request_id=request_id), enqueued_at=enqueued_at
    )


def claim(
    store: EventStore, owner: str, most: int, *, now: float = NOW, lane: str = str(ORDERS), lease_seconds: float = 60.0
) -> list[QueuedEvent]:
    return list(store.claim(owner, {lane: most}, now=now, lease_seconds=lease_seconds))


def claim_owners(store: EventStore) -> set[str]:
    """Whoever ``release`` asks about."""
    asked: set[str] = set()

    def is_gone(owner: str) -> bool:
        asked.add(owner)
        return False

    store.release(is_gone)
    return asked


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
    assert {each.request.request_id: each for each in claim(store, "me", 2, now=NOW)} == {"plain": plain, "full": full}


def test_claims_take_the_oldest_first_and_no_more_than_asked(store: EventStore) -> None:
    add(store, *(event(name, enqueued_at=at) for name, at in (("b", 2.0), ("c", 3.0), ("a", 1.0))))

    assert ids(claim(store, "me", 2, now=NOW)) == ["a", "b"]
    assert ids(claim(store, "me", 2, now=NOW)) == ["c"]
    assert ids(claim(store, "me", 2, now=NOW)) == []


def test_a_claimed_event_is_nobody_elses_but_still_in_the_store(store: EventStore) -> None:
    add(store, event("a"))
    claim(store, "me", 1, now=NOW)

    assert ids(claim(store, "you", 1, now=NOW)) == []
    assert ids(iter(store)) == ["a"]


def test_no_two_owners_ever_claim_the_same_event(store: EventStore) -> None:
    add(store, *(event(str(number)) for number in range(100)))
    claimed: list[str] = []

    def claim_all(owner: str) -> None:
        while taken := claim(store, owner, 3, now=NOW):
            claimed.extend(ids(list(taken)))

    threads = [threading.Thread(target=claim_all, args=(f"owner-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed, key=int) == [str(number) for number in range(100)]


def test_an_event_of_the_future_is_not_claimed_before_its_time(store: EventStore) -> None:
    add(store, event("later", enqueued_at=NOW + 1))

    assert ids(claim(store, "me", 1, now=NOW)) == []
    assert store.lanes() == {str(ORDERS): NOW + 1}
    assert ids(claim(store, "me", 1, now=NOW + 1)) == ["later"]


def test_a_removed_event_is_gone(store: EventStore) -> None:
    add(store, event("a"), event("b"))
    claim(store, "me", 2, now=NOW)

    assert durably(lambda done: store.remove("a", "me", done)) is None

    assert ids(iter(store)) == ["b"]


def test_removing_what_is_not_there_is_harmless(store: EventStore) -> None:
    assert durably(lambda done: store.remove("nothing", "me", done)) is None


def test_an_event_that_is_put_off_comes_back_at_its_time_with_what_has_happened_to_it(store: EventStore) -> None:
    add(store, event("a"))
    (claimed,) = claim(store, "me", 1)
    failed = InvokeResult(payload=b'{"errorMessage": "\xff"}', function_error="Unhandled", executed_version="7")
    after = replace(claimed, attempts=1, refusals=3, last_result=failed)

    assert durably(lambda done: store.save(after, "me", NOW + 60, done)) is None

    assert store.lanes() == {str(ORDERS): NOW + 60}
    assert claim(store, "you", 1, now=NOW + 59) == []
    assert claim(store, "you", 1, now=NOW + 60) == [after]
    assert list(store) == [after]


def test_an_ending_is_kept_with_its_configuration_and_its_deliveries_in_a_lane_of_its_own(store: EventStore) -> None:
    add(store, event("a"))
    (claimed,) = claim(store, "me", 1)
    after = replace(claimed, ended=ENDED)

    assert durably(lambda done: store.save(after, "me", None, done)) is None
    assert store.lanes() == {}, "it is still mine"
    again = replace(after, ended=replace(ENDED, tries=2))
    assert durably(lambda done: store.save(again, "me", NOW + 5, done)) is None

    assert store.lanes() == {f"ended {ORDERS}": NOW + 5}
    assert claim(store, "you", 1, now=NOW + 5) == [], "it is not to be run"
    assert claim(store, "you", 1, now=NOW + 5, lane=again.lane) == [again]


def test_only_who_holds_an_event_can_change_it(store: EventStore) -> None:
    add(store, event("a"), event("free"))
    (held,) = claim(store, "me", 1)
    (free,) = (each for each in store if each.request.request_id == "free")
    gone = event("never there")

    for change in (replace(held, attempts=1), replace(free, attempts=1), gone):
        for due_at in (None, NOW):
            error = durably(lambda done, change=change, due_at=due_at: store.save(change, "late", due_at, done))
            assert isinstance(error, LeaseLostError)
        assert durably(lambda done, change=change: store.remove(change.request.request_id, "late", done)) is None

    assert list(store) == [held, free]
    assert claim_owners(store) == {"me"}


def test_one_that_was_given_back_is_held_by_nobody(store: EventStore) -> None:
    add(store, event("a"))
    (held,) = claim(store, "me", 1)
    durably(lambda done: store.save(held, "me", NOW, done))

    assert isinstance(durably(lambda done: store.save(held, "me", NOW, done)), LeaseLostError)
    assert durably(lambda done: store.remove("a", "me", done)) is None
    assert list(store) == [held]


def test_lanes_are_named_with_when_their_first_unclaimed_event_is_due(store: EventStore) -> None:
    bills = replace(ORDERS, name="bills")
    assert store.lanes() == {}
    add(store, event("o1", enqueued_at=1.0), event("o2", enqueued_at=2.0))
    add(store, event("b", enqueued_at=5.0, function=bills.qualified("live")))
    assert store.lanes() == {str(bills): 5.0, str(ORDERS): 1.0}

    claim(store, "me", 1)
    assert store.lanes() == {str(bills): 5.0, str(ORDERS): 2.0}
    claim(store, "me", 1)
    assert store.lanes() == {str(bills): 5.0}


def test_a_claim_takes_from_each_lane_what_was_allotted_to_it(store: EventStore) -> None:
    bills = replace(ORDERS, name="bills")
    add(store, *(event(f"o{number}", enqueued_at=number) for number in range(5)))
    add(store, *(event(f"b{number}", enqueued_at=number, function=bills) for number in range(5)))

    claimed = store.claim("me", {str(ORDERS): 3, str(bills): 1, "nobody": 4}, now=NOW, lease_seconds=60.0)

    assert sorted(ids(list(claimed))) == ["b0", "o0", "o1", "o2"]


def test_an_expired_lease_is_released_and_a_renewed_one_is_not(store: EventStore) -> None:
    add(store, *(event(name, enqueued_at=at) for name, at in (("a", 1.0), ("b", 2.0), ("c", 3.0))))
    claim(store, "away", 1, lease_seconds=-1.0)
    claim(store, "late", 1, lease_seconds=-1.0)
    claim(store, "here", 1)
    store.renew("late", 60.0)

    assert store.release(lambda owner: False) == 1
    assert claim_owners(store) == {"here", "late"}
    assert ids(claim(store, "me", 3)) == ["a"]


def test_claims_of_owners_that_are_gone_are_released_and_no_others(store: EventStore) -> None:
    add(store, event("a", enqueued_at=1.0), event("b", enqueued_at=2.0), event("c", enqueued_at=3.0))
    for owner in ("dead", "alive", "dead too"):
        claim(store, owner, 1, now=NOW)

    assert claim_owners(store) == {"alive", "dead", "dead too"}
    assert store.release(lambda owner: owner in ("dead", "dead too", "never seen")) == 2
    assert claim_owners(store) == {"alive"}
    assert ids(claim(store, "me", 3, now=NOW)) == ["a", "c"]
    assert store.release(lambda owner: False) == 0


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
    DatabaseEventStore(first).claim("first", {str(ORDERS): 1}, now=NOW, lease_seconds=60.0)
    first.close()

    second = Database(sqlite_url(tmp_path))
    store = DatabaseEventStore(second)
    assert ids(iter(store)) == ["a", "b"]
    assert claim_owners(store) == {"first"}
    second.close()
