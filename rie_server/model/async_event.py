"""An asynchronous event on its way. Pure data."""

from dataclasses import dataclass

from rie_server.model.delivery import DeliveryKind
from rie_server.model.event_invoke import EventEnding, EventInvokeConfig
from rie_server.model.event_progress import DeliveryOutcome
from rie_server.model.invocation import InvokeRequest, InvokeResult

ENDED_LANE_PREFIX = "ended "


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedEvent:
    """What is left to do for an event whose function is not run again: to send its records.

    Attributes:
        config: as it was when the event ended; what is changed later concerns later events.
        ended_at: seconds since the epoch.
        tries: how often the deliveries that are not in ``outcomes`` were tried.
        outcomes: the deliveries that were made or given up.
    """

    ending: EventEnding
    config: EventInvokeConfig
    ended_at: float
    tries: int = 0
    outcomes: tuple[DeliveryOutcome, ...] = ()

    def is_over(self, kind: DeliveryKind) -> bool:
        """Whether this record was delivered or given up."""
        return any(outcome.kind is kind for outcome in self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedEvent:
    """An asynchronous event as it lies in the durable queue.

    Attributes:
        attempts: runs that have ended in a function error.
        refusals: how often it was put off, since its last run, because the function could not be run.
        last_result: what the last of these runs answered.
        ended: set once the event has ended and records of it are due.
    """

    request: InvokeRequest
    enqueued_at: float
    attempts: int = 0
    refusals: int = 0
    last_result: InvokeResult | None = None
    ended: EndedEvent | None = None

    @property
    def lane(self) -> str:
        """Events of one lane wait for one another, and lanes are served in turn: one for the runs of each function, and
        one for the records of each.
        """
        function = str(self.request.function.unqualified)
        return function if self.ended is None else ENDED_LANE_PREFIX + function
