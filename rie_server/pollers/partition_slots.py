"""How many partitions of a mapping are worked on at a time: ProvisionedPollerConfig's MaximumPollers, or all of them.

A poller of AWS's works on one batch at a time; here a partition without a batch costs nothing, so MinimumPollers has
nothing to bound. Thread-safe.
"""

import threading
from collections import deque
from collections.abc import Callable

from rie_server.model.event_source import EventSourceMapping


def most_at_a_time(mapping: EventSourceMapping) -> int | None:
    wanted = (mapping.members.get("ProvisionedPollerConfig") or {}).get("MaximumPollers")
    return None if wanted is None else int(wanted)


class PartitionSlots:
    """
    Args:
        most: None for no bound.
    """

    def __init__(self, most: int | None) -> None:
        self._lock = threading.Lock()
        self._free = most
        self._queue: deque[Callable[[], None]] = deque()

    def take(self, on_slot: Callable[[], None]) -> bool:
        """True with a slot; otherwise ``on_slot`` is called when one comes free, in turn. It must not block."""
        with self._lock:
            if self._free is None:
                return True
            if self._free > 0:
                self._free -= 1
                return True
            self._queue.append(on_slot)
            return False

    def give_back(self) -> None:
        with self._lock:
            if self._free is None:
                return
            following = self._queue.popleft() if self._queue else None
            if following is None:
                self._free += 1
        if following is not None:
            following()
