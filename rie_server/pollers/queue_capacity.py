"""How many batches may be with the function, and who waits to receive for the next one.

Promises: never more batches than ``Scaling`` allows; nobody receives messages that nobody could run. Thread-safe.
"""

import threading
from collections.abc import Callable

from rie_server.pollers.queue_rules import QueueRules, Scaling
from rie_server.ports import Clock

# How often somebody who waits looks whether the limit has grown meanwhile.
_LOOK_SECONDS = 0.5


class QueueCapacity:
    """
    Args:
        real: scaling goes by real time.
        is_congested: whether receiving must wait for something else (messages that are to be deleted).
    """

    def __init__(self, rules: QueueRules, real: Clock, is_congested: Callable[[], bool]) -> None:
        self._real = real
        self._is_congested = is_congested
        self._changed = threading.Condition()
        self._scaling = Scaling(rules)
        self._ahead = rules.batches_ahead
        self._receiving = 0
        self._running = 0
        self._stopped = False

    @property
    def running(self) -> int:
        """Batches that were begun and are not over."""
        return self._running

    def await_receive(self) -> bool:
        """Blocks until there is room for what is received next; False once ``stop`` was called. Pair with
        ``received``.
        """
        with self._changed:
            while not self._stopped:
                if self._running + self._receiving < self._limit() + self._ahead and not self._is_congested():
                    self._receiving += 1
                    return True
                self._changed.wait(_LOOK_SECONDS)
            return False

    def received(self, *, is_empty: bool, is_full: bool) -> None:
        with self._changed:
            self._receiving -= 1
            if is_full:
                self._scaling.messages_wait(self._real.monotonic())
            elif is_empty and not self._running:
                self._scaling.queue_is_empty()
            self._changed.notify_all()

    def throttled(self) -> None:
        with self._changed:
            self._scaling.throttled(self._real.monotonic())

    def begin(self) -> bool:
        """Takes the place of one batch; False where there is none."""
        with self._changed:
            if self._running >= self._limit():
                return False
            self._running += 1
            return True

    def end(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def look(self) -> None:
        """Something changed that ``is_congested`` or somebody in ``wait_until`` asks for."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], timeout_seconds: float) -> bool:
        """Blocks until ``condition``, which is asked again when something has changed here."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_seconds)

    def _limit(self) -> int:
        return self._scaling.limit(self._real.monotonic())
