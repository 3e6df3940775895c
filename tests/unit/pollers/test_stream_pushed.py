"""The poller of streams on a source that is sent its records, and on one that has something to say."""

import time
from collections.abc import Iterator

import pytest

from tests.unit.pollers.stream_story import StreamStory, stream_story

SHARD = "shardId-000000000000"


@pytest.fixture
def story() -> Iterator[StreamStory]:
    with stream_story() as told:
        told.stream.is_pushed = True
        yield told


def test_what_arrives_is_read_at_once_and_nothing_else_is(story: StreamStory) -> None:
    story.start()
    story.wait_for(lambda: story.stream.reads, "the first read")
    for number in range(3):
        time.sleep(0.05)
        before = story.stream.reads
        story.stream.put(str(number))
        begun = time.monotonic()
        story.stream.arrived(SHARD)
        story.wait_for(lambda number=number: len(story.function.events) > number, "the record")
        assert time.monotonic() - begun < 0.8, "it has waited for its next look"
        story.wait_for(lambda before=before: story.stream.reads >= before + 2, "a look for more")
        assert story.stream.reads <= before + 3
    assert story.function.batches == ["0", "1", "2"]


def test_what_is_not_told_of_is_found_all_the_same(story: StreamStory) -> None:
    story.start()
    story.wait_for(lambda: story.stream.reads, "the first read")
    story.stream.put("a")
    story.wait_batches("a")


def test_a_shard_that_nobody_reads_may_have_something(story: StreamStory) -> None:
    story.start()
    story.stream.arrived("shardId-000000000009")
    story.stream.put("a")
    story.wait_batches("a")


def test_a_window_ends_when_all_that_was_on_its_way_must_have_come(story: StreamStory) -> None:
    story.stream.put("a")
    story.function.answer = lambda event: {"state": {}}
    story.start(TumblingWindowInSeconds=60, BatchSize=10)
    story.wait_for(lambda: len(story.function.events) == 1, "the record")
    story.advance(60)
    story.advance(1.5)
    story.wait_for(lambda: len(story.function.events) == 2, "the end of the window")
    assert story.function.events[-1]["isFinalInvokeForWindow"] is True


def test_what_a_source_has_to_say_stands_behind_every_result(story: StreamStory) -> None:
    story.stream.says = "polled"
    story.start()
    story.wait_for(lambda: story.reporter.results == ["No records processed (polled)"], "the first result")
    story.stream.put("a")
    story.wait_for(lambda: story.reporter.results[-1] == "OK (polled)", "the second")
