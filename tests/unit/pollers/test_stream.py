"""The poller of streams on a stream in memory, with time that is moved by hand."""

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rie_server.errors import ResourceNotFoundException, SourceError, TooManyRequestsException
from tests.fakes.streams import data_of
from tests.unit.pollers.stream_story import START, StreamStory, stream_story

SHARD = "shardId-000000000000"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:failed"
BUCKET = "arn:aws:s3:::failed"


@pytest.fixture
def story() -> Iterator[StreamStory]:
    with stream_story() as told:
        yield told


def put_all(story: StreamStory, data: str, *, key: str = "k") -> None:
    for one in data:
        story.stream.put(one, key=key)


def fail(*data: str) -> Any:
    """A function that fails with batches that have any of ``data``."""

    def answer(event: dict[str, Any]) -> None:
        if any(one in data for one in data_of(event)):
            raise ValueError

    return answer


def items(*numbers: str) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": number} for number in numbers]}


# --- from the stream to the function ----------------------------------------------------------------------------------


def test_records_reach_the_function_in_batches_and_are_checkpointed(story: StreamStory) -> None:
    put_all(story, "abcde")
    story.start(BatchSize=2)
    story.wait_batches("ab", "cd", "e")
    assert story.checkpoint() == "5"
    assert story.reporter.results[-1] == "OK"
    assert story.observer.counts["polled"] == story.observer.counts["invoked"] == 5
    assert len(story.observer.ages_ms) == 3


def test_what_comes_later_is_noticed_by_real_time(story: StreamStory) -> None:
    story.start()
    put_all(story, "a")
    story.wait_batches("a")


def test_a_restart_goes_on_after_the_last_checkpoint(story: StreamStory) -> None:
    put_all(story, "ab")
    story.start()
    story.wait_batches("ab")
    story.stop()
    put_all(story, "cd")
    story.start()
    story.wait_batches("ab", "cd")


def test_a_batching_window_gathers_records_until_it_ends(story: StreamStory) -> None:
    story.start(BatchSize=10, MaximumBatchingWindowInSeconds=30)
    put_all(story, "ab")
    story.wait_for(lambda: story.observer.counts["polled"] == 2, "two records")
    put_all(story, "c")
    story.wait_for(lambda: story.observer.counts["polled"] == 3, "three records")
    story.advance(29)
    assert story.function.batches == []
    story.advance(1)
    story.wait_batches("abc")


def test_a_full_batch_does_not_wait_for_its_window(story: StreamStory) -> None:
    story.start(BatchSize=2, MaximumBatchingWindowInSeconds=300)
    put_all(story, "abc")
    story.wait_batches("ab")


def test_a_batch_ends_before_6_mb_of_event(story: StreamStory) -> None:
    for one in "abcd":
        story.stream.put(one * 1_900_000)
    story.start()
    story.wait_for(lambda: story.checkpoint() == "4", "the end")
    assert [batch[::1_900_000] for batch in story.function.batches] == ["ab", "cd"]


def test_filters_drop_records_and_checkpoint_them(story: StreamStory) -> None:
    for number in range(4):
        story.stream.put(json.dumps({"n": number}))
    story.start(FilterCriteria={"Filters": [{"Pattern": json.dumps({"data": {"n": [1]}})}]})
    story.wait_for(lambda: story.checkpoint() == "4", "the end")
    assert [data_of(event) for event in story.function.events] == [['{"n": 1}']]
    assert story.observer.counts["filtered_out"] == 3


# --- positions and shards ---------------------------------------------------------------------------------------------


def test_latest_begins_with_what_comes_after_the_mapping(story: StreamStory) -> None:
    story.stream.now = story.real.now
    put_all(story, "ab")
    story.start(StartingPosition="LATEST")
    put_all(story, "cd")
    story.wait_for(lambda: "".join(story.function.batches) == "cd", "cd")


def test_latest_includes_what_comes_between_the_mappings_creation_and_its_first_look(story: StreamStory) -> None:
    story.stream.put("a", arrived_at=START - 1)
    story.stream.put("b", arrived_at=START + 1)
    story.made_at = START
    story.start(StartingPosition="LATEST")
    story.wait_batches("b")


def test_latest_is_the_mappings_creation_also_after_a_restart_without_a_record(story: StreamStory) -> None:
    story.stream.now = story.real.now
    put_all(story, "ab")
    story.start(StartingPosition="LATEST")
    story.stop()
    put_all(story, "c")
    story.start(StartingPosition="LATEST")
    story.wait_batches("c")


def test_at_timestamp_begins_with_the_first_record_of_that_time(story: StreamStory) -> None:
    for second, one in enumerate("abc"):
        story.stream.put(one, arrived_at=START + second)
    story.start(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=START + 1)
    story.wait_batches("bc")


def test_children_begin_after_their_parent_has_ended(story: StreamStory) -> None:
    gate = threading.Event()
    story.function.answer = lambda _event: gate.wait(5)
    put_all(story, "ab")
    one, other = story.stream.split(SHARD)
    story.stream.put("c", shard_id=one)
    story.stream.put("d", shard_id=other)
    story.start(BatchSize=1)
    story.wait_for(lambda: story.function.batches == ["a"], "the first batch")
    gate.set()
    story.wait_for(lambda: len(story.function.batches) == 4, "all")
    assert story.function.batches[:2] == ["a", "b"]


def test_shards_that_are_split_and_merged_meanwhile_are_found(story: StreamStory) -> None:
    put_all(story, "a")
    story.start()
    story.wait_batches("a")
    one, other = story.stream.split(SHARD)
    story.stream.put("b", shard_id=one)
    story.stream.put("b", shard_id=other)
    story.wait_for(lambda: len(story.function.events) == 3, "both children")
    merged = story.stream.merge(one, other)
    story.stream.put("c", shard_id=merged)
    story.wait_batches("a", "b", "b", "c")


def test_a_child_whose_parent_is_gone_begins(story: StreamStory) -> None:
    one, _ = story.stream.split(SHARD)
    story.stream.trim(SHARD)
    story.stream.put("a", shard_id=one)
    story.start()
    story.wait_batches("a")


def test_the_checkpoint_of_a_shard_that_is_gone_is_forgotten(story: StreamStory) -> None:
    story.stream.split(SHARD)
    story.start()
    story.wait_for(lambda: story.checkpoints.load(story.mapping.uuid).get(SHARD, {}).get("isEnded"), "the end")
    story.stop()
    story.stream.trim(SHARD)
    story.start()
    story.wait_for(lambda: SHARD not in story.checkpoints.load(story.mapping.uuid), "the checkpoint to go")


def test_an_iterator_that_has_expired_is_replaced(story: StreamStory) -> None:
    put_all(story, "a")
    story.start()
    story.wait_batches("a")
    story.stream.expire_iterators()
    put_all(story, "b")
    story.wait_batches("a", "b")


def test_a_stream_that_was_made_anew_is_read_from_its_beginning(story: StreamStory) -> None:
    story.checkpoints.save(story.mapping.uuid, SHARD, {"afterSequenceNumber": "77"})
    put_all(story, "a")
    story.start()
    story.wait_batches("a")


def test_trouble_with_the_source_is_reported_and_goes_by(story: StreamStory) -> None:
    story.stream.failure = SourceError("Stream not found: x")
    story.start()
    assert story.reporter.results == ["PROBLEM: Stream not found: x"]
    story.stream.failure = None
    put_all(story, "a")
    story.wait_batches("a")
    assert story.reporter.results[1:] == ["No records processed", "OK"]


# --- order and parallelism --------------------------------------------------------------------------------------------


def test_lanes_run_beside_one_another_and_the_checkpoint_is_the_lowest_that_has_not_ended(story: StreamStory) -> None:
    gate = threading.Event()

    def answer(event: dict[str, Any]) -> None:
        if "a" in data_of(event):
            gate.wait(5)

    story.function.answer = answer
    for number, one in enumerate("abcdefgh"):
        story.stream.put(one, key=str(number))
    story.start(BatchSize=1, ParallelizationFactor=10)
    story.wait_for(lambda: len(story.function.events) > 4, "the other lanes")
    assert story.checkpoint() is None
    gate.set()
    story.wait_for(lambda: story.checkpoint() == "8", "the end")


def test_a_key_never_has_two_batches_at_a_time(story: StreamStory) -> None:
    seen: dict[str, list[int]] = {}
    running: set[str] = set()
    wrong: list[str] = []

    def answer(event: dict[str, Any]) -> None:
        keys = {record["kinesis"]["partitionKey"] for record in event["Records"]}
        wrong.extend(keys & running)
        running.update(keys)
        for record in event["Records"]:
            data = base64.b64decode(record["kinesis"]["data"])
            seen.setdefault(record["kinesis"]["partitionKey"], []).append(int(data))
        running.difference_update(keys)

    story.function.answer = answer
    for number in range(300):
        story.stream.put(str(number), key=f"k{number % 7}")
    story.start(BatchSize=5, ParallelizationFactor=4)
    story.wait_for(lambda: story.checkpoint() == "300", "the end")
    assert not wrong
    assert all(numbers == sorted(numbers) for numbers in seen.values())
    assert sum(len(numbers) for numbers in seen.values()) == 300


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_tried_until_it_succeeds_with_the_same_request_id(story: StreamStory) -> None:
    story.function.answer = fail("a")
    put_all(story, "ab")
    story.start()
    story.wait_batches("ab")
    story.advance(7)
    assert story.function.batches == ["ab"] * 4
    assert len({request.request_id for request in story.function.requests}) == 1
    assert story.checkpoint() is None
    assert story.reporter.results == ["PROBLEM: Function call failed"]
    story.function.answer = fail()
    story.advance(8)
    assert story.checkpoint() == "2"
    assert story.observer.counts["failed_invoke"] == 8


CASES: dict[str, tuple[dict[str, Any], Any, str, list[str], list[str]]] = {
    # settings, function, records -> batches, data given up
    "retries": ({"MaximumRetryAttempts": 1}, fail("b"), "abc", ["abc", "abc"], ["abc"]),
    "no retries": ({"MaximumRetryAttempts": 0}, fail("b"), "abc", ["abc"], ["abc"]),
    "bisect": (
        {"MaximumRetryAttempts": 0, "BisectBatchOnFunctionError": True},
        fail("c"),
        "abcd",
        ["abcd", "ab", "cd", "c", "d"],
        ["c"],
    ),
    "bisect and retries": (
        {"MaximumRetryAttempts": 2, "BisectBatchOnFunctionError": True},
        fail("a"),
        "ab",
        ["ab", "a", "a", "a", "b"],
        ["a"],
    ),
    "partial": (
        {"MaximumRetryAttempts": 1, "FunctionResponseTypes": ["ReportBatchItemFailures"]},
        lambda event: items("3") if "c" in data_of(event) else None,
        "abcd",
        ["abcd", "cd"],
        ["cd"],
    ),
    "partial, the lowest of several": (
        {"MaximumRetryAttempts": 0, "FunctionResponseTypes": ["ReportBatchItemFailures"]},
        lambda event: items("4", "2"),
        "abcd",
        ["abcd"],
        ["bcd"],
    ),
    "partial and bisect": (
        {
            "MaximumRetryAttempts": 0,
            "BisectBatchOnFunctionError": True,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        },
        lambda event: items("3") if "c" in data_of(event) else None,
        "abcd",
        ["abcd", "cd", "c", "d"],
        ["c"],
    ),
    "partial, an unknown record": (
        {"MaximumRetryAttempts": 0, "FunctionResponseTypes": ["ReportBatchItemFailures"]},
        lambda event: items("99"),
        "ab",
        ["ab"],
        ["ab"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_failures_are_retried_halved_and_given_up_by_the_mappings_rules(story: StreamStory, case: str) -> None:
    members, answer, records, batches, given_up = CASES[case]
    story.function.answer = answer
    put_all(story, records)
    story.start(DestinationConfig={"OnFailure": {"Destination": BUCKET}}, **members)
    story.wait_for(lambda: story.function.events, "the first batch")
    story.advance(600)
    assert story.function.batches == batches
    assert [record_of(delivery.body) for delivery in story.destinations.delivered] == given_up
    assert story.checkpoint() == str(len(records))
    assert story.observer.counts["delivered_on_failure"] == sum(map(len, given_up))


def record_of(body: bytes) -> str:
    return "".join(data_of(json.loads(json.loads(body)["payload"])))


def test_without_a_destination_records_are_dropped_and_counted(story: StreamStory) -> None:
    story.function.answer = fail("a")
    put_all(story, "abc")
    story.start(MaximumRetryAttempts=0)
    story.wait_for(lambda: story.checkpoint() == "3", "the end")
    assert story.observer.counts["dropped"] == 3


def test_records_that_are_too_old_are_given_up_without_an_attempt(story: StreamStory) -> None:
    story.stream.put("a", arrived_at=START - 61)
    story.stream.put("b", arrived_at=START - 59)
    story.start(MaximumRecordAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.wait_batches("b")
    record = json.loads(story.destinations.delivered[0].body)
    assert record["requestContext"]["condition"] == "RecordAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert "responseContext" not in record
    assert story.checkpoint() == "2"


def test_records_age_while_they_are_tried(story: StreamStory) -> None:
    story.function.answer = fail("a")
    put_all(story, "a")
    story.start(MaximumRecordAgeInSeconds=60)
    story.wait_batches("a")
    story.advance(120)
    assert story.checkpoint() == "1"
    assert 4 <= len(story.function.events) <= 7
    assert story.observer.counts["dropped"] == 1


def test_a_throttle_uses_no_attempts(story: StreamStory) -> None:
    refusals = [TooManyRequestsException("ReservedFunctionConcurrentInvocationLimitExceeded") for _ in range(3)]

    def answer(_event: dict[str, Any]) -> None:
        if refusals:
            raise refusals.pop()

    story.function.answer = answer
    put_all(story, "a")
    story.start(MaximumRetryAttempts=0)
    story.wait_batches("a")
    assert story.reporter.results == ["PROBLEM: Rate Exceeded."]
    story.advance(60)
    assert story.function.batches == ["a"] * 4
    assert story.checkpoint() == "1"
    assert story.observer.counts["dropped"] == 0


def test_a_record_that_makes_an_event_of_more_than_6_mb_spends_its_attempts_without_the_function(
    story: StreamStory,
) -> None:
    story.stream.put("x" * 5_000_000)
    story.stream.put("b")
    story.start(MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.wait_for(lambda: story.reporter.results, "the first attempt")
    story.advance(5)
    story.wait_batches("b")
    record = json.loads(story.destinations.delivered[0].body)
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert "responseContext" not in record


def test_one_read_that_fails_is_nothing_to_tell(story: StreamStory) -> None:
    story.start()
    put_all(story, "a")
    story.wait_batches("a")
    reads = story.stream.reads
    story.stream.failures.append(SourceError("ProvisionedThroughputExceededException: slow down"))
    story.wait_for(lambda: story.stream.reads > reads + 1, "two reads")
    assert not story.stream.failures
    assert story.reporter.results == ["OK"]


def test_a_function_that_is_gone_is_waited_for(story: StreamStory) -> None:
    def gone(_event: dict[str, Any]) -> None:
        raise ResourceNotFoundException("Function not found: fn")

    story.function.answer = gone
    put_all(story, "a")
    story.start(MaximumRetryAttempts=0)
    story.wait_batches("a")
    assert story.reporter.results == ["PROBLEM: Function not found: fn"]
    story.function.answer = fail()
    story.advance(10)
    assert story.checkpoint() == "1"


def test_the_failure_record_of_a_queue_is_what_aws_sends(story: StreamStory) -> None:
    story.function.answer = fail("b")
    put_all(story, "ab")
    story.start(MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.wait_batches("ab")
    story.advance(5)
    (delivery,) = story.destinations.delivered
    assert delivery.target_arn == QUEUE
    assert json.loads(delivery.body) == {
        "requestContext": {
            "requestId": story.function.requests[0].request_id,
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:fn",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 2,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-01-01T00:00:01.000Z",
        "KinesisBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": "1",
            "endSequenceNumber": "2",
            "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00.000Z",
            "approximateArrivalOfLastRecord": "2026-01-01T00:00:00.000Z",
            "batchSize": 2,
            "streamArn": story.mapping.source_arn,
        },
    }


def test_an_object_of_s3_has_a_key_by_mapping_shard_and_day(story: StreamStory) -> None:
    story.function.answer = fail("a")
    put_all(story, "a")
    story.start(MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": BUCKET}})
    story.wait_for(lambda: story.destinations.delivered, "the record")
    key = story.destinations.delivered[0].object_key
    assert key is not None
    assert key.startswith(f"aws/lambda/{story.mapping.uuid}/{SHARD}/2026/01/01/2026-01-01T00.00.00-")


def test_nothing_is_checkpointed_past_a_record_whose_destination_is_away(story: StreamStory) -> None:
    story.function.answer = fail("a")
    story.destinations.refuse(QUEUE, passes=True)
    put_all(story, "abc")
    story.start(BatchSize=1, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.wait_batches("a")
    story.advance(30)
    assert story.checkpoint() is None
    assert story.function.batches == ["a"]
    assert story.reporter.results[-1] == f"PROBLEM: {QUEUE} takes nothing"
    assert len(story.destinations.attempts) >= 4
    story.destinations.accept(QUEUE)
    story.advance(60)
    story.wait_batches("a", "b", "c")
    assert story.checkpoint() == "3"


def test_a_destination_that_refuses_for_good_holds_no_shard(story: StreamStory) -> None:
    story.function.answer = fail("a")
    story.destinations.refuse(QUEUE, passes=False)
    put_all(story, "abc")
    story.start(BatchSize=1, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    story.wait_batches("a")
    assert story.checkpoint() is None
    story.advance(1)
    story.advance(2)
    story.wait_batches("a", "b", "c")
    assert story.checkpoint() == "3"
    assert len(story.destinations.attempts) == story.observer.counts["delivery_failed"] == 3
    assert story.observer.counts["dropped"] == 1
    assert f"PROBLEM: {QUEUE} takes nothing" in story.reporter.results


def test_a_stop_finishes_what_is_with_the_function_and_leaves_the_rest(story: StreamStory) -> None:
    gate = threading.Event()
    story.function.answer = lambda _event: gate.wait(5)
    put_all(story, "abcd")
    story.start(BatchSize=2)
    story.wait_for(lambda: story.function.batches == ["ab"], "the first batch")
    assert story.poller is not None
    story.poller.stop()
    assert not story.poller.join(0.05)
    gate.set()
    story.stop()
    assert story.checkpoint() == "2"
    assert story.stream.is_closed
    story.start(BatchSize=2)
    story.wait_batches("ab", "cd")


def test_records_that_were_packed_together_are_checkpointed_together(story: StreamStory) -> None:
    """A checkpoint between them cannot be had: they share a sequence number."""
    gate = threading.Event()
    story.function.answer = lambda event: gate.wait(5) if "c" in data_of(event) else None
    put_all(story, "a")
    story.stream.put_packed("bcde")
    story.start(BatchSize=2)
    story.wait_for(lambda: len(story.function.events) == 2, "the second batch")
    assert story.checkpoint() == "1"
    assert story.poller is not None
    story.poller.stop()
    gate.set()
    story.stop()
    assert story.checkpoint() == "1"
    story.start(BatchSize=2)
    story.wait_for(lambda: story.checkpoint() == "2", "the end")
    assert story.function.batches == ["ab", "cd", "bc", "de"]


def test_filters_look_at_each_of_the_records_that_were_packed_together(story: StreamStory) -> None:
    story.stream.put_packed("123")
    story.start(FilterCriteria={"Filters": [{"Pattern": json.dumps({"partitionKey": ["3"]})}]})
    story.wait_for(lambda: story.checkpoint() == "1", "the end")
    assert story.function.batches == ["3"]
    assert story.poller is not None
    assert story.poller.describe()["backlog"] == 0


def test_a_stop_does_not_wait_for_a_batch_that_waits_for_its_next_attempt(story: StreamStory) -> None:
    story.function.answer = fail("a")
    put_all(story, "a")
    story.start()
    story.wait_batches("a")
    story.stop()
    assert story.checkpoint() is None


def test_reading_waits_while_too_much_waits_for_the_function(story: StreamStory) -> None:
    gate = threading.Event()
    story.function.answer = lambda _event: gate.wait(5)
    for _ in range(10_000):
        story.stream.put("x")
    story.start(BatchSize=10)
    story.wait_for(lambda: story.function.events, "the first batch")
    assert story.poller is not None
    assert story.observer.counts["polled"] == 5000
    gate.set()
    story.wait_for(lambda: story.checkpoint() == "10000", "the end")


def test_a_poller_says_how_it_goes(story: StreamStory) -> None:
    gate = threading.Event()
    story.function.answer = lambda _event: gate.wait(5)
    put_all(story, "abc")
    story.start(BatchSize=2)
    story.wait_for(lambda: story.function.events, "the first batch")
    assert story.poller is not None
    assert story.poller.describe() == {"backlog": 3, "behind_seconds": 0.0, "pollers": 1, "in_flight": 1}
    gate.set()
