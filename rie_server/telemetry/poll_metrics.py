"""Counts what pollers do, under the names of AWS's event source mapping metrics; ``exposition`` writes it.

Fills ``polling.PollObserver``. Thread-safe; every call is one short lock and an addition. Counters begin at nought with
the server, and end with their mapping.
"""

import threading
from collections.abc import Callable, Mapping, Sequence

from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping
from rie_server.telemetry.counts import PollCounts


class PollMetrics:
    """
    Args:
        on_delivery_failed: counts for a function what AWS does not count by mapping.
    """

    def __init__(self, on_delivery_failed: Callable[[FunctionArn], None] = lambda _function: None) -> None:
        self._on_delivery_failed = on_delivery_failed
        self._lock = threading.Lock()
        self._mappings: dict[str, PollCounts] = {}

    def polled(self, mapping: EventSourceMapping, count: int) -> None:
        with self._lock:
            self._of(mapping).polled += count

    def filtered_out(self, mapping: EventSourceMapping, count: int) -> None:
        with self._lock:
            self._of(mapping).filtered_out += count

    def invoked(self, mapping: EventSourceMapping, count: int) -> None:
        with self._lock:
            self._of(mapping).invoked += count

    def failed_invoke(self, mapping: EventSourceMapping, count: int) -> None:
        with self._lock:
            self._of(mapping).failed_invoke += count

    def deleted(self, mapping: EventSourceMapping, count: int) -> None:
        with self._lock:
            self._of(mapping).deleted += count

    def delivered_on_failure(self, mapping: EventSourceMapping, count: int) -> None:
        with self._lock:
            self._of(mapping).delivered_on_failure += count

    def delivery_failed(self, mapping: EventSourceMapping) -> None:
        self._on_delivery_failed(mapping.function)

    def dropped(self, mapping: EventSourceMapping, count: int) -> None:
        with self._lock:
            self._of(mapping).dropped += count

    def iterator_age(self, mapping: EventSourceMapping, age_ms: float) -> None:
        with self._lock:
            self._of(mapping).iterator_age.observe(age_ms)

    # --- looking ------------------------------------------------------------------------------------------------------

    def forget(self, uuid: str) -> None:
        """The mapping has been deleted."""
        with self._lock:
            self._mappings.pop(uuid, None)

    def snapshot(self) -> Sequence[PollCounts]:
        """Copies of all counts, by UUID."""
        with self._lock:
            return [self._mappings[uuid].copy() for uuid in sorted(self._mappings)]

    def numbers(self, uuid: str) -> Mapping[str, int]:
        """The counts of one mapping by their names; nought where nothing was counted yet."""
        with self._lock:
            counts = self._mappings.get(uuid)
            return {name: 0 if counts is None else getattr(counts, name) for name in PollCounts.NUMBERS}

    def _of(self, mapping: EventSourceMapping) -> PollCounts:
        counts = self._mappings.get(mapping.uuid)
        if counts is None:
            counts = self._mappings[mapping.uuid] = PollCounts(mapping.uuid, mapping.function)
        counts.function = mapping.function
        return counts
