"""The batching window: from a batch's first message until it must go, full or not.

It goes by the server's time. A batch that would be held until its queue takes the messages back goes earlier, by real
time: the queue does not wait for a clock that stands still. Not thread-safe: its owner holds a lock, but not for
``over``, which is called on a clock's thread.
"""

import math
from collections.abc import Callable

from rie_server.ports import Clock, Timer

# What is left of the hold for the function: half of it, at most so much.
RESERVED_SECONDS = 10.0


class BatchingWindow:
    def __init__(self, seconds: float, *, clock: Clock, real: Clock, over: Callable[[], None]) -> None:
        """
        Args:
            over: called when the window has ended by itself; must not block.
        """
        self._seconds = seconds
        self._clock = clock
        self._real = real
        self._over = over
        self._timers: list[Timer] = []
        self.is_over = seconds <= 0

    def open(self, held_until: float | None) -> None:
        """Begins with the first message, if it has not begun.

        Args:
            held_until: when the first message is taken back, by the real monotonic clock; None where there is none.
        """
        if held_until is None or self.is_over or self._timers:
            return
        self._timers.append(self._clock.call_later(self._seconds, self._end))
        if math.isfinite(held_until):
            left = max(held_until - self._real.monotonic(), 0.0)
            self._timers.append(self._real.call_later(left - min(left / 2, RESERVED_SECONDS), self._end))

    def close(self) -> None:
        """A batch has gone."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.is_over = self._seconds <= 0

    def close_for_good(self) -> None:
        """From now on everything goes at once."""
        self._seconds = 0.0
        self.close()

    def _end(self) -> None:
        if self._timers:  # else a batch went at the same moment, and this was its window
            self.is_over = True
            self._over()
