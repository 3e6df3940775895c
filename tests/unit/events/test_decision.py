"""What becomes of an event after an attempt to run it."""

from dataclasses import replace

import pytest

from rie_server.errors import (
    InvalidParameterValueException,
    LambdaError,
    RecursiveInvocationException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceException,
    TooManyRequestsException,
    ZeroReservedConcurrencyException,
)
from rie_server.events.decision import (
    Decision,
    Ended,
    RunAgainAt,
    after_refusal,
    after_run,
    backoff_seconds,
    delivery_wait_seconds,
    is_recorded,
)
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.invocation import InvokeRequest, InvokeResult

REQUEST = InvokeRequest(
    function=FunctionArn(region="us-east-1", account="000000000000", name="f"), payload=b"{}", request_id="r"
)
ENQUEUED = 1_000.0
DEFAULTS = EventInvokeConfig()
FAILED = InvokeResult(payload=b'{"errorMessage": "no"}', function_error="Unhandled", executed_version="3")
SUCCEEDED = InvokeResult(payload=b"4", function_error=None, executed_version="3")
THROTTLED = TooManyRequestsException("ConcurrentInvocationLimitExceeded")


def event(*, attempts: int = 0, refusals: int = 0, last: InvokeResult | None = None) -> QueuedEvent:
    return QueuedEvent(request=REQUEST, enqueued_at=ENQUEUED, attempts=attempts, refusals=refusals, last_result=last)


def run(queued: QueuedEvent, result: InvokeResult, config: EventInvokeConfig = DEFAULTS, *, now: float) -> Decision:
    return after_run(queued, result, config, now=now, retry_base_seconds=60.0)


def ran(condition: EndingCondition, count: int, result: InvokeResult = FAILED) -> Ended:
    return Ended(
        ending=EventEnding(
            condition=condition,
            status_code=200,
            invoke_count=count,
            function_error=result.function_error,
            executed_version="3",
            response_payload=result.payload,
        )
    )


def refused(condition: EndingCondition, status: int | None, message: str, count: int = 0) -> Ended:
    return Ended(ending=EventEnding(condition=condition, status_code=status, invoke_count=count, error_message=message))


@pytest.mark.parametrize("attempts", [0, 1, 2])
def test_success_ends_an_event_and_counts_one_whatever_it_took(attempts: int) -> None:
    decision = run(event(attempts=attempts, last=FAILED if attempts else None), SUCCEEDED, now=2_000.0)

    assert decision == ran(EndingCondition.SUCCESS, 1, SUCCEEDED)


@pytest.mark.parametrize(
    ("maximum", "attempts", "wait_seconds"),
    [(0, 0, None), (1, 0, 60), (1, 1, None), (2, 0, 60), (2, 1, 120), (2, 2, None), (1, 2, None)],
    ids=str,
)
def test_function_errors_are_retried_as_often_as_configured(
    maximum: int, attempts: int, wait_seconds: float | None
) -> None:
    config = EventInvokeConfig(maximum_retry_attempts=maximum)
    before = event(attempts=attempts, refusals=5)

    decision = run(before, FAILED, config, now=1_500.0)

    if wait_seconds is None:
        assert decision == ran(EndingCondition.RETRIES_EXHAUSTED, attempts + 1)
    else:
        after = replace(before, attempts=attempts + 1, refusals=0, last_result=FAILED)
        assert decision == RunAgainAt(event=after, due_at=1_500.0 + wait_seconds)


@pytest.mark.parametrize(
    ("now", "ends"), [(ENQUEUED, False), (ENQUEUED + 40, False), (ENQUEUED + 40.5, True), (ENQUEUED + 5_000, True)]
)
def test_an_event_that_would_be_too_old_for_its_retry_ends_at_once(now: float, ends: bool) -> None:
    config = EventInvokeConfig(maximum_event_age_seconds=100)

    decision = run(event(), FAILED, config, now=now)

    assert (decision == ran(EndingCondition.EVENT_AGE_EXCEEDED, 1)) is ends
    assert isinstance(decision, RunAgainAt) is not ends


def test_an_event_whose_retries_are_used_up_has_not_grown_too_old() -> None:
    config = EventInvokeConfig(maximum_retry_attempts=0, maximum_event_age_seconds=60)

    assert run(event(), FAILED, config, now=9_000.0) == ran(EndingCondition.RETRIES_EXHAUSTED, 1)


@pytest.mark.parametrize(
    "refusal",
    [
        THROTTLED,
        ServiceException("The server is shutting down."),
        ResourceConflictException("The function is currently in the following state: Pending"),
    ],
)
@pytest.mark.parametrize(("refusals", "wait_seconds"), [(0, 1), (3, 8), (40, 300)])
def test_what_passes_is_waited_for_and_is_no_attempt(refusal: LambdaError, refusals: int, wait_seconds: float) -> None:
    before = event(attempts=1, refusals=refusals, last=FAILED)

    decision = after_refusal(before, refusal, DEFAULTS, now=1_200.0)

    assert decision == RunAgainAt(event=replace(before, refusals=refusals + 1), due_at=1_200.0 + wait_seconds)


@pytest.mark.parametrize(
    ("before", "refusal", "now", "ending"),
    [
        (event(refusals=4), THROTTLED, 1_085.0, refused(EndingCondition.EVENT_AGE_EXCEEDED, 429, "Rate Exceeded.")),
        (event(), ServiceException("full"), 1_100.0, refused(EndingCondition.EVENT_AGE_EXCEEDED, 500, "full")),
        (event(attempts=2, last=FAILED), THROTTLED, 1_100.0, ran(EndingCondition.EVENT_AGE_EXCEEDED, 2)),
    ],
    ids=["throttled", "service error", "after errors"],
)
def test_refusals_go_on_until_the_event_would_be_too_old(
    before: QueuedEvent, refusal: LambdaError, now: float, ending: Ended
) -> None:
    config = EventInvokeConfig(maximum_event_age_seconds=100)

    assert after_refusal(before, refusal, config, now=now) == ending


@pytest.mark.parametrize(
    ("refusal", "ending"),
    [
        (
            ZeroReservedConcurrencyException(),
            refused(
                EndingCondition.ZERO_RESERVED_CONCURRENCY,
                None,
                "Function not invoked. Function isconfigured with zero reserved concurrent executions",
            ),
        ),
        (
            ResourceNotFoundException("Function not found: f"),
            refused(EndingCondition.RETRIES_EXHAUSTED, 404, "Function not found: f"),
        ),
        (
            RecursiveInvocationException("a loop"),
            refused(EndingCondition.RECURSIVE_INVOCATION, 400, "a loop"),
        ),
        (InvalidParameterValueException("no"), refused(EndingCondition.RETRIES_EXHAUSTED, 400, "no")),
    ],
    ids=["zero concurrency", "deleted", "recursion", "wrong"],
)
def test_what_stays_as_it_is_ends_the_event_at_once(refusal: LambdaError, ending: Ended) -> None:
    assert after_refusal(event(), refusal, DEFAULTS, now=ENQUEUED) == ending


def test_waits_double_from_a_second_to_five_minutes_and_stay_there() -> None:
    waits = [backoff_seconds(refusals) for refusals in range(12)]

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert backoff_seconds(1_000_000) == 300


def test_a_delivery_is_tried_five_times_in_about_two_minutes() -> None:
    assert [delivery_wait_seconds(tries) for tries in range(1, 7)] == [1, 5, 25, 90, None, None]


@pytest.mark.parametrize(
    ("condition", "config", "recorded"),
    [
        (EndingCondition.SUCCESS, EventInvokeConfig(on_success="s"), True),
        (EndingCondition.SUCCESS, EventInvokeConfig(on_failure="f", dead_letter="d"), False),
        (EndingCondition.RETRIES_EXHAUSTED, EventInvokeConfig(on_success="s"), False),
        (EndingCondition.RETRIES_EXHAUSTED, EventInvokeConfig(on_failure="f"), True),
        (EndingCondition.ZERO_RESERVED_CONCURRENCY, EventInvokeConfig(dead_letter="d"), True),
    ],
)
def test_an_ending_is_recorded_where_somebody_is_to_be_told(
    condition: EndingCondition, config: EventInvokeConfig, recorded: bool
) -> None:
    assert is_recorded(EventEnding(condition=condition, status_code=200, invoke_count=1), config) is recorded
