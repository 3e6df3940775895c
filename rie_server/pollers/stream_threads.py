"""The threads of a stream's poller, however many shards it has, and how much is in flight on them. Thread-safe.

Reads wait for the stream, deliveries for a destination, and neither keeps the other, or the work in between, waiting.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger(__name__)

READERS = 4
WORKERS = 2
COURIERS = 2

Work = Callable[[], None]


class StreamThreads:
    """
    Attributes:
        stopping: set by ``stop``: nothing new is to be begun.
    """

    def __init__(self, name: str) -> None:
        self.stopping = threading.Event()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix=f"stream-read-{name}")
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix=f"stream-work-{name}")
        self._couriers = ThreadPoolExecutor(COURIERS, thread_name_prefix=f"stream-send-{name}")
        # Guards what follows; notified when it becomes less.
        self._changed = threading.Condition()
        self._in_flight = 0
        self._reading = 0

    @property
    def in_flight(self) -> int:
        """Everything that goes on without the clock or the stream."""
        return self._in_flight

    def begin(self) -> None:
        """Something is in flight until ``end``: an invocation, for example."""
        with self._changed:
            self._in_flight += 1

    def end(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def run(self, work: Work) -> None:
        """Runs ``work`` soon; it counts as in flight from now on."""
        self._submit(self._workers, work)

    def deliver(self, work: Work) -> None:
        """The same for what waits for a destination."""
        self._submit(self._couriers, work)

    def read(self, work: Work) -> None:
        """The same for what waits for the stream; does not count as in flight, but as reading."""
        with self._changed:
            self._reading += 1
        try:
            self._readers.submit(self._carry_out, work, self._end_reading)
        except RuntimeError:
            self._end_reading()

    def stop(self) -> None:
        self.stopping.set()

    def wait_idle(self, seconds: float) -> bool:
        """Whether nothing is in flight and nobody reads, within ``seconds``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._in_flight and not self._reading, max(0.0, seconds))

    def close(self) -> None:
        """Joins the threads."""
        for pool in (self._readers, self._workers, self._couriers):
            pool.shutdown()

    def _submit(self, pool: ThreadPoolExecutor, work: Work) -> None:
        self.begin()
        try:
            pool.submit(self._carry_out, work, self.end)
        except RuntimeError:  # closed: what it was about comes again after a restart
            self.end()

    def _end_reading(self) -> None:
        with self._changed:
            self._reading -= 1
            self._changed.notify_all()

    @staticmethod
    def _carry_out(work: Work, end: Work) -> None:
        try:
            work()
        except Exception:
            log.exception("A poller's work has failed")
        finally:
            end()
