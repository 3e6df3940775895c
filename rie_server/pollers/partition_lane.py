"""One partition on its way through the function: its records in order, one batch at a time.

Thread-safe. The reading thread offers records and asks what is done; everything else happens on the crew's threads, and
no thread waits for the function or for a backoff. What is done is the offset of the first record that is not: a record
counts as done when it was filtered out, when the function has succeeded, or when its failure record was delivered.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial

from rie_server.errors import DeliveryError
from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.batch_response import BatchSucceeded, batch_result
from rie_server.model.delivery import DeliveryTries
from rie_server.model.event_source import SourceRecord
from rie_server.model.filter_documents import passes
from rie_server.model.invocation import InvokeResult
from rie_server.model.partition_rules import invalid_record
from rie_server.model.stream_batch import (
    BACKOFF_MAXIMUM_SECONDS,
    BatchOutcome,
    Discard,
    Done,
    Invoke,
    Retry,
    Split,
    StreamBatch,
    Throttled,
    TooLarge,
    after_batch,
    backoff_seconds,
    before_invoke,
)
from rie_server.pollers.partition_buffer import PartitionBuffer
from rie_server.pollers.partition_crew import Crew
from rie_server.ports import Timer

log = logging.getLogger(__name__)

OK = "OK"
FUNCTION_FAILED = "PROBLEM: Function call failed"


class PartitionLane:
    def __init__(self, crew: Crew, name: str, offset: int) -> None:
        """
        Args:
            name: ``topic-0``.
            offset: of the next record.
        """
        self._crew = crew
        self._name = name
        # Guards what follows.
        self._lock = threading.Lock()
        self._position = offset
        self._buffer = PartitionBuffer(crew.mapping)
        self._work: list[StreamBatch] = []  # the next one last
        self._undelivered: Discard | None = None
        self._last_result: InvokeResult | None = None
        self._tries = DeliveryTries()
        self._busy = False
        self._has_slot = False
        self._window: Timer | None = None
        self._backoff: Timer | None = None
        self._stopped = False
        self._idle = threading.Condition(self._lock)

    # --- the reading thread's -----------------------------------------------------------------------------------------

    def offer(self, records: Sequence[SourceRecord]) -> None:
        """Takes the next records, in order."""
        crew = self._crew
        wanted = records
        if crew.filters.patterns:
            wanted = [one for one in records if one.invalid or passes(crew.filters, crew.mapping.kind, one)]
        if len(wanted) < len(records):
            crew.observer.filtered_out(crew.mapping, len(records) - len(wanted))
        with self._lock:
            self._position = int(records[-1].identifier) + 1
            self._buffer.add(wanted, now=crew.clock.monotonic())
            self._watch_window()
        self._kick()

    @property
    def buffer(self) -> PartitionBuffer:
        """What waits here; only to be looked at."""
        return self._buffer

    @property
    def is_busy(self) -> bool:
        """Whether a batch is in flight, or somebody works on one; a backoff or an open window is neither."""
        return self._busy

    def done_offset(self) -> int:
        """Of the first record that is not done; of the next one that will be offered if all are."""
        with self._lock:
            if self._work:
                return int(self._work[-1].records[0].identifier)
            first = self._buffer.first_offset
            return self._position if first is None else first

    def stop(self) -> None:
        """Begins nothing any more; what is in flight goes on."""
        with self._lock:
            self._stopped = True
            for timer in (self._window, self._backoff):
                if timer is not None:
                    timer.cancel()

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Real time. Whether nothing is in flight."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._busy, timeout_seconds)

    # --- when a batch begins ------------------------------------------------------------------------------------------

    def _watch_window(self) -> None:
        closes_at = self._buffer.closes_at
        if closes_at is not None and self._window is None and not self._stopped:
            wait_seconds = closes_at - self._crew.clock.monotonic()
            if wait_seconds > 0:
                self._window = self._crew.clock.call_later(wait_seconds, self._close_window)

    def _close_window(self) -> None:
        """Of the records that wait now, or of some that have gone on since: then the next window is watched."""
        with self._lock:
            self._window = None
            self._watch_window()
        self._kick()

    def _end_backoff(self) -> None:
        with self._lock:
            self._backoff = None
        self._kick()

    def _kick(self) -> None:
        """Begins the next step, unless there is none or it is not yet time."""
        with self._lock:
            if self._busy or self._stopped or self._backoff is not None or not self._is_due():
                return
            self._busy = True
            may_go = self._has_slot or self._crew.slots.take(self._begin)
            self._has_slot = True
        if may_go:
            self._crew.run(partial(self._guarded, self._step))

    def _begin(self) -> None:
        """A slot has come free."""
        self._crew.run(partial(self._guarded, self._step))

    def _is_due(self) -> bool:
        return bool(self._work) or self._buffer.is_due(now=self._crew.clock.monotonic())

    def _take(self) -> StreamBatch:
        """The batch to work on: one that is left, or a new one of the records that wait."""
        if not self._work:
            self._work.append(StreamBatch(records=self._buffer.take(now=self._crew.clock.monotonic())))
            self._watch_window()
        return self._work[-1]

    # --- the crew's ---------------------------------------------------------------------------------------------------

    def _guarded(self, work: Callable[[], None]) -> None:
        """A fault of this server's own costs time, and no record: the batch is tried again."""
        try:
            work()
        except Exception:
            log.exception("Event source mapping %s: %s has failed", self._crew.mapping.uuid, self._name)
            with self._lock:
                self._wait(BACKOFF_MAXIMUM_SECONDS)
            self._rest()

    def _step(self) -> None:
        crew = self._crew
        with self._lock:
            if self._stopped:
                return self._rest_locked()
            undelivered = self._undelivered
            was_full = self._buffer.is_full
            batch = self._take()
            has_room = self._buffer.is_hungry or (was_full and not self._buffer.is_full)
        if has_room:
            crew.on_room()
        if undelivered is not None:
            return self._deliver(undelivered)
        if batch.records[0].invalid:
            return self._follow(invalid_record(batch))
        decision = before_invoke(batch, crew.rules, now=crew.clock.now())
        if not isinstance(decision, Invoke):
            return self._follow(decision)
        count = len(batch.records)
        payload = crew.invocation.payload(batch.records)
        if len(payload) > SYNC_PAYLOAD_BYTES:
            return self._follow(after_batch(batch, TooLarge(), crew.rules))
        return crew.invocation.submit(
            payload,
            count,
            batch.request_id,
            lambda result: crew.run(partial(self._guarded, partial(self._answered, batch, result))),
        )

    def _answered(self, batch: StreamBatch, result: InvokeResult) -> None:
        crew, mapping = self._crew, self._crew.mapping
        outcome = self._outcome(batch, result)
        if isinstance(outcome, BatchSucceeded):
            crew.reporter.processed(OK)
        else:
            if not isinstance(outcome, Throttled):
                crew.observer.failed_invoke(mapping, len(batch.records))
            crew.reporter.processed(FUNCTION_FAILED)
        self._last_result = result
        self._follow(after_batch(batch, outcome, crew.rules))

    def _outcome(self, batch: StreamBatch, result: InvokeResult) -> BatchOutcome:
        if result.refusal is not None:
            return Throttled()
        mapping = self._crew.mapping
        return batch_result(
            mapping.kind,
            batch.records,
            result.payload,
            function_error=result.function_error,
            reports=mapping.reports_batch_item_failures,
        )

    def _follow(self, decision: Done | Retry | Split | Discard) -> None:
        """Carries out what is to come after the batch that is worked on."""
        if isinstance(decision, Discard):
            with self._lock:
                self._work[-1] = decision.batch
                self._undelivered = decision
            return self._deliver(decision)
        with self._lock:
            self._work.pop()
            if isinstance(decision, Retry):
                self._work.append(decision.batch)
                self._wait(decision.after_seconds)
            elif isinstance(decision, Split):
                self._work += [decision.second, decision.first]
        return self._rest()

    def _deliver(self, discard: Discard) -> None:
        """Gives a batch up, once its failure record has been delivered, if there is a destination."""
        crew, count = self._crew, len(discard.batch.records)
        try:
            was_sent = crew.failures.deliver(self._name, discard, self._last_result)
        except DeliveryError as refusal:
            was_sent = False
            crew.observer.delivery_failed(crew.mapping)
            crew.reporter.processed(f"PROBLEM: {refusal}")
            tries = self._tries = self._tries.after(passes=refusal.passes)
            if not tries.is_lost:
                with self._lock:
                    self._wait(backoff_seconds(tries.failures))
                return self._rest()
            log.warning("%s: %d records of %s are dropped: %s", crew.mapping.uuid, count, self._name, refusal)
        (crew.observer.delivered_on_failure if was_sent else crew.observer.dropped)(crew.mapping, count)
        with self._lock:
            self._undelivered, self._tries = None, DeliveryTries()
            self._work.pop()
            if discard.rest is not None:
                self._work.append(discard.rest)
        return self._rest()

    def _wait(self, seconds: float) -> None:
        if seconds > 0 and not self._stopped:
            self._backoff = self._crew.clock.call_later(seconds, self._end_backoff)

    def _rest(self) -> None:
        """The end of a step; the next one begins at once if it is due."""
        with self._lock:
            self._rest_locked()
        self._kick()

    def _rest_locked(self) -> None:
        self._busy = False
        if self._has_slot:
            self._has_slot = False
            self._crew.slots.give_back()
        self._idle.notify_all()
