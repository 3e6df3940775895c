"""What happens to an asynchronous event after an attempt to run it or to deliver its records.

Pure, and free of chance. The worker carries the decision out.

- A function error uses up an attempt. The next one comes after the base time, the one after that after twice the base
  (AWS: about one and two minutes).
- A throttle, a function that is not ready and a fault of the server use up none: the event waits, from one second on
  and doubling to five minutes.
- The maximum age is looked at when an attempt is scheduled: an event that would be too old by then ends at once. One
  that is run is never cut short, and one that has lain in the queue of a stopped server is tried once.
- Whatever would stay as it is (a deleted function, no concurrency at all, a loop) ends the event.
"""

from dataclasses import dataclass, replace

from rie_server.errors import (
    LambdaError,
    RecursiveInvocationException,
    ResourceConflictException,
    ZeroReservedConcurrencyException,
)
from rie_server.model.async_event import QueuedEvent
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.invocation import InvokeResult

BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MAXIMUM_SECONDS = 300.0
# AWS's words, with AWS's slip.
ZERO_CONCURRENCY_MESSAGE = "Function not invoked. Function isconfigured with zero reserved concurrent executions"

# Between the tries to deliver a record: five tries in about two minutes.
DELIVERY_WAITS_SECONDS = (1.0, 5.0, 25.0, 90.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAgainAt:
    """The event waits; ``event`` has the new counts."""

    event: QueuedEvent
    due_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The function is not run (again); the records of ``ending`` are due."""

    ending: EventEnding


Decision = RunAgainAt | Ended


def after_run(
    event: QueuedEvent, result: InvokeResult, config: EventInvokeConfig, *, now: float, retry_base_seconds: float
) -> Decision:
    """The function has run."""
    if result.function_error is None:
        # AWS counts 1 here however many attempts it took.
        return Ended(ending=_ending_of_run(EndingCondition.SUCCESS, result, invoke_count=1))
    attempts = event.attempts + 1
    if attempts > config.maximum_retry_attempts:
        return Ended(ending=_ending_of_run(EndingCondition.RETRIES_EXHAUSTED, result, invoke_count=attempts))
    due_at = now + retry_base_seconds * 2.0 ** (attempts - 1)
    if _too_old(event, config, due_at):
        return Ended(ending=_ending_of_run(EndingCondition.EVENT_AGE_EXCEEDED, result, invoke_count=attempts))
    return RunAgainAt(event=replace(event, attempts=attempts, refusals=0, last_result=result), due_at=due_at)


def after_refusal(event: QueuedEvent, refusal: LambdaError, config: EventInvokeConfig, *, now: float) -> Decision:
    """The function was not run."""
    if isinstance(refusal, ZeroReservedConcurrencyException):
        zero = EventEnding(
            condition=EndingCondition.ZERO_RESERVED_CONCURRENCY,
            status_code=None,
            invoke_count=event.attempts,
            error_message=ZERO_CONCURRENCY_MESSAGE,
        )
        return Ended(ending=zero)
    if isinstance(refusal, RecursiveInvocationException):
        return Ended(ending=_ending_of_refusal(EndingCondition.RECURSIVE_INVOCATION, event, refusal))
    if not _passes(refusal):
        return Ended(ending=_ending_of_refusal(EndingCondition.RETRIES_EXHAUSTED, event, refusal))
    due_at = now + backoff_seconds(event.refusals)
    if not _too_old(event, config, due_at):
        return RunAgainAt(event=replace(event, refusals=event.refusals + 1), due_at=due_at)
    if event.last_result is not None:
        condition = EndingCondition.EVENT_AGE_EXCEEDED
        return Ended(ending=_ending_of_run(condition, event.last_result, invoke_count=event.attempts))
    return Ended(ending=_ending_of_refusal(EndingCondition.EVENT_AGE_EXCEEDED, event, refusal))


def is_recorded(ending: EventEnding, config: EventInvokeConfig) -> bool:
    """Whether anybody is to be told of this ending."""
    if ending.condition is EndingCondition.SUCCESS:
        return config.on_success is not None
    return config.on_failure is not None or config.dead_letter is not None


def backoff_seconds(refusals: int) -> float:
    """How long to wait when ``refusals`` attempts were refused before this one."""
    # The exponent is bounded because 2**refusals is no float any more after a week of refusals.
    return min(BACKOFF_FIRST_SECONDS * 2.0 ** min(refusals, 16), BACKOFF_MAXIMUM_SECONDS)


def delivery_wait_seconds(tries: int) -> float | None:
    """How long to wait after the ``tries``-th try to deliver a record has failed; None: give it up."""
    return DELIVERY_WAITS_SECONDS[tries - 1] if tries <= len(DELIVERY_WAITS_SECONDS) else None


def _passes(refusal: LambdaError) -> bool:
    return refusal.status == 429 or refusal.status >= 500 or isinstance(refusal, ResourceConflictException)


def _too_old(event: QueuedEvent, config: EventInvokeConfig, due_at: float) -> bool:
    return due_at > event.enqueued_at + config.maximum_event_age_seconds


def _ending_of_run(condition: EndingCondition, result: InvokeResult, *, invoke_count: int) -> EventEnding:
    return EventEnding(
        condition=condition,
        status_code=200,
        invoke_count=invoke_count,
        function_error=result.function_error,
        executed_version=result.executed_version,
        response_payload=result.payload,
    )


def _ending_of_refusal(condition: EndingCondition, event: QueuedEvent, refusal: LambdaError) -> EventEnding:
    return EventEnding(
        condition=condition,
        status_code=refusal.status,
        invoke_count=event.attempts,
        error_message=refusal.message,
    )
