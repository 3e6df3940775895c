"""Counts what happens, under the names of CloudWatch's namespace AWS/Lambda; ``exposition`` writes it for Prometheus.

Fills ``observing.InvocationObserver`` and ``observing.EventJournal``. Thread-safe; on the road of an invocation it
costs one short lock and a few additions. Counters begin at nought with the server, as Prometheus expects.
"""

import threading
from collections.abc import Mapping, Sequence

from rie_server.errors import DeliveryError
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.event_invoke import EndingCondition, EventEnding
from rie_server.model.event_progress import DeliveryOutcome
from rie_server.observing import ConcurrencyCounts, ProvisionedCounts
from rie_server.ports import Clock
from rie_server.telemetry.counts import FunctionCounts
from rie_server.telemetry.poll_metrics import PollMetrics


class Metrics:
    """
    Args:
        clock: the one that dates events.

    Attributes:
        polls: counts what pollers do.
    """

    def __init__(self, *, clock: Clock) -> None:
        self.polls = PollMetrics(self._destination_failed)
        self._clock = clock
        self._lock = threading.Lock()
        self._functions: dict[FunctionArn, FunctionCounts] = {}

    # --- invocations --------------------------------------------------------------------------------------------------

    def invocation_ended(
        self, function: FunctionArn, *, duration_ms: float, failed: bool, provisioned: bool | None = None
    ) -> None:
        with self._lock:
            counts = self._functions.get(function) or self._new(function)
            counts.duration.observe(duration_ms)
            if failed:
                counts.errors += 1
            if provisioned is not None:
                counts.provisioned += provisioned
                counts.spilled_over += not provisioned

    def invocation_throttled(self, function: FunctionArn) -> None:
        with self._lock:
            self._of(function).throttles += 1

    # --- asynchronous events ------------------------------------------------------------------------------------------

    def received(self, event: QueuedEvent) -> None:
        with self._lock:
            self._of(event.request.function).received += 1

    def started(self, event: QueuedEvent) -> None:
        age_ms = max(0.0, self._clock.now() - event.enqueued_at) * 1000
        with self._lock:
            self._of(event.request.function).age.observe(age_ms)

    def postponed(self, event: QueuedEvent, due_at: float) -> None: ...

    def ending(self, event: QueuedEvent, ending: EventEnding) -> None: ...

    def delivery_failed(self, delivery: Delivery, error: DeliveryError) -> None:
        del error
        if delivery.kind is not DeliveryKind.DEAD_LETTER:
            self._destination_failed(delivery.function)
            return
        with self._lock:
            self._of(_as_invoked(delivery.function)).dead_letter_errors += 1

    def _destination_failed(self, function: FunctionArn) -> None:
        with self._lock:
            self._of(_as_invoked(function)).destination_failures += 1

    def ended(self, event: QueuedEvent, ending: EventEnding, outcomes: Sequence[DeliveryOutcome]) -> None:
        """AWS counts as dropped what was never run successfully, also when its record was delivered."""
        del outcomes
        if ending.condition is not EndingCondition.SUCCESS:
            with self._lock:
                self._of(event.request.function).dropped += 1

    # --- looking ------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Mapping[FunctionArn, FunctionCounts]:
        """Copies of all counts, by function and qualifier."""
        with self._lock:
            copies = {function: FunctionCounts() for function in self._functions}
            for function, counts in self._functions.items():
                copies[function].add(counts)
        return copies

    def expose(self, concurrency: ConcurrencyCounts, provisioned: ProvisionedCounts, accept: str) -> tuple[str, bytes]:
        """All metrics as Prometheus reads them: content type and text, in the format that ``accept`` prefers."""
        from rie_server.telemetry.exposition import exposition  # noqa: PLC0415 - only who scrapes needs the library

        return exposition(self.snapshot(), concurrency, provisioned, accept, self.polls.snapshot())

    def _of(self, function: FunctionArn) -> FunctionCounts:
        return self._functions.get(function) or self._new(function)

    def _new(self, function: FunctionArn) -> FunctionCounts:
        counts = self._functions[function] = FunctionCounts()
        return counts


def _as_invoked(function: FunctionArn) -> FunctionArn:
    """Records name $LATEST; whoever invoked without a qualifier did not."""
    return function.unqualified if function.qualifier == LATEST else function
