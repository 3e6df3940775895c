"""Sends the records of events that have ended: to destinations and to dead-letter queues.

Promises: every record is sent until its target has it or it is given up (after five tries over about two minutes, or
at once where the target says that trying again is no use); one that is given up is logged whole. A record may arrive
twice, when the server dies between its delivery and the note of it. A target that is slow or gone holds up nobody
else's records: the threads ``event-delivery`` are shared out by function (``Shares``). Thread-safe.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from rie_server.errors import DeliveryError
from rie_server.events.decision import delivery_wait_seconds
from rie_server.events.shares import Shares
from rie_server.model.async_event import EndedEvent, QueuedEvent
from rie_server.model.delivery import Delivery
from rie_server.model.event_invoke import EventEnding, EventInvokeConfig
from rie_server.model.event_progress import DeliveryOutcome
from rie_server.observing import EventJournal
from rie_server.ports import Clock, Destinations

log = logging.getLogger(__name__)

DELIVERY_THREADS = 16


class DeliveryRule(Protocol):
    """Which records an ending makes (``model.destination_record.deliveries``)."""

    def __call__(
        self, event: QueuedEvent, ending: EventEnding, config: EventInvokeConfig, *, now: float
    ) -> Sequence[Delivery]: ...


class Courier:
    """``close`` it after its last ``send``."""

    def __init__(
        self,
        *,
        destinations: Destinations,
        rule: DeliveryRule,
        journal: EventJournal,
        clock: Clock,
        threads: int = DELIVERY_THREADS,
    ) -> None:
        self._destinations = destinations
        self._rule = rule
        self._journal = journal
        self._clock = clock
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="event-delivery")
        self._lock = threading.Lock()
        self._shares = Shares(threads)

    def reserve(self, lane: str) -> bool:
        """Takes a thread for one ``send``, if the lane may have one; ``send`` or ``cancel`` gives it back."""
        with self._lock:
            may = self._shares.may_take(lane)
            if may:
                self._shares.take(lane)
            return may

    def allot(self, lanes: Sequence[str]) -> dict[str, int]:
        """How many threads each lane may have now."""
        with self._lock:
            return self._shares.allot(lanes)

    def cancel(self, lane: str) -> None:
        with self._lock:
            self._shares.give_back(lane)

    def send(self, event: QueuedEvent, on_round: Callable[[QueuedEvent, float | None], None]) -> None:
        """Tries every record that is due once, on a reserved thread; returns at once.

        Args:
            on_round: gets the event as it stands then, and when to try the rest; None when nothing is left. Called
                from the delivery's thread, which is free again by then.
        """
        try:
            self._threads.submit(self._send, event, on_round)
        except RuntimeError:
            # Closed: the event keeps its claim, and the next server sends the records.
            self.cancel(event.lane)

    def close(self) -> None:
        """Waits for the deliveries that are being made. Idempotent."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _send(self, event: QueuedEvent, on_round: Callable[[QueuedEvent, float | None], None]) -> None:
        ended = event.ended
        if ended is None:
            raise ValueError("an event that has not ended has no records")
        tries = ended.tries + 1
        try:
            outcomes, is_left = self._round(event, ended, tries)
        except Exception:
            log.exception("Event %s: its records cannot be made", event.request.request_id)
            outcomes, is_left = ended.outcomes, delivery_wait_seconds(tries) is not None
        after = replace(event, ended=replace(ended, tries=tries, outcomes=outcomes))
        due_at = self._clock.now() + (delivery_wait_seconds(tries) or 0.0) if is_left else None
        self.cancel(event.lane)
        on_round(after, due_at)

    def _round(self, event: QueuedEvent, ended: EndedEvent, tries: int) -> tuple[tuple[DeliveryOutcome, ...], bool]:
        """Sends every record that is due; returns what is over by now, and whether anything is left."""
        is_last = delivery_wait_seconds(tries) is None
        outcomes, is_left = list(ended.outcomes), False
        for delivery in self._records(event, ended):
            error = self._deliver(delivery)
            if error is not None and error.passes and not is_last:
                is_left = True
                continue
            if error is not None:
                _log_given_up(delivery, error, tries)
            outcomes.append(_outcome(delivery, tries, error))
        return tuple(outcomes), is_left

    def _records(self, event: QueuedEvent, ended: EndedEvent) -> Sequence[Delivery]:
        every = self._rule(event, ended.ending, ended.config, now=ended.ended_at)
        return [delivery for delivery in every if not ended.is_over(delivery.kind)]

    def _deliver(self, delivery: Delivery) -> DeliveryError | None:
        try:
            self._destinations.deliver(delivery)
        except DeliveryError as failure:
            error = failure
        except Exception as fault:
            log.exception("Event %s: delivering to %s has failed", delivery.request_id, delivery.target_arn)
            error = DeliveryError(f"{type(fault).__name__}: {fault}", passes=True)
        else:
            return None
        self._journal.delivery_failed(delivery, error)
        return error


def _outcome(delivery: Delivery, tries: int, error: DeliveryError | None) -> DeliveryOutcome:
    return DeliveryOutcome(
        kind=delivery.kind,
        target_arn=delivery.target_arn,
        attempts=tries,
        error=None if error is None else str(error),
    )


def _log_given_up(delivery: Delivery, error: DeliveryError, tries: int) -> None:
    log.error(
        "Event %s: its %s record for %s is given up after %d tries: %s; the record: %s",
        delivery.request_id,
        delivery.kind.value,
        delivery.target_arn,
        tries,
        error,
        delivery.body.decode(errors="replace"),
    )
