"""A whole shard under the rules of stream batches, with a function that does anything it likes."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from rie_server.model.batch_response import BatchFailed, BatchSucceeded, ItemsFailed
from rie_server.model.stream_batch import (
    Discard,
    Done,
    Retry,
    Split,
    StreamBatch,
    StreamRules,
    Throttled,
    TooLarge,
    after_batch,
    before_invoke,
)
from tests.unit.event_sources.records import record

STEPS = 10_000

RULES = st.builds(
    StreamRules,
    maximum_retry_attempts=st.sampled_from([0, 1, 3]),
    maximum_record_age_seconds=st.sampled_from([-1, 60]),
    bisects=st.booleans(),
)


@dataclass(slots=True, kw_only=True)
class Shard:
    """Carries the decisions out, and keeps the books."""

    rules: StreamRules
    waiting: list[StreamBatch]
    now: float = 0.0
    succeeded: list[int] = field(default_factory=list)
    discarded: list[int] = field(default_factory=list)
    tried: list[int] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)

    def ended(self) -> list[int]:
        return self.succeeded + self.discarded

    def reach(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self.checkpoints.append(int(checkpoint))
            assert set(range(int(checkpoint) + 1)) <= set(self.ended())

    def step(self, data: st.DataObject) -> None:
        batch = self.waiting.pop(0)
        ready = before_invoke(batch, self.rules, now=self.now)
        if isinstance(ready, Split):
            self.waiting[:0] = [ready.first, ready.second]
        elif isinstance(ready, Discard):
            self.give_up(ready)
        else:
            assert ready.batch == batch
            self.invoke(batch, data)

    def give_up(self, decision: Discard) -> None:
        self.discarded += [int(one.identifier) for one in decision.batch.records]
        self.waiting[:0] = [decision.rest] if decision.rest else []
        self.reach(decision.checkpoint)

    def invoke(self, batch: StreamBatch, data: st.DataObject) -> None:
        positions = st.lists(st.integers(0, len(batch.records) - 1), min_size=1, max_size=3, unique=True)
        outcome = data.draw(
            st.sampled_from([BatchSucceeded(), BatchFailed(), Throttled(), TooLarge()])
            | positions.map(lambda drawn: ItemsFailed(positions=tuple(sorted(drawn))))
        )
        numbers = [int(one.identifier) for one in batch.records]
        self.tried += numbers[:1] if not isinstance(outcome, Throttled | TooLarge) else []
        decision = after_batch(batch, outcome, self.rules)
        if isinstance(decision, Split):
            self.waiting[:0] = [decision.first, decision.second]
            return
        left = decision.batch.records if not isinstance(decision, Done) else ()
        self.succeeded += numbers[: len(numbers) - len(left)]
        if isinstance(decision, Discard):
            self.reach(decision.succeeded_before)
            self.give_up(decision)
            return
        if isinstance(decision, Retry):
            self.now += decision.after_seconds
            self.waiting.insert(0, decision.batch)
        self.reach(decision.checkpoint)


@given(rules=RULES, ages=st.lists(st.integers(0, 80), min_size=1, max_size=20), data=st.data())
def test_every_record_ends_once_in_order_and_no_checkpoint_passes_one_that_has_not(
    rules: StreamRules, ages: list[int], data: st.DataObject
) -> None:
    everything = tuple(record(str(number), arrived_at=-float(age)) for number, age in enumerate(ages))
    size = data.draw(st.integers(1, len(everything)))
    batches = [StreamBatch(records=everything[at : at + size]) for at in range(0, len(everything), size)]
    shard = Shard(rules=rules, waiting=batches)
    for _ in range(STEPS):
        if not shard.waiting:
            break
        shard.step(data)
    assert not shard.waiting
    assert sorted(shard.ended()) == list(range(len(everything)))
    assert shard.succeeded == sorted(shard.succeeded)
    assert shard.discarded == sorted(shard.discarded)
    assert shard.tried == sorted(shard.tried)
    assert shard.checkpoints == sorted(shard.checkpoints)
    assert shard.checkpoints[-1] == len(everything) - 1


@given(ages=st.lists(st.integers(0, 80), min_size=1, max_size=30), poison=st.sets(st.integers(0, 29)))
def test_bisecting_finds_exactly_the_records_that_fail(ages: list[int], poison: set[int]) -> None:
    everything = tuple(record(str(number)) for number in range(len(ages)))
    waiting, discarded = [StreamBatch(records=everything)], set[int]()
    rules = StreamRules(maximum_retry_attempts=1, bisects=True)
    while waiting:
        batch = waiting.pop(0)
        fails = any(int(one.identifier) in poison for one in batch.records)
        decision = after_batch(batch, BatchFailed() if fails else BatchSucceeded(), rules)
        if isinstance(decision, Split):
            waiting[:0] = [decision.first, decision.second]
        elif isinstance(decision, Retry):
            waiting.insert(0, decision.batch)
        elif isinstance(decision, Discard):
            discarded |= {int(one.identifier) for one in decision.batch.records}
    assert discarded == poison & set(range(len(ages)))
