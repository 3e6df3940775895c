"""The threads that receive: one listens while the queue is empty, more join it while messages wait.

Promises: a source in trouble is asked again with a backoff, never in a spin, and its trouble is reported once; an end
of the last thread is an error that is logged and survived. Thread-safe.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from rie_server.errors import SourceError
from rie_server.model.event_source import SourceRecord
from rie_server.pollers.queue_capacity import QueueCapacity
from rie_server.pollers.queue_context import QueueContext
from rie_server.pollers.queue_rules import CallTimes

log = logging.getLogger(__name__)

BACKOFF_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 60.0
# Another thread joins at most so often: a burst that one thread swallows needs no second one.
JOIN_SECONDS = 0.25

# Takes what was received. Called from the threads.
TakeIn = Callable[[Sequence[SourceRecord]], None]


class QueueReceivers:
    """``start``, ``stop``, ``join``."""

    def __init__(self, context: QueueContext, *, capacity: QueueCapacity, take_in: TakeIn) -> None:
        self._mapping = mapping = context.mapping
        self._source = context.source
        self._rules = rules = context.rules
        self._capacity = capacity
        self._reporter = context.reporter
        self._real = context.real
        self._take_in = take_in
        self._most = min(rules.receive_most, mapping.batch_size)
        self._stopping = threading.Event()
        # Guards what follows.
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._ended: list[threading.Thread] = []
        self._named = 0
        self._busy = 0
        self._times = CallTimes()
        self._joined_at = 0.0
        self._trouble: str | None = None

    @property
    def count(self) -> int:
        return len(self._threads)

    @property
    def busy(self) -> int:
        """Threads that have received something and are handing it on."""
        return self._busy

    def start(self) -> None:
        for _ in range(self._rules.receivers_least):
            self._add_thread(self._rules.receivers_least)

    def stop(self) -> None:
        self._stopping.set()
        self._rules.interrupt()

    def join(self, timeout_seconds: float) -> bool:
        give_up_at = self._real.monotonic() + timeout_seconds
        with self._lock:
            threads = (*self._threads, *self._ended)
        for thread in threads:
            thread.join(max(give_up_at - self._real.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in threads)

    # --- threads ------------------------------------------------------------------------------------------------------

    def _add_thread(self, most: int) -> None:
        with self._lock:
            if len(self._threads) >= most or self._stopping.is_set():
                return
            for thread in self._ended:
                thread.join()  # they have nothing left to do
            self._ended.clear()
            self._named += 1
            name = f"receive-{self._mapping.uuid[:8]}-{self._named}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads.add(thread)
            # Started with the lock held, so that it cannot end before it is known.
            thread.start()

    def _run(self) -> None:
        failures = 0
        while self._capacity.await_receive():
            try:
                count = self._receive()
            except Exception as trouble:
                failures += 1
                if self._leave():
                    return
                self._pause(trouble, failures)
                continue
            failures = 0
            if count >= self._most:
                self._ask_for_more()
            elif count == 0 and self._leave():
                return
        self._leave(at_end=True)

    def _receive(self) -> int:
        records: Sequence[SourceRecord] = ()
        is_empty = False
        began = self._real.monotonic()
        try:
            records = self._source.receive(self._most, self._rules.long_poll_seconds)
            self._times.took(self._real.monotonic() - began)
            is_empty = not records
        finally:
            self._capacity.received(is_empty=is_empty, is_full=len(records) >= self._most)
        self._is_well()
        if records:
            self._hand_on(records)
        return len(records)

    def _hand_on(self, records: Sequence[SourceRecord]) -> None:
        with self._lock:
            self._busy += 1
        try:
            self._take_in(records)
        finally:
            with self._lock:
                self._busy -= 1

    def _ask_for_more(self) -> None:
        now = self._real.monotonic()
        most = self._times.threads(self._rules.receivers_most)
        with self._lock:
            if now - self._joined_at < JOIN_SECONDS or len(self._threads) >= most:
                return
            self._joined_at = now
        self._add_thread(most)

    def _leave(self, *, at_end: bool = False) -> bool:
        """Whether this thread ends: there are more than an empty or broken queue needs."""
        with self._lock:
            if not at_end and len(self._threads) <= self._rules.receivers_least:
                return False
            thread = threading.current_thread()
            self._threads.discard(thread)
            self._ended.append(thread)
            return True

    # --- trouble ------------------------------------------------------------------------------------------------------

    def _pause(self, trouble: Exception, failures: int) -> None:
        if self._stopping.is_set():
            return
        passes = isinstance(trouble, SourceError) and trouble.passes
        seconds = min(BACKOFF_SECONDS * 2 ** min(failures - 1, 10), BACKOFF_MOST_SECONDS)
        text = str(trouble) if isinstance(trouble, SourceError) else repr(trouble)
        # Each time: batches that end meanwhile say OK in between.
        self._reporter.processed(f"PROBLEM: {text}")
        if text != self._trouble:
            self._trouble = text
            again = "it is tried again" if passes else "it is tried again, but somebody should look"
            source = self._mapping.source_arn or self._mapping.uuid
            log.warning("%s cannot be received from: %s; %s", source, text, again, exc_info=_defect(trouble))
        timer = self._real.call_later(seconds, self._capacity.look)
        give_up_at = self._real.monotonic() + seconds
        self._capacity.wait_until(lambda: self._stopping.is_set() or self._real.monotonic() >= give_up_at, seconds)
        timer.cancel()

    def _is_well(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            self._reporter.processed("No records processed")
            log.info("%s answers again", self._mapping.source_arn or self._mapping.uuid)


def _defect(trouble: Exception) -> Exception | None:
    """What has a traceback in the log: anything that no source may raise."""
    return None if isinstance(trouble, SourceError) else trouble
