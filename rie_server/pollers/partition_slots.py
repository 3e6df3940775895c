"""How many partitions of a mapping are worked on at a time: all of them, or as ProvisionedPollerConfig says.

A poller of AWS's works on one batch at a time. There are MinimumPollers of them; while partitions wait for one another
joins every second, up to MaximumPollers, and when there is nothing left to do those are gone again. AWS does not tell
how fast it scales. Thread-safe.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from rie_server.model.event_source import EventSourceMapping
from rie_server.ports import Clock, Timer

JOIN_SECONDS = 1.0
"""Real time."""


class PollerBounds(NamedTuple):
    least: int
    most: int


def poller_bounds(mapping: EventSourceMapping) -> PollerBounds | None:
    """None where nothing is provisioned."""
    wanted = mapping.members.get("ProvisionedPollerConfig")
    return PollerBounds(int(wanted["MinimumPollers"]), int(wanted["MaximumPollers"])) if wanted else None


class PartitionSlots:
    """
    Args:
        bounds: None for as many as there are partitions.
        real: scaling goes by real time.
    """

    def __init__(self, bounds: PollerBounds | None, real: Clock) -> None:
        self._bounds = bounds
        self._real = real
        # Guards what follows.
        self._lock = threading.Lock()
        self._pollers = 0 if bounds is None else bounds.least
        self._busy = 0
        self._queue: deque[Callable[[], None]] = deque()
        self._join: Timer | None = None

    @property
    def pollers(self) -> int | None:
        """How many there are now; None without a bound."""
        return None if self._bounds is None else self._pollers

    def take(self, on_slot: Callable[[], None]) -> bool:
        """True with a slot; otherwise ``on_slot`` is called when one comes free, in turn. It must not block."""
        if self._bounds is None:
            return True
        with self._lock:
            if self._busy < self._pollers:
                self._busy += 1
                return True
            self._queue.append(on_slot)
            self._watch(self._bounds)
            return False

    def give_back(self) -> None:
        if self._bounds is None:
            return
        with self._lock:
            following = self._queue.popleft() if self._queue else None
            if following is None:
                self._busy -= 1
                if not self._busy:
                    self._pollers = self._bounds.least
        if following is not None:
            following()

    def _watch(self, bounds: PollerBounds) -> None:
        if self._join is None and self._pollers < bounds.most:
            self._join = self._real.call_later(JOIN_SECONDS, lambda: self._one_more(bounds))

    def _one_more(self, bounds: PollerBounds) -> None:
        with self._lock:
            self._join = None
            if not self._queue:
                return
            self._pollers += 1
            self._busy += 1
            following = self._queue.popleft()
            if self._queue:
                self._watch(bounds)
        following()
