"""What stands between a subscription's connection and whoever reads it."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from rie_server.errors import SourceError
from rie_server.sources.kinesis_subscription import BUFFERED_EVENTS, Subscription
from rie_server.sources.push_body import PushBody, first_event
from tests.conftest import wait_until
from tests.servers.fan_out import message

EVENT = message("SubscribeToShardEvent", {"Records": []})


class Raw:
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def stream(self) -> Iterator[bytes]:
        yield from self._pieces


def kinds(*pieces: bytes) -> list[str]:
    buffer = EventStreamBuffer()
    for piece in PushBody(Raw(*pieces)).stream():
        buffer.add_data(piece)
    return [str(message.headers[":event-type"]) for message in buffer]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((first_event(), EVENT), ["initial-response", "SubscribeToShardEvent"]),
        ((EVENT, EVENT), ["initial-response", "SubscribeToShardEvent", "SubscribeToShardEvent"]),
        ((EVENT[:3], EVENT[3:20], EVENT[20:]), ["initial-response", "SubscribeToShardEvent"]),
        ((first_event()[:30], first_event()[30:] + EVENT), ["initial-response", "SubscribeToShardEvent"]),
        ((), []),
    ],
)
def test_a_first_event_that_was_forgotten_is_put_before_the_others(
    pieces: tuple[bytes, ...], expected: list[str]
) -> None:
    assert kinds(*pieces) == expected


class Body:
    def __init__(self) -> None:
        self.shut = threading.Event()

    def shutdown(self) -> None:
        self.shut.set()

    def close(self) -> None:
        pass


def event(number: int, *records: str) -> dict[str, Any]:
    return {
        "SubscribeToShardEvent": {
            "Records": list(records),
            "ContinuationSequenceNumber": str(number),
            "MillisBehindLatest": 1500,
        }
    }


def subscribe(events: Iterable[Mapping[str, Any]], *, passes: bool = True) -> tuple[Subscription, Body, list[int]]:
    body, calls = Body(), list[int]()
    made = Subscription(
        "shardId-000000000000",
        events,
        body,
        failure_of=lambda trouble: SourceError(str(trouble), passes=passes),
        arrived=lambda: calls.append(1),
    )
    made.start()
    return made, body, calls


def test_events_are_taken_one_by_one_with_where_they_go_on() -> None:
    subscription, _, calls = subscribe([event(1, "a"), event(2)])
    wait_until(lambda: len(calls) == 3, what="two events and the end")
    assert not subscription.is_over
    taken = subscription.take()
    assert taken is not None
    assert taken["Records"] == ["a"]
    assert (subscription.continuation, subscription.behind_seconds, subscription.quiet) == ("1", 1.5, 0)
    assert subscription.take()
    assert (subscription.continuation, subscription.quiet) == ("2", 1)
    assert subscription.take() is None
    assert subscription.is_over
    subscription.join()


def test_no_more_is_taken_off_the_connection_than_there_is_room_for() -> None:
    taken: list[int] = []

    def events() -> Iterator[Mapping[str, Any]]:
        for number in range(20):
            taken.append(number)
            yield event(number, "a")

    subscription, _, _ = subscribe(events())
    wait_until(lambda: len(taken) == BUFFERED_EVENTS + 1, what="a full buffer")
    assert subscription.take()
    wait_until(lambda: len(taken) == BUFFERED_EVENTS + 2, what="one more")
    subscription.close()
    subscription.join()
    assert len(taken) == BUFFERED_EVENTS + 2


def broken(*before: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from before
    raise OSError("broken off")


def test_a_connection_that_breaks_before_its_first_event_is_told_once() -> None:
    subscription, _, calls = subscribe(broken())
    wait_until(lambda: calls, what="the end")
    with pytest.raises(SourceError, match="broken off"):
        subscription.take()
    assert subscription.take() is None
    assert subscription.is_over


def test_one_that_ends_before_its_first_event_is_trouble_so_that_nobody_asks_again_at_once() -> None:
    subscription, _, calls = subscribe([])
    wait_until(lambda: calls, what="the end")
    with pytest.raises(SourceError, match="before its first event"):
        subscription.take()


def test_one_that_breaks_after_a_while_ends_like_any_other() -> None:
    subscription, _, calls = subscribe(broken(event(1, "a")))
    wait_until(lambda: len(calls) == 2, what="the end")
    assert subscription.take()
    assert subscription.take() is None
    assert subscription.is_over


def test_a_refusal_that_does_not_pass_is_told_even_then() -> None:
    subscription, _, calls = subscribe(broken(event(1, "a")), passes=False)
    wait_until(lambda: len(calls) == 2, what="the end")
    assert subscription.take()
    with pytest.raises(SourceError):
        subscription.take()


def test_a_closed_subscription_shuts_its_connection_and_tells_nobody() -> None:
    body_holder: list[Body] = []

    def events() -> Iterator[Mapping[str, Any]]:
        wait_until(lambda: body_holder, what="the body")
        body_holder[0].shut.wait(5)
        return
        yield

    subscription, body, calls = subscribe(events())
    body_holder.append(body)
    subscription.close()
    subscription.join()
    assert body.shut.is_set()
    assert calls == []
