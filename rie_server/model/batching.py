"""When the records of a source become a batch: enough of them, 6 MB of event, or the end of the batching window.

An accumulator is as pure as something that accumulates can be: time is passed in. It is not thread-safe.

AWS: Lambda Developer Guide, "Batching behavior": the window ends, the batch size is met, or the payload reaches 6 MB,
whichever comes first. The window begins with the first record.
"""

from collections.abc import Sequence
from typing import Final

from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.event_source import SourceRecord

Batch = tuple[SourceRecord, ...]

ENVELOPE_BYTES: Final = 1024
"""Of the event around its records: more than any source needs."""


class BatchAccumulator:
    """
    Args:
        batch_size: BatchSize.
        window_seconds: MaximumBatchingWindowInSeconds; with 0 a batch is what was read at once.
        envelope_bytes: of the event without its records; a tumbling window's state is a part of it.
    """

    def __init__(self, *, batch_size: int, window_seconds: float, envelope_bytes: int = ENVELOPE_BYTES) -> None:
        self._batch_size = batch_size
        self._window_seconds = window_seconds
        self._envelope_bytes = envelope_bytes
        self._records: list[SourceRecord] = []
        self._event_bytes = envelope_bytes
        self._closes_at: float | None = None

    def __len__(self) -> int:
        return len(self._records)

    @property
    def closes_at(self) -> float | None:
        """When the window of the waiting records ends, by the same clock as ``now``; None while nothing waits."""
        return self._closes_at

    @property
    def first(self) -> SourceRecord | None:
        """The one that has waited longest."""
        return self._records[0] if self._records else None

    @property
    def room(self) -> int:
        """How many more records the waiting batch may take: no source need be asked for more."""
        return self._batch_size - len(self._records)

    def add(self, records: Sequence[SourceRecord], *, now: float) -> list[Batch]:
        """The batches that are full now, in order; what is not full waits for more.

        A record that is larger than an event is a batch of its own.
        """
        full: list[Batch] = []
        position = 0
        while position < len(records):
            some = records[position : position + self.room]
            position += len(some)
            # Together where they fit, because this is on the road of every record.
            if not self._join(some, now=now):
                for record in some:
                    full += self._add_one(record, now=now)
            elif not self.room:
                full.append(self.flush())
        return full

    def _join(self, records: Sequence[SourceRecord], *, now: float) -> bool:
        """Whether there is room for all of them, well below 6 MB; otherwise none is taken."""
        commas = len(records) - (0 if self._records else 1)
        event_bytes = self._event_bytes + sum([record.size_bytes for record in records]) + commas
        if event_bytes >= SYNC_PAYLOAD_BYTES:
            return False
        if not self._records:
            self._closes_at = now + self._window_seconds
        self._records += records
        self._event_bytes = event_bytes
        return True

    def _add_one(self, record: SourceRecord, *, now: float) -> list[Batch]:
        full: list[Batch] = []
        if self._records and self._event_bytes + 1 + record.size_bytes > SYNC_PAYLOAD_BYTES:
            full.append(self.flush())
        self._event_bytes += record.size_bytes + (1 if self._records else 0)
        if not self._records:
            self._closes_at = now + self._window_seconds
        self._records.append(record)
        if not self.room or self._event_bytes >= SYNC_PAYLOAD_BYTES:
            full.append(self.flush())
        return full

    def take_due(self, *, now: float) -> Batch:
        """The waiting records if their window has ended; otherwise none."""
        return self.flush() if self._closes_at is not None and now >= self._closes_at else ()

    def flush(self) -> Batch:
        """The waiting records, whatever the time."""
        batch = tuple(self._records)
        self._records.clear()
        self._event_bytes = self._envelope_bytes
        self._closes_at = None
        return batch
