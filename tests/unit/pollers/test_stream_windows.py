"""Tumbling windows through the poller, with time that is moved by hand."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.fakes.streams import data_of
from tests.unit.pollers.stream_story import START, StreamStory, stream_story

QUEUE = "arn:aws:sqs:us-east-1:123456789012:failed"


@pytest.fixture
def story() -> Iterator[StreamStory]:
    with stream_story() as told:
        told.function.answer = add_up
        yield told


def add_up(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"state": {"sum": event["state"].get("sum", "") + "".join(data_of(event))}}


def calls(story: StreamStory) -> list[tuple[str, str, str, bool]]:
    """Each invocation's data, window's start, state and whether it was the final one."""
    return [
        (
            "".join(data_of(event)),
            event["window"]["start"][14:19],
            event["state"].get("sum", ""),
            event["isFinalInvokeForWindow"],
        )
        for event in story.function.events
    ]


def wait_calls(story: StreamStory, *wanted: tuple[str, str, str, bool]) -> None:
    story.wait_for(
        lambda: len(story.function.events) >= len(wanted) and story.poller and story.poller.is_settled(),
        f"{wanted}, not {calls(story)}",
    )
    assert calls(story) == list(wanted)


def test_a_state_is_carried_through_its_window_and_no_further(story: StreamStory) -> None:
    for second, one in enumerate("abc"):
        story.stream.put(one, arrived_at=START + second)
    story.stream.put("d", arrived_at=START + 60)
    story.start(BatchSize=2, TumblingWindowInSeconds=60)
    wait_calls(
        story,
        ("ab", "00:00", "", False),
        ("c", "00:00", "ab", False),
        ("", "00:00", "abc", True),
        ("d", "01:00", "", False),
    )
    event = story.function.events[0]
    assert event["window"] == {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"}
    assert event["shardId"] == "shardId-000000000000"
    assert event["eventSourceARN"] == story.mapping.source_arn
    assert event["isWindowTerminatedEarly"] is False


def test_an_idle_window_is_closed_when_its_time_has_come(story: StreamStory) -> None:
    story.stream.put("a")
    story.start(TumblingWindowInSeconds=60)
    wait_calls(story, ("a", "00:00", "", False))
    story.advance(59)
    assert len(story.function.events) == 1
    story.advance(1)
    assert calls(story)[1:] == [("", "00:00", "a", True)]
    assert story.checkpoints.load(story.mapping.uuid)["shardId-000000000000"].get("window") is None


def test_the_state_survives_a_restart(story: StreamStory) -> None:
    story.stream.put("a")
    story.start(TumblingWindowInSeconds=60)
    wait_calls(story, ("a", "00:00", "", False))
    story.stop()
    story.stream.put("b")
    story.start(TumblingWindowInSeconds=60)
    wait_calls(story, ("a", "00:00", "", False), ("b", "00:00", "a", False))


def test_a_state_that_outgrows_1_mb_ends_its_window_early(story: StreamStory) -> None:
    story.function.answer = lambda event: {"state": {} if event["isFinalInvokeForWindow"] else {"sum": "x" * 1_100_000}}
    story.stream.put("a")
    story.stream.put("b")
    story.start(BatchSize=1, TumblingWindowInSeconds=60)
    story.wait_for(lambda: len(story.function.events) == 4, "four invocations")
    told = [
        (data_of(event), event["isFinalInvokeForWindow"], event["isWindowTerminatedEarly"], len(event["state"]))
        for event in story.function.events
    ]
    assert told == [(["a"], False, False, 0), ([], True, True, 1), (["b"], False, False, 0), ([], True, True, 1)]


def test_an_answer_without_a_state_is_a_failure(story: StreamStory) -> None:
    story.function.answer = lambda _event: None
    story.stream.put("a")
    story.start(
        TumblingWindowInSeconds=60,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": QUEUE}},
    )
    story.wait_for(lambda: story.checkpoint() == "1", "the record to be given up")
    assert b'"timeWindowInfo":{"window":{"start":"2026-01-01T00:00:00Z"' in story.destinations.delivered[0].body
    assert story.reporter.results == ["PROBLEM: Function call failed"]


def test_a_final_invocation_that_fails_is_tried_again_and_given_up(story: StreamStory) -> None:
    def answer(event: Mapping[str, Any]) -> dict[str, Any]:
        if event["isFinalInvokeForWindow"]:
            raise ValueError
        return add_up(event)

    story.function.answer = answer
    story.stream.put("a")
    story.stream.put("b", arrived_at=START + 60)
    story.start(
        TumblingWindowInSeconds=60,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": QUEUE}},
    )
    story.wait_for(lambda: len(story.function.events) == 2, "the final invocation")
    story.advance(5)
    assert calls(story) == [
        ("a", "00:00", "", False),
        ("", "00:00", "a", True),
        ("", "00:00", "a", True),
        ("b", "01:00", "", False),
    ]
    assert b'"batchSize":0' in story.destinations.delivered[0].body


def test_a_partial_failure_goes_on_with_the_state_that_was_returned(story: StreamStory) -> None:
    def answer(event: Mapping[str, Any]) -> dict[str, Any]:
        if data_of(event) == ["a", "b"]:
            return {"state": {"sum": "a"}, "batchItemFailures": [{"itemIdentifier": "2"}]}
        return add_up(event)

    story.function.answer = answer
    story.stream.put("a")
    story.stream.put("b")
    story.start(TumblingWindowInSeconds=60, FunctionResponseTypes=["ReportBatchItemFailures"])
    wait_calls(story, ("ab", "00:00", "", False))
    story.advance(2)
    assert calls(story)[1:] == [("b", "00:00", "a", False)]
    assert story.checkpoint() == "2"


def test_a_failure_leaves_the_state_as_it_was(story: StreamStory) -> None:
    failures = [ValueError()]

    def answer(event: Mapping[str, Any]) -> dict[str, Any]:
        if data_of(event) == ["b"] and failures:
            raise failures.pop()
        return add_up(event)

    story.function.answer = answer
    story.stream.put("a")
    story.stream.put("b")
    story.start(BatchSize=1, TumblingWindowInSeconds=60)
    story.wait_for(lambda: len(story.function.events) == 2, "the failure")
    story.advance(2)
    assert calls(story)[1:] == [("b", "00:00", "a", False), ("b", "00:00", "a", False)]


def test_the_end_of_a_shard_closes_its_window(story: StreamStory) -> None:
    story.stream.put("a")
    one, _ = story.stream.split("shardId-000000000000")
    story.stream.put("b", shard_id=one)
    story.start(TumblingWindowInSeconds=60)
    wait_calls(
        story,
        ("a", "00:00", "", False),
        ("", "00:00", "a", True),
        ("b", "00:00", "", False),
    )
