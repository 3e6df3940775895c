"""What becomes of an event after an attempt."""

import pytest

from rie_server.errors import (
    InvalidParameterValueException,
    LambdaError,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceException,
    TooManyRequestsException,
)
from rie_server.events.decision import Done, RunAgainAt, after_refusal, after_run, backoff_seconds
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.invocation import InvokeRequest

REQUEST = InvokeRequest(
    function=FunctionArn(region="us-east-1", account="000000000000", name="f"), payload=b"{}", request_id="r"
)


def event(refusals: int = 0) -> QueuedEvent:
    return QueuedEvent(request=REQUEST, enqueued_at=0.0, refusals=refusals)


def test_an_event_that_was_run_is_done() -> None:
    assert after_run() == Done()


@pytest.mark.parametrize(
    "refusal",
    [
        TooManyRequestsException("ConcurrentInvocationLimitExceeded"),
        ServiceException("The server is shutting down."),
        ResourceConflictException("The function is currently in the following state: Pending"),
    ],
)
def test_what_passes_is_waited_for(refusal: LambdaError) -> None:
    assert after_refusal(event(), refusal, now=50.0) == RunAgainAt(due_at=51.0)


def test_a_deleted_function_drops_its_events() -> None:
    assert after_refusal(event(), ResourceNotFoundException("Function not found: f"), now=0.0) == Done(
        dropped="Function not found: f"
    )


def test_what_stays_wrong_is_not_tried_again() -> None:
    assert after_refusal(event(), InvalidParameterValueException("no"), now=0.0) == Done(
        dropped="InvalidParameterValueException: no"
    )


def test_waits_double_from_a_second_to_five_minutes_and_stay_there() -> None:
    waits = [backoff_seconds(refusals) for refusals in range(12)]

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert backoff_seconds(1_000_000) == 300
