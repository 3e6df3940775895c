"""Where an asynchronous event stands, and what became of it: what a person is shown.

Pure data, and the rules that read it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.delivery import DeliveryKind
from rie_server.model.event_invoke import EndingCondition, EventEnding


class EventState(StrEnum):
    """
    queued: waits for its first attempt.
    in_flight: the function is being run.
    retrying: waits for another attempt, after an error, a throttle or a fault of the server.
    delivering: the function is done with it; its record is on the way to its targets.
    delivered: it has ended: the function has succeeded, or a target has taken the record of its failure.
    dropped: it has ended without success, and nobody has its record.
    """

    QUEUED = "queued"
    IN_FLIGHT = "in_flight"
    RETRYING = "retrying"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    DROPPED = "dropped"

    @property
    def has_ended(self) -> bool:
        return self in (EventState.DELIVERED, EventState.DROPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOutcome:
    """What became of one record.

    Attributes:
        attempts: how often it was sent.
        error: why it was given up; None when the target has it.
    """

    kind: DeliveryKind
    target_arn: str
    attempts: int
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventProgress:
    """One event as it stands now.

    Attributes:
        function: with the qualifier that was invoked.
        attempts, refusals: as in ``QueuedEvent``.
        due_at: when it is tried (again); None while it is in flight and after its end.
        ended_at, ending, outcomes: after its end only.
    """

    request_id: str
    function: FunctionArn
    state: EventState
    enqueued_at: float
    attempts: int
    refusals: int
    due_at: float | None = None
    ended_at: float | None = None
    ending: EventEnding | None = None
    outcomes: tuple[DeliveryOutcome, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events somebody wants to see; what is None does not matter.

    Attributes:
        function: a function's name, in whatever region.
        qualifier: what was invoked of it; ``$LATEST`` also where nothing was said.
    """

    function: str | None = None
    qualifier: str | None = None
    request_id: str | None = None
    state: EventState | None = None

    def takes(self, event: EventProgress) -> bool:
        return (
            self.function in (None, event.function.name)
            and self.qualifier in (None, event.function.qualifier or LATEST)
            and self.request_id in (None, event.request_id)
            and self.state in (None, event.state)
        )


def state_after(ending: EventEnding, outcomes: Sequence[DeliveryOutcome]) -> EventState:
    """What an event that has ended is called."""
    taken = ending.condition is EndingCondition.SUCCESS or any(one.error is None for one in outcomes)
    return EventState.DELIVERED if taken else EventState.DROPPED
