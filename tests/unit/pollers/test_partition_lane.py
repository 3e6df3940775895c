"""One partition: what makes a batch, what follows from its answer, and from when on it counts as done."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from rie_server.errors import TooManyRequestsException
from rie_server.model.filter_pattern import compile_filters
from rie_server.model.partition_rules import partition_rules
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.partition_crew import Crew
from rie_server.pollers.partition_failures import PartitionFailures
from rie_server.pollers.partition_lane import PartitionLane
from rie_server.pollers.partition_slots import PartitionSlots, poller_bounds
from tests.fakes.clock import FakeClock
from tests.fakes.destinations import MemoryDestinations
from tests.fakes.invoker import FakeInvoker, answer, failure
from tests.fakes.partitions import TOPIC, FakePartitions, partition_mapping, records, values_of
from tests.fakes.streams import CountingObserver, MemoryReporter

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:failed"
LANE = f"{TOPIC}-0"


class Story:
    """A lane whose crew works at once, on the test's own thread."""

    def __init__(self, **members: Any) -> None:
        self.mapping = partition_mapping(**members)
        self.clock, self.invoker, self.source = FakeClock(), FakeInvoker(), FakePartitions()
        self.destinations, self.observer, self.reporter = MemoryDestinations(), CountingObserver(), MemoryReporter()
        invocation = BatchInvocation(
            mapping=self.mapping,
            source=self.source,
            invoker=self.invoker,
            observer=self.observer,
            clock=self.clock,
        )
        self.crew = Crew(
            mapping=self.mapping,
            filters=compile_filters(self.mapping.filter_patterns),
            rules=partition_rules(self.mapping),
            invocation=invocation,
            failures=PartitionFailures(
                mapping=self.mapping,
                source=self.source,
                invocation=invocation,
                destinations=self.destinations,
                clock=self.clock,
            ),
            slots=PartitionSlots(poller_bounds(self.mapping), self.clock),
            observer=self.observer,
            reporter=self.reporter,
            clock=self.clock,
            run=lambda work: work(),
            on_room=lambda: None,
        )
        self.lane = PartitionLane(self.crew, LANE, 0)

    def offer(self, *values: str, first: int = 0, age_seconds: float = 0.0) -> None:
        self.lane.offer(records(*values, first=first, arrived_at=self.clock.now() - age_seconds))

    @property
    def batches(self) -> list[list[str]]:
        return [values_of(request.payload) for request in self.invoker.requests]

    def fail_on(self, *bad: str) -> None:
        """The function fails with every batch that has one of these values."""

        def decide(event: Any) -> Any:
            return failure() if set(values_of(json.dumps(event).encode())) & set(bad) else answer()

        self.invoker.decide = decide

    def report(self, *offsets: int) -> None:
        """The function's answer names these offsets, if they are in its batch."""

        def decide(event: Any) -> Any:
            ((lane, some),) = event["records"].items()
            failed = [one["offset"] for one in some if one["offset"] in offsets]
            items = [{"itemIdentifier": {"partition": lane, "offset": offset}} for offset in failed]
            return answer({"batchItemFailures": items})

        self.invoker.decide = decide


def test_batches_go_one_after_another_in_order_and_count_when_they_have_succeeded() -> None:
    story = Story()
    story.invoker.decide = lambda _: None
    story.offer("a", "b", "c", "d")
    assert story.batches == [["a", "b"]]
    assert (story.lane.done_offset(), story.lane.is_busy) == (0, True)
    story.invoker.finish()
    assert story.batches == [["a", "b"], ["c", "d"]]
    assert story.lane.done_offset() == 2
    story.invoker.finish()
    assert (story.lane.done_offset(), story.lane.is_busy) == (4, False)
    assert story.reporter.results == ["OK", "OK"]


def test_a_batch_that_is_not_full_waits_for_its_window() -> None:
    story = Story(BatchSize=10, MaximumBatchingWindowInSeconds=5)
    story.offer("a")
    story.clock.advance(4)
    story.offer("b", first=1)
    assert story.batches == []
    assert not story.lane.is_busy
    story.clock.advance(1)
    assert story.batches == [["a", "b"]]
    story.offer("c", first=2)
    story.clock.advance(4.9)
    assert len(story.batches) == 1, "the next window begins with the next record"
    story.clock.advance(0.1)
    assert story.batches[1:] == [["c"]]


def test_without_a_setting_the_window_is_half_a_second() -> None:
    story = Story(BatchSize=10, MaximumBatchingWindowInSeconds=None)
    story.offer("a")
    story.clock.advance(0.49)
    assert story.batches == []
    story.clock.advance(0.01)
    assert story.batches == [["a"]]


def test_a_batch_ends_before_six_megabytes() -> None:
    story = Story(BatchSize=10_000)
    large = "x" * 1_500_000
    story.offer(*[large] * 5)
    assert [len(batch) for batch in story.batches] == [3, 2]
    assert all(len(request.payload) <= 6_291_456 for request in story.invoker.requests)


def test_records_that_no_filter_matches_are_done_without_the_function() -> None:
    story = Story(FilterCriteria={"Filters": [{"Pattern": json.dumps({"value": {"a": [1]}})}]})
    story.offer('{"a":2}', '{"a":3}')
    assert (story.batches, story.lane.done_offset()) == ([], 2)
    story.invoker.decide = lambda _: None
    story.offer('{"a":2}', '{"a":1}', '{"a":2}', first=2)
    assert story.lane.done_offset() == 3, "what was passed over before the first record that waits"
    story.invoker.finish()
    assert story.lane.done_offset() == 5
    assert story.observer.counts["filtered_out"] == 4


def test_a_batch_that_fails_is_tried_again_with_the_same_request_id_and_longer_waits() -> None:
    story = Story()
    story.fail_on("a")
    story.offer("a", "b", "c")
    for wait_seconds in (1, 2, 4):
        before = len(story.batches)
        story.clock.advance(wait_seconds - 0.1)
        assert len(story.batches) == before
        story.clock.advance(0.1)
        assert len(story.batches) == before + 1
    assert {tuple(batch) for batch in story.batches} == {("a", "b")}
    assert len({request.request_id for request in story.invoker.requests}) == 1
    assert story.lane.done_offset() == 0
    assert story.reporter.results[-1] == "PROBLEM: Function call failed"
    story.fail_on()
    story.clock.advance(60)
    assert story.lane.done_offset() == 3


def test_a_throttle_costs_no_attempt() -> None:
    story = Story(MaximumRetryAttempts=0)
    refusals: list[Any] = [TooManyRequestsException("x"), TooManyRequestsException("x")]
    story.invoker.decide = lambda _: refusals.pop() if refusals else answer()
    story.offer("a", "b")
    story.clock.advance(10)
    assert story.lane.done_offset() == 2
    assert story.observer.counts["dropped"] == 0


def test_attempts_that_are_used_up_drop_the_batch_where_there_is_no_destination() -> None:
    story = Story(MaximumRetryAttempts=1)
    story.fail_on("a")
    story.offer("a", "b", "c", "d")
    story.clock.advance(10)
    assert story.batches == [["a", "b"], ["a", "b"], ["c", "d"]]
    assert (story.lane.done_offset(), story.observer.counts["dropped"]) == (4, 2)


def test_a_batch_is_done_only_when_its_failure_record_has_been_delivered() -> None:
    story = Story(MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.destinations.refuse(QUEUE, passes=True)
    story.fail_on("a")
    story.offer("a", "b", "c", "d")
    story.clock.advance(30)
    assert story.lane.done_offset() == 0
    assert story.batches == [["a", "b"]], "the function is not run again for it"
    assert len(story.destinations.attempts) > 2
    assert story.reporter.results[-1].startswith("PROBLEM: ")
    story.destinations.accept(QUEUE)
    story.clock.advance(60)
    assert story.lane.done_offset() == 4
    (delivery,) = story.destinations.delivered
    record = json.loads(delivery.body)
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["KafkaBatchInfo"]["batchSize"] == 2


def test_a_destination_that_refuses_for_good_holds_no_partition() -> None:
    story = Story(MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.destinations.refuse(QUEUE, passes=False)
    story.fail_on("a")
    story.offer("a", "b", "c", "d")
    story.clock.advance(30)
    assert story.lane.done_offset() == 4
    assert story.batches == [["a", "b"], ["c", "d"]]
    assert len(story.destinations.attempts) == story.observer.counts["delivery_failed"] == 3
    assert story.observer.counts["dropped"] == 2
    assert any(result.startswith("PROBLEM: ") for result in story.reporter.results)


def test_with_a_destination_retries_for_ever_end_after_ten() -> None:
    story = Story(MaximumRetryAttempts=-1, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.fail_on("a")
    story.offer("a")
    story.clock.advance(3600)
    assert len(story.batches) == 11
    assert len(story.destinations.delivered) == 1


def test_each_record_goes_to_a_topic_by_itself_under_its_own_key() -> None:
    story = Story(MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": "kafka://failed"}})
    story.fail_on("a")
    story.source.refuses = True
    story.offer("a", "b")
    story.clock.advance(1)
    assert story.lane.done_offset() == 0
    story.source.refuses = False
    story.clock.advance(10)
    assert story.lane.done_offset() == 2
    assert [
        (topic, record["KafkaBatchInfo"]["recordInfo"]["offset"]) for topic, record, _ in story.source.delivered
    ] == [
        ("failed", "0"),
        ("failed", "1"),
    ]


def test_bisect_finds_the_record_that_fails_and_keeps_the_order() -> None:
    story = Story(BatchSize=4, MaximumRetryAttempts=0, BisectBatchOnFunctionError=True)
    story.fail_on("c")
    story.offer("a", "b", "c", "d")
    story.clock.advance(60)
    assert story.batches == [["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["c"], ["d"]]
    assert (story.lane.done_offset(), story.observer.counts["dropped"]) == (4, 1)


def test_a_partial_response_goes_on_at_the_first_record_that_failed() -> None:
    story = Story(BatchSize=4, FunctionResponseTypes=["ReportBatchItemFailures"])
    story.report(2)
    story.offer("a", "b", "c", "d")
    assert (story.batches, story.lane.done_offset()) == ([["a", "b", "c", "d"]], 2)
    story.report()
    story.clock.advance(1)
    assert story.batches[1:] == [["c", "d"]]
    assert story.lane.done_offset() == 4


def test_an_answer_that_names_a_record_of_another_batch_fails_the_whole() -> None:
    story = Story(FunctionResponseTypes=["ReportBatchItemFailures"])
    item = {"itemIdentifier": {"partition": LANE, "offset": 99}}
    story.invoker.decide = lambda _: answer({"batchItemFailures": [item]})
    story.offer("a", "b")
    assert story.lane.done_offset() == 0


def test_records_that_are_too_old_are_given_up_without_the_function() -> None:
    story = Story(MaximumRecordAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.offer("a", "b", age_seconds=61)
    story.offer("c", "d", first=2)
    assert story.batches == [["c", "d"]]
    (delivery,) = story.destinations.delivered
    assert json.loads(delivery.body)["requestContext"]["condition"] == "RecordAgeExceeded"


def test_a_record_that_does_not_follow_its_schema_is_given_up_alone() -> None:
    story = Story(BatchSize=10, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.offer("a", "!b", "c")
    assert story.batches == [["a"], ["c"]]
    (delivery,) = story.destinations.delivered
    record = json.loads(delivery.body)
    assert (record["KafkaBatchInfo"]["batchSize"], "responseContext" in record) == (1, False)
    assert story.lane.done_offset() == 3


def test_a_fault_of_the_servers_own_costs_time_and_no_record(caplog: pytest.LogCaptureFixture) -> None:
    story = Story()
    faults: list[Any] = [RuntimeError("never")]

    def decide(_: Any) -> Any:
        if faults:
            raise faults.pop()
        return answer()

    story.invoker.decide = decide
    story.offer("a", "b")
    assert (story.lane.done_offset(), story.lane.is_busy) == (0, False)
    story.clock.advance(60)
    assert story.lane.done_offset() == 2
    assert "orders-0 has failed" in caplog.text


def test_a_lane_that_is_stopped_finishes_what_is_in_flight_and_begins_nothing() -> None:
    story = Story()
    story.invoker.decide = lambda _: None
    story.offer("a", "b", "c", "d")
    story.lane.stop()
    assert not story.lane.wait_idle(0)
    story.invoker.finish()
    assert story.lane.wait_idle(0)
    assert (story.batches, story.lane.done_offset()) == ([["a", "b"]], 2)


def test_a_lane_that_waits_for_a_retry_is_stopped_at_once() -> None:
    story = Story()
    story.fail_on("a")
    story.offer("a", "b")
    story.lane.stop()
    assert story.lane.wait_idle(0)
    story.clock.advance(100)
    assert (len(story.batches), story.lane.done_offset()) == (1, 0)


def test_as_many_partitions_are_worked_on_as_there_are_pollers() -> None:
    story = Story(ProvisionedPollerConfig={"MinimumPollers": 2, "MaximumPollers": 2})
    story.invoker.decide = lambda _: None
    lanes = [PartitionLane(story.crew, f"{TOPIC}-{number}", 0) for number in range(4)]
    for number, lane in enumerate(lanes):
        lane.offer(records("a", "b", lane=f"{TOPIC}-{number}"))
    assert len(story.invoker.running) == 2
    story.invoker.finish()
    assert len(story.invoker.running) == 2
    while story.invoker.running:
        story.invoker.finish()
    assert [lane.done_offset() for lane in lanes] == [2] * 4
    assert story.invoker.most_running == 2


def test_pollers_join_while_partitions_wait_and_go_when_nothing_is_left_to_do() -> None:
    story = Story(ProvisionedPollerConfig={"MinimumPollers": 1, "MaximumPollers": 3})
    story.invoker.decide = lambda _: None
    lanes = [PartitionLane(story.crew, f"{TOPIC}-{number}", 0) for number in range(5)]
    for number, lane in enumerate(lanes):
        lane.offer(records("a", lane=f"{TOPIC}-{number}"))
    running = []
    for _ in range(4):
        running.append((len(story.invoker.running), story.crew.slots.pollers))
        story.clock.advance(1.0)
    assert running == [(1, 1), (2, 2), (3, 3), (3, 3)]
    while story.invoker.running:
        story.invoker.finish()
    assert [lane.done_offset() for lane in lanes] == [1] * 5
    assert story.crew.slots.pollers == 1


def test_no_poller_joins_where_nobody_waits() -> None:
    story = Story(ProvisionedPollerConfig={"MinimumPollers": 1, "MaximumPollers": 3})
    story.offer("a", "b")
    story.clock.advance(10.0)
    assert story.crew.slots.pollers == 1


@pytest.mark.parametrize("sizes", [[1] * 4000, [3_000_000] * 5])
def test_a_lane_that_has_enough_to_do_says_so(sizes: Sequence[int]) -> None:
    story = Story()
    story.invoker.decide = lambda _: None
    assert story.lane.buffer.has_room
    story.offer(*["x" * size for size in sizes], *["x"] * 2)
    assert story.lane.buffer.is_full
    assert not story.lane.buffer.has_room
