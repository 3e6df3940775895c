"""What waits in a lane: batches that are full, and records that still may be joined. Not thread-safe."""

from collections import deque
from collections.abc import Sequence

from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.batching import Batch, BatchAccumulator
from rie_server.model.event_source import EventSourceMapping, SourceRecord

ENVELOPE_BYTES = 2048
"""Of the event around its records: a cluster may have many bootstrap servers."""
BUFFERED_BATCHES = 4
BUFFERED_RECORDS = 4000
BUFFERED_BYTES = 2 * SYNC_PAYLOAD_BYTES
OVERFULL = 3


class PartitionBuffer:
    def __init__(self, mapping: EventSourceMapping) -> None:
        self._batch_size = mapping.batch_size
        self._joining = BatchAccumulator(
            batch_size=mapping.batch_size,
            window_seconds=mapping.batching_window_seconds,
            envelope_bytes=ENVELOPE_BYTES,
        )
        self._enough = max(BUFFERED_BATCHES * mapping.batch_size, BUFFERED_RECORDS)
        self._full: deque[Batch] = deque()
        self._count = 0
        self._bytes = 0

    def add(self, records: Sequence[SourceRecord], *, now: float) -> None:
        self._count += len(records)
        self._bytes += sum([record.size_bytes for record in records])
        # One by one only where it matters: this is on the road of every record.
        invalid = [record for record in records if record.invalid is not None]
        if not invalid:
            self._full += self._joining.add(records, now=now)
            return
        for record in records:
            if record.invalid is None:
                self._full += self._joining.add((record,), now=now)
                continue
            # Alone in its batch, and not before those that came before it.
            if len(self._joining):
                self._full.append(self._joining.flush())
            self._full.append((record,))

    def take(self, *, now: float) -> Batch:
        """The next batch that is due; empty if none is."""
        batch = self._full.popleft() if self._full else self._joining.take_due(now=now)
        self._count -= len(batch)
        self._bytes -= sum([record.size_bytes for record in batch])
        return batch

    def is_due(self, *, now: float) -> bool:
        return bool(self._full) or (self.closes_at is not None and now >= self.closes_at)

    @property
    def closes_at(self) -> float | None:
        """When the window ends of the records that may still be joined; None while there are none."""
        return self._joining.closes_at

    @property
    def first_offset(self) -> int | None:
        first = self._full[0][0] if self._full else self._joining.first
        return None if first is None else int(first.identifier)

    @property
    def is_full(self) -> bool:
        """There is enough, and room for more."""
        return self._count >= self._enough or self._bytes >= BUFFERED_BYTES // 2

    @property
    def is_overfull(self) -> bool:
        return self._count >= OVERFULL * self._enough or self._bytes >= BUFFERED_BYTES

    @property
    def is_hungry(self) -> bool:
        """There is less than a batch."""
        return self._count < self._batch_size and self._bytes < SYNC_PAYLOAD_BYTES // 2

    @property
    def has_room(self) -> bool:
        """Well below full, so that a lane is not paused and resumed all the time."""
        return self._count <= 2 * self._batch_size and self._bytes < BUFFERED_BYTES // 4
