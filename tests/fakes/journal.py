"""An event journal that writes down what it is told."""

from collections.abc import Sequence

from rie_server.errors import DeliveryError
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery
from rie_server.model.event_invoke import EventEnding
from rie_server.model.event_progress import DeliveryOutcome


class RecordingJournal:
    """Fills ``observing.EventJournal``.

    Attributes:
        calls: what was told of events, in order: the method's name and the request id.
        endings: by request id.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.endings: dict[str, tuple[EventEnding, tuple[DeliveryOutcome, ...]]] = {}
        self.failed_deliveries: list[tuple[Delivery, DeliveryError]] = []

    def received(self, event: QueuedEvent) -> None:
        self.calls.append(("received", event.request.request_id))

    def started(self, event: QueuedEvent) -> None:
        self.calls.append(("started", event.request.request_id))

    def postponed(self, event: QueuedEvent, due_at: float) -> None:
        self.calls.append(("postponed", event.request.request_id))

    def ending(self, event: QueuedEvent, ending: EventEnding) -> None:
        self.calls.append(("ending", event.request.request_id))

    def delivery_failed(self, delivery: Delivery, error: DeliveryError) -> None:
        self.failed_deliveries.append((delivery, error))

    def ended(self, event: QueuedEvent, ending: EventEnding, outcomes: Sequence[DeliveryOutcome]) -> None:
        self.calls.append(("ended", event.request.request_id))
        self.endings[event.request.request_id] = ending, tuple(outcomes)
