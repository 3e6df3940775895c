"""The system clock: the only module that reads the time, and the thread on which timers fire.

Promises: thread-safe; a timer never fires early; callbacks run one after another on the thread ``clock``, so they must
not block. Adding a timer wakes that thread only when the new one is due first, which keeps the hot path free of it.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class PendingTimer:
    """One pending callback; orders by due time, then by age."""

    __slots__ = ("callback", "due", "order")

    def __init__(self, due: float, order: int, callback: Callable[[], None]) -> None:
        self.due = due
        self.order = order
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: "PendingTimer") -> bool:
        return (self.due, self.order) < (other.due, other.order)


def fire(callback: Callable[[], None]) -> None:
    """Runs a timer's callback; a failing one harms no other."""
    try:
        callback()
    except Exception:
        log.exception("A timer failed")


class SystemClock:
    """Real time. ``start`` begins firing timers, ``close`` ends it and joins the thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._timers: list[PendingTimer] = []
        self._order = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    def start(self) -> None:
        self._thread.start()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> PendingTimer:
        timer = PendingTimer(time.monotonic() + seconds, next(self._order), callback)
        with self._changed:
            heapq.heappush(self._timers, timer)
            if self._timers[0] is timer:
                self._changed.notify()
        return timer

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while (timer := self._next_due()) is not None:
            callback = timer.callback
            if callback is not None:
                fire(callback)

    def _next_due(self) -> PendingTimer | None:
        """Blocks until a timer is due; None once the clock closes."""
        with self._changed:
            while not self._closing:
                if not self._timers:
                    self._changed.wait()
                    continue
                wait_seconds = self._timers[0].due - time.monotonic()
                if wait_seconds <= 0:
                    return heapq.heappop(self._timers)
                self._changed.wait(wait_seconds)
            return None
