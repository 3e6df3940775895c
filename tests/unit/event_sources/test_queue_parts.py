"""The parts of a queue's poller that can be looked at alone: gathering, scaling, and a batch that came too late."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from rie_server.model.event_source import SourceKind
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.queue_batch import BatchOutcome, QueueBatch
from rie_server.pollers.queue_context import QueueContext
from rie_server.pollers.queue_gathering import Gathering, HeldRecord
from rie_server.pollers.queue_outcome import failed_positions
from rie_server.pollers.queue_pollers import sqs_rules
from rie_server.pollers.queue_rules import CallTimes, QueueRules, Scaling
from tests.fakes.clock import FakeClock
from tests.fakes.invoker import FakeInvoker, answer
from tests.fakes.queue_source import FakeQueue
from tests.unit.event_sources.mappings import mapping_of
from tests.unit.event_sources.records import record
from tests.unit.event_sources.test_message_queue import Watcher


def held(identifier: str, *, lane: str | None = None, until: float = math.inf, size_bytes: int = 100) -> HeldRecord:
    return HeldRecord(record=record(identifier, lane=lane, size_bytes=size_bytes), until=until)


def names(batch: Sequence[HeldRecord]) -> str:
    return "".join(one.record.identifier for one in batch)


# --- gathering --------------------------------------------------------------------------------------------------------


def test_a_batch_is_taken_in_order_of_arrival() -> None:
    gathering = Gathering(3)
    gathering.add([held(name) for name in "abcde"])
    assert gathering.is_full

    assert names(gathering.take()) == "abc"
    assert not gathering.is_full
    assert names(gathering.take()) == "de"
    assert not gathering.take()


def test_messages_of_a_busy_lane_wait_and_keep_their_place() -> None:
    gathering = Gathering(2)
    gathering.add([held("a", lane="x"), held("b", lane="y"), held("c", lane="x"), held("d", lane="z")])
    first = gathering.take()
    assert names(first) == "ab"

    assert names(gathering.take()) == "d"
    assert not gathering.take()
    gathering.give_back(first)
    assert names(gathering.take()) == "c"


def test_an_event_is_full_before_it_is_too_large() -> None:
    gathering = Gathering(100, event_bytes=10_000)
    gathering.add([held(name, size_bytes=4_000) for name in "abc"])
    assert gathering.is_full

    assert names(gathering.take()) == "ab"
    assert names(gathering.take()) == "c"


def test_what_waits_behind_a_failure_is_dropped_and_nothing_else() -> None:
    gathering = Gathering(10)
    gathering.add([held("a", lane="x"), held("b", lane="y"), held("c", lane="x"), held("d")])

    assert names(gathering.drop(["x"])) == "ac"
    assert names(gathering.take()) == "bd"


# --- scaling ----------------------------------------------------------------------------------------------------------


def test_batches_grow_by_300_a_minute_while_messages_wait_and_start_over_after_a_rest() -> None:
    scaling = Scaling(QueueRules(batches_most=100))
    assert scaling.limit(0) == 5
    scaling.messages_wait(0)
    assert [scaling.limit(second) for second in (1, 10, 19, 60)] == [10, 55, 100, 100]

    scaling.throttled(60)
    assert [scaling.limit(second) for second in (60, 61)] == [5, 10]

    scaling.queue_is_empty()
    assert scaling.limit(1000) == 5


@pytest.mark.parametrize(
    ("members", "start", "most"),
    [
        ({}, 5, 1250),
        ({"ScalingConfig": {"MaximumConcurrency": 2}}, 2, 2),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 3, "MaximumPollers": 7}}, 30, 70),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 2}}, 20, 2000),
    ],
)
def test_a_mapping_says_how_far_it_scales(members: dict[str, Any], start: int, most: int) -> None:
    mapping = mapping_of(SourceKind.SQS, **members)

    rules = sqs_rules(mapping, FakeQueue(), batches_most=5000)
    assert (rules.batches_at_start, rules.batches_most) == (start, most)
    rules = sqs_rules(mapping, FakeQueue(), batches_most=4)
    assert rules.batches_most == min(most, 4), "the host's limit"


def test_threads_join_where_even_quick_calls_take_long() -> None:
    times = CallTimes()
    assert times.threads(4) == 1
    for _ in range(200):
        times.took(0.02)
    assert times.threads(4) == 4

    times.took(0.001)
    assert times.threads(4) == 1


# --- outcomes ---------------------------------------------------------------------------------------------------------


def test_a_lane_fails_from_its_first_failure_on() -> None:
    mapping = mapping_of(SourceKind.SQS, FunctionResponseTypes=["ReportBatchItemFailures"])
    records = [record(name, lane=lane) for name, lane in ("ax", "bx", "cy", "dx")]

    answered = answer({"batchItemFailures": [{"itemIdentifier": "b"}]})

    assert failed_positions(mapping, records, answered) == {1, 3}


def test_messages_that_were_taken_back_are_not_handed_out_nor_what_follows_them_in_their_lane() -> None:
    mapping, source, invoker, watcher, clock = (
        mapping_of(SourceKind.SQS),
        FakeQueue(),
        FakeInvoker(),
        Watcher(),
        FakeClock(),
    )
    outcomes: list[BatchOutcome] = []
    context = QueueContext(
        mapping=mapping,
        source=source,
        rules=QueueRules(batches_most=1),
        invocation=BatchInvocation(mapping=mapping, source=source, invoker=invoker, observer=watcher, clock=clock),
        reporter=watcher,
        observer=watcher,
        clock=clock,
        real=clock,
    )
    records = [held("a", lane="x", until=5), held("b", lane="x", until=50), held("c", lane="y", until=50)]
    batch = QueueBatch(
        records,
        context,
        throttled=lambda refusal: None,
        over=lambda batch, outcome: outcomes.append(outcome),
        go_on=lambda work: work(),
    )
    clock.advance(10)

    batch.start()

    assert [names(outcome.tried) for outcome in outcomes] == ["c"]
    assert len(invoker.requests) == 1
