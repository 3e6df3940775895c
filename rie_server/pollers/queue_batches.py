"""From received messages to batches, and from the function's answers back to the queue.

Promises: a batch begins when it is full or its batching window is over, and there is room for it; what succeeded is
deleted, what failed is released, and nothing of its lane overtakes it. Thread-safe; ``begin`` blocks for as long as it
takes to make the events, everything else returns at once.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from rie_server.errors import LambdaError, SourceError
from rie_server.model.event_source import SourceRecord
from rie_server.pollers.acknowledger import Acknowledger
from rie_server.pollers.queue_batch import BatchOutcome, QueueBatch
from rie_server.pollers.queue_capacity import QueueCapacity
from rie_server.pollers.queue_context import QueueContext
from rie_server.pollers.queue_gathering import Gathering, HeldRecord, lanes_of
from rie_server.pollers.queue_outcome import failed_positions
from rie_server.pollers.queue_window import BatchingWindow
from rie_server.ports import Timer

log = logging.getLogger(__name__)


class QueueBatches:
    def __init__(
        self,
        context: QueueContext,
        *,
        capacity: QueueCapacity,
        acknowledger: Acknowledger,
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        """
        Args:
            later: runs what may block on a thread of the poller.
        """
        self._context = context
        self._mapping = mapping = context.mapping
        self._capacity = capacity
        self._acknowledger = acknowledger
        self._clock = clock = context.clock
        self._later = later
        self._is_throttled = False
        # Guards what follows. The capacity's lock may be taken inside it, not the other way round.
        self._lock = threading.Lock()
        self._gathering = Gathering(mapping.batch_size)
        self._window = BatchingWindow(
            mapping.batching_window_seconds, clock=clock, real=context.real, over=self._on_window
        )
        self._batches: set[QueueBatch] = set()
        self._paused: dict[Timer, Callable[[], None]] = {}
        # Rounds of ``begin`` that are due on another thread.
        self._due = 0
        self._stopping = False

    def add(self, records: Iterable[HeldRecord]) -> None:
        """``begin`` afterwards."""
        with self._lock:
            self._gathering.add(records)
            self._window.open(self._gathering.held_until)

    def begin(self) -> None:
        """Hands out what is ready, as far as there is room."""
        while (batch := self._next()) is not None:
            batch.start()

    def stop(self) -> None:
        """Hands out what was gathered, without waiting for more; gives back what waits for a throttle to end.
        Idempotent.
        """
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            self._window.close_for_good()
            batches = list(self._batches)
            paused, self._paused = self._paused, {}
            self._due += 1
        for batch in batches:
            batch.give_up()
        for timer, release in paused.items():
            timer.cancel()
            self._later(release)
        self._later(self._begin_due)

    @property
    def gathered(self) -> int:
        """Messages that wait for their batch. Needs no lock."""
        return len(self._gathering)

    @property
    def is_empty(self) -> bool:
        return not (self._batches or self._due or self._gathering)

    def is_settled(self) -> bool:
        """Whether what is left waits for the clock, for a function's place or for the queue."""
        with self._lock:
            return not self._due and len(self._paused) == sum(not batch.is_waiting for batch in self._batches)

    # --- to the function ----------------------------------------------------------------------------------------------

    def _next(self) -> QueueBatch | None:
        with self._lock:
            if not self._gathering or not (self._window.is_over or self._gathering.is_full):
                return None
            if not self._capacity.begin():
                return None
            records = self._gathering.take()
            if not records:
                self._capacity.end()
                return None
            self._window.close()
            self._window.open(self._gathering.held_until)
            batch = QueueBatch(
                records,
                self._context,
                throttled=self._on_throttle,
                over=self._on_outcome,
                go_on=self._later,
            )
            self._batches.add(batch)
            if self._stopping:
                batch.give_up()
            return batch

    def _on_window(self) -> None:
        with self._lock:
            self._due += 1
        self._later(self._begin_due)

    def _begin_due(self) -> None:
        try:
            self.begin()
        finally:
            with self._lock:
                self._due -= 1
            self._capacity.look()

    # --- back to the queue; on any thread, must not block -------------------------------------------------------------

    def _on_throttle(self, refusal: LambdaError) -> None:
        self._capacity.throttled()
        if not self._is_throttled:
            self._is_throttled = True
            self._context.reporter.processed(f"PROBLEM: {refusal.message}")
            log.warning("%s is not invoked: %s; it is tried again", self._mapping.function, refusal.message)

    def _on_outcome(self, batch: QueueBatch, outcome: BatchOutcome) -> None:
        failed = self._failed(outcome)
        failed_ones = {id(held) for held in failed}
        self._acknowledger.add([held.record for held in outcome.tried if id(held) not in failed_ones])
        with self._lock:
            failed += self._gathering.drop(lanes_of(failed))
        if not failed:
            self._end(batch, outcome.batch)
            return
        # What waited behind them is not told apart: no source has both lanes and a count of its own.
        is_tried = bool(outcome.tried)
        release = partial(self._release, batch, outcome.batch, [held.record for held in failed], failed=is_tried)
        if not self._context.rules.failure_pause_seconds or not self._pause(release):
            self._later(release)

    def _failed(self, outcome: BatchOutcome) -> list[HeldRecord]:
        """Also what the source had taken back before the function could get it."""
        if outcome.result is None:
            return list(outcome.batch)
        self._is_throttled = False
        records = [held.record for held in outcome.tried]
        positions = failed_positions(self._mapping, records, outcome.result)
        if positions:
            self._context.observer.failed_invoke(self._mapping, len(positions))
        self._context.reporter.processed("PROBLEM: Function call failed" if positions else "OK")
        tried = {id(held) for held in outcome.tried}
        untried = [held for held in outcome.batch if id(held) not in tried]
        return untried + [outcome.tried[position] for position in sorted(positions)]

    def _pause(self, release: Callable[[], None]) -> bool:
        """Holds messages back that would come again at once; False where the poller stops."""

        def resume() -> None:
            with self._lock:
                if self._paused.pop(timer, None) is None:
                    return  # ``stop`` has it
            self._later(release)

        with self._lock:
            if self._stopping:
                return False
            timer = self._clock.call_later(self._context.rules.failure_pause_seconds, resume)
            self._paused[timer] = release
        return True

    def _release(
        self, batch: QueueBatch, taken: Sequence[HeldRecord], records: Sequence[SourceRecord], *, failed: bool
    ) -> None:
        try:
            self._context.source.release(records, failed=failed)
        except SourceError as trouble:
            log.warning("%d messages could not be given back: %s", len(records), trouble)
        except Exception:
            log.exception("%d messages could not be given back", len(records))
        finally:
            self._end(batch, taken)

    def _end(self, batch: QueueBatch, taken: Sequence[HeldRecord]) -> None:
        with self._lock:
            self._gathering.give_back(taken)
            self._batches.discard(batch)
            # With the lock held: whoever found no room before this has left its messages where they are seen now.
            self._capacity.end()
            waits = bool(self._gathering)
            self._due += waits
        if waits:
            self._later(self._begin_due)
