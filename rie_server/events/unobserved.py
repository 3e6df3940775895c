"""The journal of a server whose events nobody watches. Pure; every method does nothing."""

from collections.abc import Sequence

from rie_server.errors import DeliveryError
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery
from rie_server.model.event_invoke import EventEnding
from rie_server.model.event_progress import DeliveryOutcome


class Unobserved:
    """Fills ``observing.EventJournal``."""

    def received(self, event: QueuedEvent) -> None: ...

    def started(self, event: QueuedEvent) -> None: ...

    def postponed(self, event: QueuedEvent, due_at: float) -> None: ...

    def ending(self, event: QueuedEvent, ending: EventEnding) -> None: ...

    def delivery_failed(self, delivery: Delivery, error: DeliveryError) -> None: ...

    def ended(self, event: QueuedEvent, ending: EventEnding, outcomes: Sequence[DeliveryOutcome]) -> None: ...
