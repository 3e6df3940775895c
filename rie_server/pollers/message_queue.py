"""The poller of every queue: SQS, and the brokers of Amazon MQ.

Promises: a message is deleted only after the function succeeded with it, or where no filter wants it; one that failed
is left to its queue, which hides it for a while or moves it to a dead-letter queue. Receiving, running and deleting go
on beside one another; no thread waits for a function. Messages of one lane (FIFO: message group) reach the function in
order, one batch at a time, lanes beside one another. On ``stop`` what was received is still run; a process that dies
leaves everything to the queue. Thread-safe.

    receivers -> filter -> gathering -> batches (at most ``QueueCapacity``) -> acknowledger, or left to the queue
"""

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from rie_server.errors import LambdaError, SourceError
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.pollers.acknowledger import Acknowledger
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.queue_batch import BatchOutcome, QueueBatch
from rie_server.pollers.queue_capacity import QueueCapacity
from rie_server.pollers.queue_gathering import Gathering, HeldRecord, lanes_of
from rie_server.pollers.queue_outcome import failed_identifiers
from rie_server.pollers.queue_receivers import QueueReceivers
from rie_server.pollers.queue_rules import QueueRules
from rie_server.polling import MappingReporter, PollObserver, QueueSource
from rie_server.ports import Clock, Timer

log = logging.getLogger(__name__)

# Messages that wait to be deleted, beyond a batch, before receiving waits for them.
UNDELETED_MOST = 2000
# How old the backlog may be that a watcher is told.
BACKLOG_SECONDS = 5.0
# A batch is not gathered for so long that its function has no time left before its queue takes the messages back.
RESERVED_SECONDS = 10.0

# Whether the mapping's filters want a message.
IsWanted = Callable[[SourceRecord], bool]


class MessageQueuePoller:
    """Fills ``polling.Poller``. Owns ``source``."""

    def __init__(
        self,
        *,
        mapping: EventSourceMapping,
        source: QueueSource,
        rules: QueueRules,
        invocation: BatchInvocation,
        is_wanted: IsWanted | None,
        reporter: MappingReporter,
        observer: PollObserver,
        clock: Clock,
        real: Clock,
    ) -> None:
        """
        Args:
            is_wanted: None where the mapping has no filters.
            clock: the server's time: batching windows and the backoff after a throttle.
            real: everything that waits for the source.
        """
        self._mapping = mapping
        self._source = source
        self._rules = rules
        self._invocation = invocation
        self._is_wanted = is_wanted
        self._reporter = reporter
        self._observer = observer
        self._clock = clock
        self._real = real
        threads = rules.acknowledge_threads + 2
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"queue-{mapping.uuid[:8]}")
        self._undeleted_most = UNDELETED_MOST + mapping.batch_size
        self._capacity = QueueCapacity(rules, real, self._is_congested)
        self._acknowledger = Acknowledger(
            source=source,
            most=rules.acknowledge_most,
            threads=rules.acknowledge_threads,
            pool=self._pool,
            real=real,
            on_change=self._capacity.look,
            deleted=partial(observer.deleted, mapping),
        )
        self._receivers = QueueReceivers(
            mapping=mapping,
            source=source,
            rules=rules,
            capacity=self._capacity,
            reporter=reporter,
            real=real,
            take_in=self._take_in,
        )
        # Guards what follows.
        self._lock = threading.Lock()
        self._gathering = Gathering(mapping.batch_size)
        self._batches: set[QueueBatch] = set()
        self._window: list[Timer] = []
        self._window_is_over = mapping.batching_window_seconds <= 0
        self._working = 0
        self._stopping = False
        self._is_throttled = False
        self._backlog: int | None = None
        self._backlog_at = -math.inf

    # --- polling.Poller -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._receivers.start()

    def stop(self) -> None:
        with self._lock:
            self._stopping = self._window_is_over = True
            waiting = [batch for batch in self._batches if batch.is_waiting]
        self._receivers.stop()
        self._capacity.stop()
        for batch in waiting:
            batch.give_up()
        self._later(self._begin_batches)

    def join(self, timeout_seconds: float) -> bool:
        give_up_at = self._real.monotonic() + timeout_seconds
        left = self._receivers.join(timeout_seconds)
        is_over = left and self._capacity.wait_until(
            self._is_idle, max(give_up_at - self._real.monotonic(), 0.0)
        )
        self._pool.shutdown(wait=is_over)
        if is_over:
            self._source.close()
        return is_over

    def is_settled(self) -> bool:
        with self._lock:
            is_working = self._working or any(not batch.is_waiting for batch in self._batches)
        return not is_working and not self._acknowledger.pending

    def describe(self) -> Mapping[str, Any]:
        if self._real.monotonic() - self._backlog_at >= BACKLOG_SECONDS and not self._stopping:
            self._backlog_at = self._real.monotonic()
            self._later(self._ask_backlog)
        return {
            "backlog": self._backlog,
            "pollers": self._receivers.count,
            "in_flight": self._capacity.running,
        }

    # --- from the source to the function ------------------------------------------------------------------------------

    def _take_in(self, records: Sequence[SourceRecord]) -> None:
        """On a receiver's thread."""
        with self._lock:
            self._working += 1
        try:
            hold_seconds = self._rules.hold_seconds()
            now = self._real.monotonic()
            until = math.inf if hold_seconds is None else now + hold_seconds
            self._observer.polled(self._mapping, len(records))
            wanted = self._filter(records)
            with self._lock:
                self._gathering.add(HeldRecord(record=record, until=until) for record in wanted)
                self._open_window(hold_seconds)
            self._begin_batches()
        finally:
            with self._lock:
                self._working -= 1

    def _filter(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        if self._is_wanted is None:
            return records
        wanted = [record for record in records if self._is_wanted(record)]
        if len(wanted) < len(records):
            kept = {id(record) for record in wanted}
            unwanted = [record for record in records if id(record) not in kept]
            self._observer.filtered_out(self._mapping, len(unwanted))
            self._acknowledger.add(unwanted)
        return wanted

    def _begin_batches(self) -> None:
        """Hands out what is ready, as far as there is room; blocks for as long as it takes to make the events."""
        while (batch := self._next_batch()) is not None:
            batch.start()

    def _next_batch(self) -> QueueBatch | None:
        with self._lock:
            if not self._gathering or not (self._window_is_over or self._gathering.is_full):
                return None
            if not self._capacity.begin():
                return None
            records = self._gathering.take()
            if not records:
                self._capacity.end()
                return None
            self._close_window()
            batch = QueueBatch(
                records,
                invocation=self._invocation,
                clock=self._clock,
                real=self._real,
                throttled=self._on_throttle,
                over=self._on_outcome,
                go_on=self._later,
            )
            self._batches.add(batch)
            return batch

    # --- the batching window, with the lock held ----------------------------------------------------------------------

    def _open_window(self, hold_seconds: float | None) -> None:
        if self._window or self._window_is_over or not self._gathering:
            return
        self._window.append(self._clock.call_later(self._mapping.batching_window_seconds, self._end_window))
        if hold_seconds is not None:
            # Real time: the queue does not wait for a clock that stands still.
            seconds = hold_seconds - min(hold_seconds / 2, RESERVED_SECONDS)
            self._window.append(self._real.call_later(seconds, self._end_window))

    def _close_window(self) -> None:
        for timer in self._window:
            timer.cancel()
        self._window.clear()
        self._window_is_over = self._stopping or self._mapping.batching_window_seconds <= 0
        if self._gathering:
            self._open_window(self._rules.hold_seconds())

    def _end_window(self) -> None:
        with self._lock:
            self._window_is_over = True
        self._later(self._begin_batches)

    # --- from the function back to the source; on any thread, must not block ------------------------------------------

    def _on_throttle(self, refusal: LambdaError) -> None:
        self._capacity.throttled()
        if not self._is_throttled:
            self._is_throttled = True
            self._reporter.processed(f"PROBLEM: {refusal.message}")
            log.warning("%s is not invoked: %s; it is tried again", self._mapping.function, refusal.message)

    def _on_outcome(self, batch: QueueBatch, outcome: BatchOutcome) -> None:
        failed = self._failed(outcome)
        failed_names = {id(held) for held in failed}
        self._acknowledger.add([held.record for held in outcome.tried if id(held) not in failed_names])
        with self._lock:
            failed += self._gathering.drop(lanes_of(failed))
        if not failed:
            self._end(batch, outcome)
            return
        pause = 0.0 if self._stopping else self._rules.failure_pause_seconds
        release = partial(self._release, batch, outcome, [held.record for held in failed])
        if pause:
            self._clock.call_later(pause, partial(self._later, release))
        else:
            self._later(release)

    def _failed(self, outcome: BatchOutcome) -> list[HeldRecord]:
        result = outcome.result
        if result is None:
            return list(outcome.batch)
        records = [held.record for held in outcome.tried]
        names = failed_identifiers(records, result, reports_failures=self._mapping.reports_batch_item_failures)
        if names:
            self._observer.failed_invoke(self._mapping, len(names))
        self._is_throttled = False
        self._reporter.processed("PROBLEM: Function call failed" if names else "OK")
        tried = {id(held) for held in outcome.tried}
        return [held for held in outcome.batch if id(held) not in tried or held.record.identifier in names]

    def _release(self, batch: QueueBatch, outcome: BatchOutcome, records: Sequence[SourceRecord]) -> None:
        try:
            self._source.release(records)
        except SourceError as trouble:
            log.warning("%d messages could not be given back: %s", len(records), trouble)
        except Exception:
            log.exception("%d messages could not be given back", len(records))
        finally:
            self._end(batch, outcome)

    def _end(self, batch: QueueBatch, outcome: BatchOutcome) -> None:
        with self._lock:
            self._gathering.give_back(outcome.batch)
            waits = bool(self._gathering)
            if waits:
                self._working += 1  # until the next batches are begun
            self._batches.discard(batch)
        self._capacity.end()
        if waits:
            self._later(self._begin_counted)

    def _begin_counted(self) -> None:
        try:
            self._begin_batches()
        finally:
            with self._lock:
                self._working -= 1
            self._capacity.look()

    # --- whatever else ------------------------------------------------------------------------------------------------

    def _later(self, work: Callable[[], None]) -> None:
        try:
            self._pool.submit(_logged, work)
        except RuntimeError:
            log.debug("The poller has ended; what it held comes again")

    def _ask_backlog(self) -> None:
        try:
            self._backlog = self._source.backlog()
        except SourceError as trouble:
            log.debug("The backlog of %s is not known: %s", self._mapping.source_arn, trouble)

    def _is_congested(self) -> bool:
        return self._acknowledger.pending >= self._undeleted_most

    def _is_idle(self) -> bool:
        return not (self._batches or self._working or self._gathering or self._acknowledger.pending)


def _logged(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("A poller's work has failed")
