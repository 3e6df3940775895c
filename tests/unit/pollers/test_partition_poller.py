"""The reading thread: partitions come and go, trouble passes, and nothing that is in flight is lost."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rie_server.clock.system import SystemClock
from rie_server.errors import SourceError
from rie_server.pollers.partition import PartitionPoller
from rie_server.pollers.partition_pollers import PartitionPollers
from tests.conftest import wait_until
from tests.fakes.destinations import MemoryDestinations
from tests.fakes.invoker import FakeInvoker, answer
from tests.fakes.partitions import TOPIC, FakePartitions, partition_mapping, records, values_of
from tests.fakes.streams import CountingObserver, MemoryReporter

LANE = f"{TOPIC}-0"


class Story:
    def __init__(self, clock: SystemClock, **members: Any) -> None:
        self.invoker, self.source, self.reporter = FakeInvoker(), FakePartitions(), MemoryReporter()
        pollers = PartitionPollers(
            make_source=lambda _: self.source,
            invoker=self.invoker,
            destinations=MemoryDestinations(),
            observer=CountingObserver(),
            clock=clock,
            real=clock,
            backoff_seconds=(0.01, 0.02),
        )
        self.poller: PartitionPoller = pollers(partition_mapping(**members), self.reporter)

    @property
    def batches(self) -> list[list[str]]:
        return [values_of(request.payload) for request in tuple(self.invoker.requests)]


@pytest.fixture
def begin() -> Iterator[Callable[..., Story]]:
    """Starts pollers; they end with the test."""
    clock, stories = SystemClock(), list[Story]()
    clock.start()

    def start(**members: Any) -> Story:
        story = Story(clock, **members)
        stories.append(story)
        story.poller.start()
        return story

    yield start
    for story in stories:
        story.poller.stop()
        while story.invoker.running:
            story.invoker.finish()
        assert story.poller.join(5)
    clock.close()


def test_records_are_handed_out_by_partition_and_offsets_written_after_success(begin: Callable[..., Story]) -> None:
    story = begin()
    story.source.assign(LANE, 7)
    story.source.assign(f"{TOPIC}-1", 0)
    story.source.send([*records("a", "b", first=7), *records("x", "y", lane=f"{TOPIC}-1")])
    wait_until(lambda: story.source.committed == {LANE: 9, f"{TOPIC}-1": 2})
    assert sorted(story.batches) == [["a", "b"], ["x", "y"]]
    assert story.poller.describe() == {"backlog": None, "pollers": 1, "in_flight": 0, "partitions": 2}
    wait_until(story.poller.is_settled)


def test_a_function_that_takes_long_does_not_keep_the_thread_from_reading(begin: Callable[..., Story]) -> None:
    story = begin()
    story.invoker.decide = lambda _: None
    story.source.assign()
    story.source.send(records("a", "b"))
    wait_until(lambda: story.invoker.running)
    story.source.wait_read()
    assert not story.poller.is_settled()
    assert story.source.committed == {}


def test_a_partition_is_handed_over_when_its_batch_has_ended(begin: Callable[..., Story]) -> None:
    story = begin()
    story.invoker.decide = lambda _: None
    story.source.assign()
    story.source.send(records("a", "b", "c", "d"))
    wait_until(lambda: story.invoker.running)
    handed_over = story.source.revoke()
    assert not handed_over.wait(0.1)
    story.invoker.finish()
    assert handed_over.wait(5)
    assert story.source.handed_over == {LANE: 2}
    assert story.batches == [["a", "b"]]


def test_a_partition_that_does_not_end_in_time_is_handed_over_and_its_late_answer_counts_for_nothing(
    begin: Callable[..., Story], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rie_server.pollers.partition.HAND_OVER_SECONDS", 0.05)
    story = begin()
    story.invoker.decide = lambda _: None
    story.source.assign()
    story.source.send(records("a", "b"))
    wait_until(lambda: story.invoker.running)
    assert story.source.revoke().wait(5)
    assert story.source.handed_over == {LANE: 0}
    story.invoker.finish()
    story.source.wait_read()
    assert story.source.committed == {}


def test_what_ends_after_a_partition_was_lost_counts_for_nothing(begin: Callable[..., Story]) -> None:
    story = begin()
    story.invoker.decide = lambda _: None
    story.source.assign()
    story.source.send(records("a", "b", "c", "d"))
    wait_until(lambda: story.invoker.running)
    story.source.lose()
    story.source.wait_read()
    story.invoker.finish()
    story.source.assign(LANE, 0)
    story.source.wait_read()
    assert story.source.committed == {}
    assert story.batches == [["a", "b"]]


def test_a_partition_with_enough_to_do_is_paused_until_it_has_room(begin: Callable[..., Story]) -> None:
    story = begin()
    story.invoker.decide = lambda _: None
    story.source.assign(LANE)
    story.source.assign(f"{TOPIC}-1")
    story.source.send(records(*["x"] * 12_100))
    wait_until(lambda: story.source.paused == {LANE}, what="the full lane to be paused")
    story.invoker.decide = lambda _: answer()
    story.invoker.finish()
    wait_until(lambda: story.source.paused == set(), what="the lane to be resumed")
    wait_until(lambda: story.source.committed == {LANE: 12_100})


def test_a_full_partition_is_read_on_while_another_is_hungry(begin: Callable[..., Story]) -> None:
    story = begin()
    story.invoker.decide = lambda _: None
    story.source.assign(LANE)
    story.source.assign(f"{TOPIC}-1")
    story.source.send(records(*["x"] * 4100))
    story.source.wait_read()
    story.source.send(records("y", lane=f"{TOPIC}-1"))
    wait_until(lambda: ["y"] in story.batches)
    assert story.source.paused == set()


def test_a_partition_that_stays_full_is_paused_although_none_is_hungry(begin: Callable[..., Story]) -> None:
    story = begin()
    story.invoker.decide = lambda _: None
    story.source.assign(LANE)
    story.source.send(records(*["x"] * 4100))
    wait_until(lambda: story.source.paused == {LANE}, what="the full lane to be paused")


def test_trouble_with_the_source_is_told_once_and_the_source_opened_again(begin: Callable[..., Story]) -> None:
    story = begin()
    wait_until(story.source.is_open.is_set)
    story.source.failures = [SourceError("no broker"), SourceError("no broker"), SourceError("no password")]
    story.source.fail(SourceError("no broker"))
    wait_until(lambda: story.source.opened == 5)
    story.source.assign()
    story.source.send(records("a", "b"))
    wait_until(lambda: story.batches == [["a", "b"]])
    told = [result for result in story.reporter.results if result != "OK"]
    assert told == ["PROBLEM: no broker", "PROBLEM: no password", "No records processed"]


def test_trouble_that_passes_by_itself_is_told_with_its_end(begin: Callable[..., Story]) -> None:
    story = begin()
    story.source.assign()
    story.source.wait_read()
    story.source.told = "no broker"
    wait_until(lambda: story.reporter.results == ["PROBLEM: no broker"])
    story.source.told = None
    wait_until(lambda: story.reporter.results == ["PROBLEM: no broker", "No records processed"])
    assert story.source.opened == 1


def test_a_source_that_fails_gives_its_partitions_back_first(begin: Callable[..., Story]) -> None:
    story = begin()
    story.invoker.decide = lambda _: None
    story.source.assign()
    story.source.send(records("a", "b"))
    wait_until(lambda: story.invoker.running)
    story.source.fail(SourceError("no broker"))
    story.invoker.finish()
    wait_until(lambda: story.source.opened == 2)
    assert story.source.handed_over == {LANE: 2}


def test_a_poller_that_is_stopped_finishes_what_is_in_flight_and_writes_it(begin: Callable[..., Story]) -> None:
    story = begin()
    story.invoker.decide = lambda _: None
    story.source.assign()
    story.source.send(records("a", "b", "c", "d"))
    wait_until(lambda: story.invoker.running)
    story.poller.stop()
    assert not story.poller.join(0.05)
    story.invoker.finish()
    assert story.poller.join(5)
    assert story.source.committed == {LANE: 2}
    assert story.batches == [["a", "b"]]


def test_a_poller_that_was_never_started_has_nothing_to_wait_for() -> None:
    story = Story(SystemClock())
    story.poller.stop()
    assert story.poller.join(0)
