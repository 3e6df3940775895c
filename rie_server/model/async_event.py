"""An asynchronous event on its way. Pure data."""

from dataclasses import dataclass

from rie_server.model.invocation import InvokeRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedEvent:
    """An asynchronous event as it lies in the durable queue.

    Attributes:
        attempts: runs that have ended in a function error.
        refusals: how often it was put off because the function could not be run.
    """

    request: InvokeRequest
    enqueued_at: float
    attempts: int = 0
    refusals: int = 0
