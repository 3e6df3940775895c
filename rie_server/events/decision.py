"""What happens to an asynchronous event after an attempt to run it.

Pure. The worker carries the decision out.
"""

from dataclasses import dataclass

from rie_server.errors import LambdaError, ResourceConflictException, ResourceNotFoundException
from rie_server.model.async_event import QueuedEvent

BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MAXIMUM_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAgainAt:
    """The function could not be run; the event waits."""

    due_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The event has ended; ``dropped`` says why it was given up, None that it was run."""

    dropped: str | None = None


Decision = RunAgainAt | Done


def after_run() -> Decision:
    """The function has run, whatever it answered."""
    return Done()


def after_refusal(event: QueuedEvent, refusal: LambdaError, *, now: float) -> Decision:
    """The function was not run.

    Throttles, functions that are not ready and the server's own faults pass: the event waits, doubling from a second to
    five minutes. A function that is gone, or a request that is wrong, stays so.
    """
    passes = refusal.status == 429 or refusal.status >= 500 or isinstance(refusal, ResourceConflictException)
    if passes:
        return RunAgainAt(due_at=now + backoff_seconds(event.refusals))
    if isinstance(refusal, ResourceNotFoundException):
        return Done(dropped=refusal.message)
    return Done(dropped=f"{refusal.code}: {refusal.message}")


def backoff_seconds(refusals: int) -> float:
    """How long to wait when ``refusals`` attempts were refused before this one."""
    # The exponent is bounded because 2**refusals is no float any more after a week of refusals.
    return min(BACKOFF_FIRST_SECONDS * 2.0 ** min(refusals, 16), BACKOFF_MAXIMUM_SECONDS)
