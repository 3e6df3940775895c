"""The poller of queues, with a queue and a function in memory and a server's time that the test moves."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from rie_server.clock.system import SystemClock
from rie_server.errors import SourceError, TooManyRequestsException
from rie_server.model.event_source import EventSourceMapping, SourceKind
from rie_server.model.invocation import InvokeResult
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.message_queue import MessageQueuePoller
from rie_server.pollers.queue_context import QueueContext
from rie_server.pollers.queue_pollers import filters_of
from rie_server.pollers.queue_rules import QueueRules
from tests.conftest import wait_until
from tests.fakes.clock import FakeClock
from tests.fakes.invoker import FakeInvoker, answer, failure
from tests.fakes.queue_source import FakeQueue
from tests.unit.event_sources.mappings import mapping_of

PARTIAL = ["ReportBatchItemFailures"]
LONG = 30.0


@dataclass
class Watcher:
    """Fills ``PollObserver`` and ``MappingReporter``."""

    counts: dict[str, int] = field(default_factory=dict)
    results: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[[EventSourceMapping, int], None]:
        if name.startswith("_"):
            raise AttributeError(name)

        def count(mapping: EventSourceMapping, number: int) -> None:
            self.counts[name] = self.counts.get(name, 0) + number

        return count

    def processed(self, result: str) -> None:
        self.results.append(result)

    def disable(self, reason: str) -> None:
        raise AssertionError(reason)


@dataclass(kw_only=True)
class Bench:
    """A poller and everything around it.

    Attributes:
        clock: the server's time.
    """

    poller: MessageQueuePoller
    queue: FakeQueue
    invoker: FakeInvoker
    watcher: Watcher
    clock: FakeClock

    def start(self) -> None:
        self.poller.start()

    def wait_deleted(self, *bodies: str) -> None:
        wait_until(lambda: sorted(self.queue.deleted) == sorted(bodies), what=f"{bodies} to be deleted")

    def wait_runs(self, count: int) -> None:
        wait_until(lambda: len(self.invoker.requests) >= count, what=f"{count} runs")

    def stays(self, condition: Callable[[], bool]) -> None:
        """For a moment, and most defects would show in it."""
        until = time.monotonic() + 0.08
        while time.monotonic() < until:
            assert condition()
            time.sleep(0.005)


Make = Callable[..., Bench]


@pytest.fixture
def real() -> Iterator[SystemClock]:
    clock = SystemClock()
    clock.start()
    yield clock
    clock.close()


@pytest.fixture
def make(real: SystemClock) -> Iterator[Make]:
    benches: list[Bench] = []

    def bench(*, visibility: float = LONG, rules: Mapping[str, Any] | None = None, **members: Any) -> Bench:
        mapping = mapping_of(SourceKind.SQS, **members)
        queue, invoker, watcher, clock = FakeQueue(visibility_seconds=visibility), FakeInvoker(), Watcher(), FakeClock()
        wanted = QueueRules(
            batches_most=50, long_poll_seconds=0.05, hold_seconds=queue.hold_seconds, interrupt=queue.interrupt
        )
        invocation = BatchInvocation(mapping=mapping, source=queue, invoker=invoker, observer=watcher, clock=real)
        context = QueueContext(
            mapping=mapping,
            source=queue,
            rules=replace(wanted, **(rules or {})),
            invocation=invocation,
            reporter=watcher,
            observer=watcher,
            clock=clock,
            real=real,
        )
        poller = MessageQueuePoller(context, is_wanted=filters_of(mapping))
        benches.append(Bench(poller=poller, queue=queue, invoker=invoker, watcher=watcher, clock=clock))
        return benches[-1]

    yield bench
    for one in benches:
        one.poller.stop()
        while one.invoker.running:
            one.invoker.finish()
        assert one.poller.join(10), "something is still in flight"
        assert one.queue.is_closed
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("receive-", "queue-"))]


def raises_for(*bodies: str) -> Callable[[Any], InvokeResult]:
    def decide(event: Any) -> InvokeResult:
        return failure() if any(record["body"] in bodies for record in event["Records"]) else answer()

    return decide


def reports(*bodies: str) -> Callable[[Any], InvokeResult]:
    def decide(event: Any) -> InvokeResult:
        named = [one["messageId"] for one in event["Records"] if one["body"] in bodies]
        return answer({"batchItemFailures": [{"itemIdentifier": name} for name in named]})

    return decide


# --- one batch --------------------------------------------------------------------------------------------------------


def test_messages_are_deleted_after_the_function_succeeded(make: Make) -> None:
    bench = make()
    bench.invoker.decide = lambda event: None
    bench.queue.put("a", "b")
    bench.start()
    bench.wait_runs(1)
    bench.stays(lambda: not bench.queue.deleted)

    bench.invoker.finish()

    bench.wait_deleted("a", "b")
    assert bench.invoker.bodies == [["a", "b"]]
    assert bench.watcher.counts == {"polled": 2, "invoked": 2, "deleted": 2}


def test_messages_of_a_failed_batch_are_left_to_the_queue_and_come_again(make: Make) -> None:
    bench = make(visibility=0.2)
    outcomes = iter([failure(), answer()])
    bench.invoker.decide = lambda event: next(outcomes)
    bench.queue.put("a")
    bench.start()

    bench.wait_deleted("a")

    assert bench.invoker.bodies == [["a"], ["a"]]
    assert bench.queue.released == ["a"]
    assert bench.watcher.results == ["PROBLEM: Function call failed", "OK"]


def test_a_batch_has_no_more_messages_than_its_size(make: Make) -> None:
    bench = make(BatchSize=3)
    bench.queue.put(*"abcdefg")
    bench.start()

    bench.wait_deleted(*"abcdefg")

    assert max(len(batch) for batch in bench.invoker.bodies) == 3


def test_an_event_has_no_more_than_6_mb(make: Make) -> None:
    bench = make(BatchSize=100, MaximumBatchingWindowInSeconds=5)
    bench.queue.put(*[letter * 1_000_000 for letter in "abcdefgh"])
    bench.start()

    bench.wait_runs(1)
    wait_until(lambda: len(bench.queue.deleted) == 6)
    bench.clock.advance(5)

    wait_until(lambda: len(bench.queue.deleted) == 8)
    assert [len(batch) for batch in bench.invoker.bodies] == [6, 2]


# --- partial batch responses ------------------------------------------------------------------------------------------


def test_messages_that_the_function_names_are_left_and_the_others_deleted(make: Make) -> None:
    bench = make(FunctionResponseTypes=PARTIAL)
    bench.invoker.decide = reports("b")
    bench.queue.put(*"abc")
    bench.start()

    bench.wait_deleted("a", "c")
    wait_until(lambda: bench.queue.released == ["b"])
    assert bench.watcher.counts["failed_invoke"] == 1


@pytest.mark.parametrize(
    "value", [{"batchItemFailures": [{"itemIdentifier": "who?"}]}, {"batchItemFailures": [{"foo": "x"}]}, [{}]]
)
def test_an_answer_that_makes_no_sense_fails_the_batch(make: Make, value: Any) -> None:
    bench = make(FunctionResponseTypes=PARTIAL)
    bench.invoker.decide = lambda event: answer(value)
    bench.queue.put(*"ab")
    bench.start()

    wait_until(lambda: sorted(bench.queue.released) == ["a", "b"])
    assert not bench.queue.deleted


def test_without_response_types_an_answer_means_nothing(make: Make) -> None:
    bench = make()
    bench.invoker.decide = reports("b")
    bench.queue.put(*"abc")
    bench.start()

    bench.wait_deleted(*"abc")


def test_a_message_behind_a_failed_one_of_its_group_fails_with_it(make: Make) -> None:
    bench = make(FunctionResponseTypes=PARTIAL)
    bench.invoker.decide = reports("a1")
    bench.queue.put("a0", "a1", "a2", lane="a")
    bench.queue.put("b0", lane="b")
    bench.start()

    bench.wait_deleted("a0", "b0")
    wait_until(lambda: bench.queue.released == ["a1", "a2"])


# --- order ------------------------------------------------------------------------------------------------------------


def test_groups_run_beside_one_another_and_each_in_order(make: Make) -> None:
    bench = make(BatchSize=1)
    bench.invoker.decide = lambda event: None
    bench.queue.put("a0", "a1", lane="a")
    bench.queue.put("b0", lane="b")
    bench.start()
    bench.wait_runs(2)
    bench.stays(lambda: len(bench.invoker.running) == 2)
    assert sorted(bench.invoker.bodies) == [["a0"], ["b0"]]

    position = bench.invoker.bodies.index(["a0"])
    bench.invoker.finish(position=position)

    wait_until(lambda: ["a1"] in bench.invoker.bodies)


def test_a_group_waits_after_a_failure_and_goes_on_with_the_same_message(make: Make) -> None:
    bench = make(BatchSize=1, visibility=0.2)
    outcomes = iter([failure()])
    bench.invoker.decide = lambda event: next(outcomes, answer())
    bench.queue.put("a0", "a1", "a2", lane="a")
    bench.start()

    bench.wait_deleted("a0", "a1", "a2")

    assert bench.invoker.bodies == [["a0"], ["a0"], ["a1"], ["a2"]]


# --- filters ----------------------------------------------------------------------------------------------------------


def test_a_message_that_no_filter_wants_is_deleted_unseen(make: Make) -> None:
    bench = make(FilterCriteria={"Filters": [{"Pattern": '{"body": {"kind": ["wanted"]}}'}]})
    wanted, unwanted, text = '{"kind": "wanted"}', '{"kind": "other"}', "no JSON"
    bench.queue.put(unwanted, wanted, text)
    bench.start()

    bench.wait_deleted(unwanted, wanted, text)

    assert bench.invoker.bodies == [[wanted]]
    assert bench.watcher.counts["filtered_out"] == 2


# --- the batching window ----------------------------------------------------------------------------------------------


def test_a_batch_goes_when_its_window_is_over_by_the_servers_time(make: Make) -> None:
    bench = make(BatchSize=100, MaximumBatchingWindowInSeconds=300, visibility=1000.0)
    bench.queue.put("a")
    bench.start()
    wait_until(lambda: bench.watcher.counts.get("polled") == 1)
    bench.queue.put("b")
    wait_until(lambda: bench.watcher.counts.get("polled") == 2)
    bench.stays(lambda: not bench.invoker.requests)
    bench.clock.advance(299)
    bench.stays(lambda: not bench.invoker.requests)

    bench.clock.advance(1)

    bench.wait_deleted("a", "b")
    assert bench.invoker.bodies == [["a", "b"]]


def test_a_full_batch_does_not_wait_for_its_window(make: Make) -> None:
    bench = make(BatchSize=20, MaximumBatchingWindowInSeconds=300)
    bodies = [str(number) for number in range(20)]
    bench.queue.put(*bodies)
    bench.start()

    bench.wait_deleted(*bodies)

    assert len(bench.invoker.requests) == 1


def test_a_window_ends_before_the_queue_takes_its_messages_back(make: Make) -> None:
    bench = make(BatchSize=100, MaximumBatchingWindowInSeconds=300, visibility=0.4)
    bench.queue.put("a")
    bench.start()

    bench.wait_deleted("a")

    assert bench.invoker.bodies == [["a"]]


# --- throttles and time -----------------------------------------------------------------------------------------------


def throttled(event: Any) -> TooManyRequestsException:
    return TooManyRequestsException("ReservedFunctionConcurrentInvocationLimitExceeded")


def test_a_throttled_batch_is_tried_again_with_a_backoff_as_the_same_batch(make: Make) -> None:
    bench = make()
    bench.invoker.decide = throttled
    bench.queue.put(*"ab")
    bench.start()
    bench.wait_runs(1)
    bench.stays(lambda: len(bench.invoker.requests) == 1)
    bench.clock.advance(0.25)
    bench.wait_runs(2)
    bench.stays(lambda: len(bench.invoker.requests) == 2)

    bench.invoker.decide = lambda event: answer()
    wait_until(bench.poller.is_settled)
    bench.clock.advance(0.5)

    bench.wait_deleted("a", "b")
    assert bench.invoker.bodies == [["a", "b"]] * 3
    assert len({request.request_id for request in bench.invoker.requests}) == 1
    assert bench.watcher.results == ["PROBLEM: Rate Exceeded.", "OK"]


def test_a_throttled_batch_is_let_go_when_its_messages_are_not_held_any_more(make: Make) -> None:
    bench = make(visibility=0.5)
    bench.invoker.decide = throttled
    bench.queue.put("a")
    bench.start()
    bench.wait_runs(1)

    bench.invoker.decide = lambda event: answer()

    bench.wait_deleted("a")  # by the second receive: the server's time stands still
    assert bench.queue.released == ["a"]
    assert len({request.request_id for request in bench.invoker.requests}) == 2


# --- scaling ----------------------------------------------------------------------------------------------------------


def test_never_more_batches_are_with_the_function_than_allowed(make: Make) -> None:
    bench = make(BatchSize=1, rules={"batches_most": 2, "batches_at_start": 2})
    bench.invoker.decide = lambda event: None
    bench.queue.put(*"abcdefgh")
    bench.start()
    bench.wait_runs(2)
    bench.stays(lambda: len(bench.invoker.running) == 2)
    assert bench.queue.backlog() == 6, "what cannot be run stays in the queue"

    for _ in range(8):
        wait_until(lambda: bench.invoker.running)
        bench.invoker.finish()

    bench.wait_deleted(*"abcdefgh")
    assert bench.invoker.most_running == 2


def test_more_batches_are_with_the_function_while_messages_wait(make: Make) -> None:
    bench = make(BatchSize=1, rules={"batches_per_minute": 6000})
    bench.invoker.decide = lambda event: None
    bench.queue.put(*[str(number) for number in range(20)])
    bench.start()

    wait_until(lambda: len(bench.invoker.running) == 20, seconds=5)


def test_one_thread_listens_to_an_empty_queue(make: Make) -> None:
    bench = make()
    bench.start()
    wait_until(lambda: bench.queue.receives > 2)

    bench.stays(lambda: bench.queue.receiving <= 1)
    assert bench.poller.describe()["pollers"] == 1
    assert bench.poller.is_settled()


def test_a_watcher_sees_the_backlog(make: Make) -> None:
    bench = make(rules={"batches_most": 1, "batches_at_start": 1}, BatchSize=1)
    bench.invoker.decide = lambda event: None
    bench.queue.put(*"abc")
    bench.start()
    bench.wait_runs(1)

    wait_until(lambda: bench.poller.describe()["backlog"] == 2)
    assert bench.poller.describe()["in_flight"] == 1
    assert not bench.poller.is_settled()


# --- trouble ----------------------------------------------------------------------------------------------------------


def test_a_source_in_trouble_is_asked_with_a_backoff_and_its_trouble_reported_once(make: Make) -> None:
    bench = make()
    bench.queue.trouble = SourceError("the queue is away")
    bench.start()
    wait_until(lambda: bench.watcher.results)
    bench.stays(lambda: bench.queue.receives <= 2)

    bench.queue.trouble = None
    bench.queue.put("a")

    bench.wait_deleted("a")
    assert bench.watcher.results == ["PROBLEM: the queue is away", "No records processed", "OK"]


def test_messages_that_cannot_be_deleted_are_tried_again_without_being_run_again(make: Make) -> None:
    bench = make()
    bench.queue.keeps = 3
    bench.queue.put(*"ab")
    bench.start()

    bench.wait_deleted("a", "b")

    assert bench.invoker.bodies == [["a", "b"]]


def test_messages_of_sources_that_deliver_again_at_once_are_held_back_after_a_failure(make: Make) -> None:
    bench = make(rules={"failure_pause_seconds": 1.0, "hold_seconds": lambda: None})
    bench.invoker.decide = raises_for("a")
    bench.queue.put("a")
    bench.start()
    bench.wait_runs(1)
    bench.stays(lambda: not bench.queue.released)

    bench.clock.advance(1)

    wait_until(lambda: bench.queue.released == ["a"])


# --- the end ----------------------------------------------------------------------------------------------------------


def test_the_end_waits_for_what_is_in_flight(make: Make) -> None:
    bench = make()
    bench.invoker.decide = lambda event: None
    bench.queue.put("a")
    bench.start()
    bench.wait_runs(1)

    bench.poller.stop()
    assert not bench.poller.join(0.05)
    bench.invoker.finish()

    assert bench.poller.join(5)
    assert bench.queue.deleted == ["a"]


def test_what_was_gathered_is_still_run_at_the_end(make: Make) -> None:
    bench = make(BatchSize=100, MaximumBatchingWindowInSeconds=300)
    bench.queue.put("a")
    bench.start()
    wait_until(lambda: bench.watcher.counts.get("polled") == 1)

    bench.poller.stop()

    assert bench.poller.join(5)
    assert bench.queue.deleted == ["a"]


def test_a_throttled_batch_is_let_go_at_the_end(make: Make) -> None:
    bench = make()
    bench.invoker.decide = throttled
    bench.queue.put("a")
    bench.start()
    bench.wait_runs(1)

    bench.poller.stop()

    assert bench.poller.join(5)
    assert bench.queue.released == ["a"]
    assert len(bench.queue) == 1


def test_nothing_is_received_after_the_stop(make: Make) -> None:
    bench = make()
    bench.start()
    wait_until(lambda: bench.queue.receives)
    bench.poller.stop()
    assert bench.poller.join(5)

    bench.queue.put("a")

    bench.stays(lambda: bench.queue.backlog() == 1)
