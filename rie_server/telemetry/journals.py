"""One event journal that tells several. Fills ``observing.EventJournal``; thread-safe if they are."""

from collections.abc import Sequence

from rie_server.errors import DeliveryError
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery
from rie_server.model.event_invoke import EventEnding
from rie_server.model.event_progress import DeliveryOutcome
from rie_server.observing import EventJournal


class EventJournals:
    """Told in the order in which they are given: whoever answers people comes last, so that the others know already."""

    def __init__(self, *journals: EventJournal) -> None:
        self._journals = journals

    def received(self, event: QueuedEvent) -> None:
        for journal in self._journals:
            journal.received(event)

    def started(self, event: QueuedEvent) -> None:
        for journal in self._journals:
            journal.started(event)

    def postponed(self, event: QueuedEvent, due_at: float) -> None:
        for journal in self._journals:
            journal.postponed(event, due_at)

    def ending(self, event: QueuedEvent, ending: EventEnding) -> None:
        for journal in self._journals:
            journal.ending(event, ending)

    def delivery_failed(self, delivery: Delivery, error: DeliveryError) -> None:
        for journal in self._journals:
            journal.delivery_failed(delivery, error)

    def ended(self, event: QueuedEvent, ending: EventEnding, outcomes: Sequence[DeliveryOutcome]) -> None:
        for journal in self._journals:
            journal.ended(event, ending, outcomes)
