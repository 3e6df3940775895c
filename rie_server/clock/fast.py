"""A clock that runs a given number of times faster than real time.

Promises those of the real clock on which it stands, whose thread its timers share. Thread-safe.
"""

from collections.abc import Callable

from rie_server.ports import Clock, Timer


class FastClock:
    """
    Args:
        real: not this clock's to start or to close.
        start_at: what time it is now, in seconds since the epoch.
        speed: seconds of this clock in a real second.
    """

    def __init__(self, real: Clock, *, start_at: float, speed: float) -> None:
        self._real = real
        self._speed = speed
        self._started_at = real.monotonic()
        self._epoch = start_at

    def now(self) -> float:
        return self._epoch + self.monotonic()

    def monotonic(self) -> float:
        return (self._real.monotonic() - self._started_at) * self._speed

    def sleep(self, seconds: float) -> None:
        self._real.sleep(seconds / self._speed)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return self._real.call_later(seconds / self._speed, callback)
