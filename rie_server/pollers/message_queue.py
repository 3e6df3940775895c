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
from functools import partial
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.pollers.acknowledger import Acknowledger
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.event_size import EventSize
from rie_server.pollers.queue_batches import QueueBatches
from rie_server.pollers.queue_capacity import QueueCapacity
from rie_server.pollers.queue_gathering import HeldRecord
from rie_server.pollers.queue_receivers import QueueReceivers
from rie_server.pollers.queue_rules import QueueRules
from rie_server.polling import MappingReporter, PollObserver, QueueSource
from rie_server.ports import Clock

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
        self._event_size = EventSize(mapping, invocation, reporter, observer)
        self._is_wanted = is_wanted
        self._observer = observer
        self._real = real
        threads = rules.acknowledge_threads + FURTHER_THREADS
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"queue-{mapping.uuid[:8]}")
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
        self._batches = QueueBatches(
            mapping=mapping,
            source=source,
            failure_pause_seconds=rules.failure_pause_seconds,
            invocation=invocation,
            capacity=self._capacity,
            acknowledger=self._acknowledger,
            reporter=reporter,
            observer=observer,
            clock=clock,
            real=real,
            later=self._later,
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
        self._backlog: tuple[float, int | None] = (-math.inf, None)

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
        asked_at, backlog = self._backlog
        if now - asked_at >= BACKLOG_SECONDS:
            self._backlog = now, backlog
            self._later(self._ask_backlog)
        return {
            "backlog": backlog,
            "pollers": self._receivers.count,
            "in_flight": self._capacity.running,
        }

    def _take_in(self, records: Sequence[SourceRecord]) -> None:
        """On a receiver's thread."""
        hold_seconds = self._rules.hold_seconds()
        until = math.inf if hold_seconds is None else self._real.monotonic() + hold_seconds
        self._observer.polled(self._mapping, len(records))
        usable = self._fitting(self._wanted(records))
        self._batches.add([HeldRecord(record=record, until=until) for record in usable])
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
            self._observer.filtered_out(self._mapping, len(unwanted))
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
            self._backlog = self._real.monotonic(), self._source.backlog()
        except SourceError as trouble:
            log.debug("The backlog of %s is not known: %s", self._mapping.source_arn, trouble)

    def _is_congested(self) -> bool:
        is_ready = self._rules.batches_ahead > 0 and self._batches.gathered >= self._mapping.batch_size
        return is_ready or self._acknowledger.pending >= UNDELETED_MOST + self._mapping.batch_size

    def _is_idle(self) -> bool:
        return self._batches.is_empty and not self._acknowledger.pending


def _run(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("A poller's work has failed")
