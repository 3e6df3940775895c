"""A clock that stands still until somebody moves it.

Promises: thread-safe; timers fire in the order in which they are due, each at its own time, on the thread of whoever
moves the clock; ``advance`` returns after the last of them. Between two moments it waits, in real time, for what the
earlier one has begun: a retry that fails has set its next timer before the clock goes on, so one long move plays
everything that would have happened meanwhile.
"""

import heapq
import itertools
import math
import threading
from collections.abc import Callable

from rie_server.clock.system import PendingTimer, fire
from rie_server.observing import Settling
from rie_server.ports import Clock, Timer

_LOOK_SECONDS = 0.001
# Time goes in steps of about a microsecond that floats of today's date hold exactly. So what is due 60 s from now is
# due when the clock has been moved by 60 s, and not a rounding error later.
_GRAIN_SECONDS = 2.0**-20


class ManualClock:
    """
    Args:
        real: for waiting until work has settled; not this clock's to start or to close.
        start_at: what time it is, in seconds since the epoch, until the first move.
    """

    def __init__(self, real: Clock, *, start_at: float) -> None:
        self._real = real
        self._epoch = _whole_grains(start_at)
        self._elapsed = 0.0
        self._order = itertools.count()
        self._moving = threading.Lock()
        self._workers: list[Settling] = []
        # Guards what follows.
        self._lock = threading.Lock()
        self._timers: list[PendingTimer] = []
        self._sleepers: set[threading.Event] = set()
        self._closed = False

    def now(self) -> float:
        return self._epoch + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        if seconds <= 0:
            return self._real.call_later(0, callback)  # due now, and now may last for ever
        with self._lock:
            timer = PendingTimer(self._elapsed + seconds, next(self._order), callback)
            heapq.heappush(self._timers, timer)
        return timer

    def sleep(self, seconds: float) -> None:
        """Returns when the clock has been moved so far, or is closed."""
        awake = threading.Event()
        with self._lock:
            if self._closed or seconds <= 0:
                return
            self._sleepers.add(awake)
        timer = self.call_later(seconds, awake.set)
        awake.wait()
        timer.cancel()
        with self._lock:
            self._sleepers.discard(awake)

    def wait_for(self, worker: Settling) -> None:
        """From now on ``advance`` lets ``worker`` finish what each moment has begun."""
        self._workers.append(worker)

    def advance(self, seconds: float, *, settle_seconds: float) -> bool | None:
        """Moves the clock on.

        Args:
            settle_seconds: real time, in all, to wait for work that is still going on.

        Returns:
            Whether everything had settled by the time the clock moved past it; None if somebody else is moving it, and
            nothing was done. A clock that is closed meanwhile stops where it is: False.
        """
        if not self._moving.acquire(blocking=False):
            return None
        try:
            until = self._elapsed + _whole_grains(seconds)
            give_up_at = self._real.monotonic() + settle_seconds
            settled = self._settle(give_up_at)
            while not self._closed and (callbacks := self._next_moment(until)):
                for timer in callbacks:
                    if timer.callback is not None:
                        fire(timer.callback)
                settled &= self._settle(give_up_at)
            return settled and not self._closed
        finally:
            self._moving.release()

    def close(self) -> None:
        """Lets every sleeper go, and whoever moves the clock; no timer fires any more."""
        with self._lock:
            self._closed = True
            self._timers.clear()
            sleepers = tuple(self._sleepers)
        for awake in sleepers:
            awake.set()

    def _next_moment(self, until: float) -> list[PendingTimer]:
        """Moves to the next timer and takes all that are due with it; to ``until``, and none, when that is nearer."""
        due: list[PendingTimer] = []
        with self._lock:
            while self._timers and self._timers[0].callback is None:
                heapq.heappop(self._timers)
            if not self._timers or self._timers[0].due > until:
                self._elapsed = until
                return due
            self._elapsed = max(self._elapsed, self._timers[0].due)
            while self._timers and self._timers[0].due <= self._elapsed:
                due.append(heapq.heappop(self._timers))
        return due

    def _settle(self, give_up_at: float) -> bool:
        while not all(worker.is_settled() for worker in self._workers):
            if self._closed or self._real.monotonic() >= give_up_at:
                return False
            self._real.sleep(_LOOK_SECONDS)
        return True


def _whole_grains(seconds: float) -> float:
    """Up, because whoever moves the clock so far wants what is due by then."""
    return math.ceil(seconds / _GRAIN_SECONDS) * _GRAIN_SECONDS
