"""The poller of every queue: SQS, and the brokers of Amazon MQ.

Promises: a message is deleted only after the function succeeded with it, or where no filter wants it; one that failed
is left to its queue, which hides it for a while or moves it to a dead-letter queue. Receiving, running and deleting go
on beside one another; no thread waits for a function. Messages of one lane (FIFO: message group) reach the function in
order, one batch at a time, lanes beside one another. On ``stop`` what was received is still run; a process that dies
leaves everything to the queue. Thread-safe.

    receivers -> filters -> gathering -> batches, as many as there is room for -> deleted, or left to the queue
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.event_source import SourceRecord
from rie_server.pollers.acknowledger import Acknowledger
from rie_server.pollers.event_size import EventSize
from rie_server.pollers.queue_batches import QueueBatches
from rie_server.pollers.queue_capacity import QueueCapacity
from rie_server.pollers.queue_context import QueueContext
from rie_server.pollers.queue_gathering import HeldRecord
from rie_server.pollers.queue_receivers import QueueReceivers

log = logging.getLogger(__name__)

# Messages that wait to be deleted, beyond a batch, before receiving waits for them.
UNDELETED_MOST = 2000
# How old the backlog may be that a watcher is told.
BACKLOG_SECONDS = 5.0
# Threads beside those that delete: for making events, and for whatever asks the source.
FURTHER_THREADS = 2

# Whether the mapping's filters want a message.
IsWanted = Callable[[SourceRecord], bool]


class MessageQueuePoller:
    """Fills ``polling.Poller``. Owns ``source``."""

    def __init__(self, context: QueueContext, *, is_wanted: IsWanted | None = None) -> None:
        """
        Args:
            is_wanted: None where the mapping has no filters.
        """
        self._context = context
        self._source = context.source
        self._real = context.real
        self._event_size = EventSize(context.mapping, context.invocation, context.reporter, context.observer)
        self._is_wanted = is_wanted
        self._is_ahead = context.rules.batches_ahead > 0
        self._undeleted_most = UNDELETED_MOST + context.mapping.batch_size
        self._pool = ThreadPoolExecutor(
            context.rules.acknowledge_threads + FURTHER_THREADS, thread_name_prefix=f"queue-{context.mapping.uuid[:8]}"
        )
        self._capacity = QueueCapacity(context.rules, context.real, self._is_congested)
        self._acknowledger = Acknowledger(context, pool=self._pool, on_change=self._capacity.look)
        self._batches = QueueBatches(
            context, capacity=self._capacity, acknowledger=self._acknowledger, later=self._later
        )
        self._receivers = QueueReceivers(context, capacity=self._capacity, take_in=self._take_in)
        self._backlog: int | None = None
        self._backlog_at = -math.inf

    def start(self) -> None:
        self._receivers.start()

    def stop(self) -> None:
        self._receivers.stop()
        self._capacity.stop()
        self._batches.stop()

    def join(self, timeout_seconds: float) -> bool:
        """Closes the source where it returns True; may be called again where it does not."""
        give_up_at = self._real.monotonic() + timeout_seconds
        if not self._receivers.join(timeout_seconds):
            return False
        if not self._capacity.wait_until(self._is_idle, max(give_up_at - self._real.monotonic(), 0.0)):
            return False
        self._pool.shutdown()
        self._source.close()
        return True

    def is_settled(self) -> bool:
        return not (self._receivers.busy or self._acknowledger.pending) and self._batches.is_settled()

    def describe(self) -> Mapping[str, Any]:
        now = self._real.monotonic()
        if now - self._backlog_at >= BACKLOG_SECONDS:
            self._backlog_at = now
            self._later(self._ask_backlog)
        return {
            "backlog": self._backlog,
            "pollers": self._receivers.count,
            "in_flight": self._capacity.running,
        }

    def _take_in(self, records: Sequence[SourceRecord]) -> None:
        """On a receiver's thread."""
        hold_seconds = self._context.rules.hold_seconds()
        until = math.inf if hold_seconds is None else self._real.monotonic() + hold_seconds
        self._context.observer.polled(self._context.mapping, len(records))
        self._batches.add([HeldRecord(record=record, until=until) for record in self._fitting(self._wanted(records))])
        self._batches.begin()

    def _wanted(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        """What passes the filters; the rest is deleted."""
        if self._is_wanted is None:
            return records
        wanted: list[SourceRecord] = []
        unwanted: list[SourceRecord] = []
        for record in records:
            (wanted if self._is_wanted(record) else unwanted).append(record)
        if unwanted:
            self._context.observer.filtered_out(self._context.mapping, len(unwanted))
            self._acknowledger.add(unwanted)
        return wanted

    def _fitting(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        """What an event can hold; the rest is deleted."""
        too_large = self._event_size.too_large(records)
        if not too_large:
            return records
        self._acknowledger.add(too_large)
        gone = {id(record) for record in too_large}
        return [record for record in records if id(record) not in gone]

    def _later(self, work: Callable[[], None]) -> None:
        try:
            self._pool.submit(_run, work)
        except RuntimeError:
            log.debug("The poller has ended; what it held comes again")

    def _ask_backlog(self) -> None:
        try:
            self._backlog = self._source.backlog()
        except SourceError as trouble:
            log.debug("The backlog of %s is not known: %s", self._context.mapping.source_arn, trouble)

    def _is_congested(self) -> bool:
        is_ready = self._is_ahead and self._batches.gathered >= self._context.mapping.batch_size
        return is_ready or self._acknowledger.pending >= self._undeleted_most

    def _is_idle(self) -> bool:
        return self._batches.is_empty and not self._acknowledger.pending


def _run(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("A poller's work has failed")
