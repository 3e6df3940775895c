"""Deletes messages from their source: many at a time, beside receiving and running, again where that failed.

Promises: what is added is tried several times while its source holds it; what cannot be deleted is said in the log and
comes again. ``add`` never blocks. Thread-safe.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from rie_server.errors import SourceError
from rie_server.model.event_source import SourceRecord
from rie_server.pollers.queue_context import QueueContext
from rie_server.pollers.queue_rules import CallTimes

log = logging.getLogger(__name__)

TRIES = 6
RETRY_SECONDS = 0.25


class Acknowledger:
    """
    Args:
        pool: ``rules.acknowledge_threads`` of its threads may be busy with calls.
        on_change: called when messages have left, without a lock; must not block.
    """

    def __init__(self, context: QueueContext, *, pool: Executor, on_change: Callable[[], None]) -> None:
        self._source = context.source
        self._most = context.rules.acknowledge_most
        self._threads = context.rules.acknowledge_threads
        self._pool = pool
        self._real = context.real
        self._on_change = on_change
        self._deleted = partial(context.observer.deleted, context.mapping)
        self._lock = threading.Lock()
        # Messages with how often each was tried.
        self._waiting: deque[tuple[SourceRecord, int]] = deque()
        self._pending = 0
        self._busy = 0
        self._times = CallTimes()

    @property
    def pending(self) -> int:
        """Messages that were added and are neither deleted nor given up."""
        return self._pending

    def add(self, records: Sequence[SourceRecord]) -> None:
        if records:
            with self._lock:
                self._pending += len(records)
            self._queue([(record, 0) for record in records])

    def _queue(self, entries: Sequence[tuple[SourceRecord, int]]) -> None:
        with self._lock:
            self._waiting.extend(entries)
            # One thread takes what has gathered while it was busy; more of them only where there are calls for each.
            calls = -(-len(self._waiting) // self._most)
            wanted = min(calls, self._times.threads(self._threads))
            more = max(wanted - self._busy, 0)
            self._busy += more
        for _ in range(more):
            self._pool.submit(self._work)

    def _work(self) -> None:
        while entries := self._next():
            left = self._delete(entries)
            with self._lock:
                self._pending -= len(entries) - left
            self._on_change()

    def _next(self) -> Sequence[tuple[SourceRecord, int]]:
        with self._lock:
            entries = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            if not entries:
                self._busy -= 1
            return entries

    def _delete(self, entries: Sequence[tuple[SourceRecord, int]]) -> int:
        """Returns how many are tried again."""
        records = [record for record, _ in entries]
        began = self._real.monotonic()
        reason = "the source kept them"
        try:
            refused = {id(record) for record in self._source.acknowledge(records)}
        except SourceError as trouble:
            refused, reason = {id(record) for record in records}, str(trouble)
        except Exception as defect:
            log.exception("Messages could not be deleted")
            refused, reason = {id(record) for record in records}, repr(defect)
        self._times.took(self._real.monotonic() - began)
        if len(refused) < len(records):
            self._deleted(len(records) - len(refused))
        if not refused:
            return 0
        again = [(record, tries + 1) for record, tries in entries if id(record) in refused and tries + 1 < TRIES]
        if lost := len(refused) - len(again):
            log.warning("%d messages were processed and cannot be deleted; they may come again: %s", lost, reason)
        if again:
            pause = RETRY_SECONDS * 2 ** max(tries - 1 for _, tries in again)
            self._real.call_later(pause, partial(self._queue, again))
        return len(again)
