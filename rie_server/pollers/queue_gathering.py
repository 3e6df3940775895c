"""Messages that have been received and wait to be with others in a batch.

Promises: a batch has at most ``batch_size`` messages and 6 MB; messages of one lane (FIFO: message group) keep their
order and are in one batch at a time. Not thread-safe: its owner holds a lock.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.event_source import SourceRecord

# What is around the records of an event, generously, and the comma after each of them.
_FRAME_BYTES = 1024
_COMMA_BYTES = 1


class HeldRecord(NamedTuple):
    """A tuple, because one is made of every message.

    Attributes:
        until: when the source takes the message back, by the real monotonic clock; infinite where it does not.
    """

    record: SourceRecord
    until: float


class Gathering:
    def __init__(self, batch_size: int, event_bytes: int = SYNC_PAYLOAD_BYTES) -> None:
        self._batch_size = batch_size
        self._bytes_most = event_bytes - _FRAME_BYTES
        self._waiting: deque[HeldRecord] = deque()
        self._waiting_bytes = 0
        self._busy_lanes: set[str] = set()
        # Of what waits, how much is in a lane: where there is none, batches are simply cut off.
        self._in_lanes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """There is a whole batch, whatever the batching window says."""
        return len(self._waiting) >= self._batch_size or self._waiting_bytes >= self._bytes_most

    @property
    def held_until(self) -> float | None:
        """When the source takes the first message back that waits; None where none does."""
        return self._waiting[0].until if self._waiting else None

    def add(self, records: Iterable[HeldRecord]) -> None:
        added = tuple(records)
        self._waiting += added
        self._waiting_bytes += sum([held.record.size_bytes for held in added]) + _COMMA_BYTES * len(added)
        self._in_lanes += sum([held.record.lane is not None for held in added])

    def take(self) -> Sequence[HeldRecord]:
        """The next batch, in order of arrival; its lanes are busy until ``give_back``. Empty where every lane is."""
        if not self._in_lanes and (self._waiting_bytes <= self._bytes_most):
            return self._cut_off()
        batch: list[HeldRecord] = []
        batch_bytes = 0
        passed_over: deque[HeldRecord] = deque()
        blocked = set(self._busy_lanes)
        while self._waiting and len(batch) < self._batch_size:
            held = self._waiting.popleft()
            lane, size = held.record.lane, held.record.size_bytes + _COMMA_BYTES
            if lane is not None and lane in blocked:
                passed_over.append(held)
            elif batch and batch_bytes + size > self._bytes_most:
                self._waiting.appendleft(held)
                break
            else:
                batch.append(held)
                batch_bytes += size
        self._waiting.extendleft(reversed(passed_over))
        self._waiting_bytes -= batch_bytes
        self._busy_lanes |= lanes_of(batch)
        self._in_lanes -= sum([held.record.lane is not None for held in batch])
        return batch

    def _cut_off(self) -> Sequence[HeldRecord]:
        """What fits anyhow, because all that waits would."""
        batch = [self._waiting.popleft() for _ in range(min(self._batch_size, len(self._waiting)))]
        self._waiting_bytes -= sum([held.record.size_bytes for held in batch]) + _COMMA_BYTES * len(batch)
        return batch

    def give_back(self, batch: Iterable[HeldRecord]) -> None:
        """A batch that was taken is over: its lanes are free."""
        self._busy_lanes -= lanes_of(batch)

    def drop(self, lanes: Iterable[str]) -> Sequence[HeldRecord]:
        """Takes out what waits behind messages that have failed; it must not overtake them."""
        gone = set(lanes)
        dropped = [held for held in self._waiting if held.record.lane in gone] if gone else []
        if dropped:
            self._waiting = deque(held for held in self._waiting if held.record.lane not in gone)
            self._waiting_bytes -= sum(held.record.size_bytes + _COMMA_BYTES for held in dropped)
            self._in_lanes -= len(dropped)
        return dropped


def lanes_of(batch: Iterable[HeldRecord]) -> set[str]:
    return {held.record.lane for held in batch if held.record.lane is not None}
