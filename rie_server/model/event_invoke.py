"""Asynchronous invocation's configuration and endings: what AWS calls EventInvokeConfig, and a record's ``condition``.

Pure data.
"""

from dataclasses import dataclass
from enum import StrEnum

MAXIMUM_RETRY_ATTEMPTS_DEFAULT = 2
MAXIMUM_EVENT_AGE_SECONDS_DEFAULT = 21_600


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInvokeConfig:
    """What holds for the events of one qualifier of a function; the defaults are AWS's.

    Attributes:
        on_success, on_failure: ARNs of destinations.
        dead_letter: the function's ``DeadLetterConfig.TargetArn``; it gets failed events as well as ``on_failure``.
    """

    maximum_retry_attempts: int = MAXIMUM_RETRY_ATTEMPTS_DEFAULT
    maximum_event_age_seconds: int = MAXIMUM_EVENT_AGE_SECONDS_DEFAULT
    on_success: str | None = None
    on_failure: str | None = None
    dead_letter: str | None = None


class EndingCondition(StrEnum):
    """``requestContext.condition`` of a destination record."""

    SUCCESS = "Success"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"
    ZERO_RESERVED_CONCURRENCY = "ZeroReservedConcurrency"
    RECURSIVE_INVOCATION = "RecursiveInvocation"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEnding:
    """How an asynchronous event came to its end.

    Attributes:
        status_code: ``responseContext.statusCode``: 200 where the function ran last, 429, 404 or 400 where it was
            refused last; None where there is no responseContext.
        function_error, executed_version, response_payload: of the last run, if there was one.
        invoke_count: ``approximateInvokeCount``.
        error_message: for the dead letter's ErrorMessage where no function error gives one.
    """

    condition: EndingCondition
    status_code: int | None
    invoke_count: int
    function_error: str | None = None
    executed_version: str | None = None
    response_payload: bytes | None = None
    error_message: str | None = None
