"""``FunctionEventInvokeConfig``: what a PUT and a POST make of it, how it is shown, and what holds for an event.

Pure. Members have the API's names and have already passed the service model's constraints; whether a destination can be
one is ``destination_arn``'s question.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from rie_server.errors import InvalidParameterValueException
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.event_invoke import (
    MAXIMUM_EVENT_AGE_SECONDS_DEFAULT,
    MAXIMUM_RETRY_ATTEMPTS_DEFAULT,
    EventInvokeConfig,
)

_MEMBERS: Final = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInvokeSettings:
    """What was configured for one qualifier; None where nothing was, and AWS's default holds.

    Attributes:
        on_success, on_failure: ARNs of destinations.
        last_modified: seconds since the epoch, to the millisecond.
    """

    maximum_retry_attempts: int | None = None
    maximum_event_age_seconds: int | None = None
    on_success: str | None = None
    on_failure: str | None = None
    last_modified: float


def changed_settings(
    current: EventInvokeSettings | None, members: Mapping[str, Any], *, at: float
) -> EventInvokeSettings:
    """The settings after ``members``: what they do not mention stays as in ``current``, or is unset without one.

    ``DestinationConfig`` is one member: it replaces both destinations.

    Raises:
        InvalidParameterValueException: ``members`` say nothing.
    """
    if all(members.get(name) is None for name in _MEMBERS):
        raise InvalidParameterValueException("You must specify at least one of error handling or destination setting.")
    moment = round(at, 3)
    settings = EventInvokeSettings(last_modified=moment) if current is None else replace(current, last_modified=moment)
    if members.get("MaximumRetryAttempts") is not None:
        settings = replace(settings, maximum_retry_attempts=members["MaximumRetryAttempts"])
    if members.get("MaximumEventAgeInSeconds") is not None:
        settings = replace(settings, maximum_event_age_seconds=members["MaximumEventAgeInSeconds"])
    if members.get("DestinationConfig") is not None:
        destinations = members["DestinationConfig"]
        settings = replace(
            settings,
            on_success=_destination(destinations, "OnSuccess"),
            on_failure=_destination(destinations, "OnFailure"),
        )
    return settings


def shown_settings(function: FunctionArn, settings: EventInvokeSettings) -> dict[str, Any]:
    """``FunctionEventInvokeConfig``: numbers that were not set are absent, destinations that were not set are empty."""
    return {
        "FunctionArn": str(function.qualified(function.qualifier or LATEST)),
        "LastModified": settings.last_modified,
        "MaximumRetryAttempts": settings.maximum_retry_attempts,
        "MaximumEventAgeInSeconds": settings.maximum_event_age_seconds,
        "DestinationConfig": {
            "OnSuccess": {"Destination": settings.on_success},
            "OnFailure": {"Destination": settings.on_failure},
        },
    }


def effective_config(settings: EventInvokeSettings | None, *, dead_letter: str | None) -> EventInvokeConfig:
    """What holds for an event: ``settings`` with AWS's defaults, and the function's dead-letter target."""
    if settings is None:
        return EventInvokeConfig(dead_letter=dead_letter)
    retries, age_seconds = settings.maximum_retry_attempts, settings.maximum_event_age_seconds
    return EventInvokeConfig(
        maximum_retry_attempts=MAXIMUM_RETRY_ATTEMPTS_DEFAULT if retries is None else retries,
        maximum_event_age_seconds=MAXIMUM_EVENT_AGE_SECONDS_DEFAULT if age_seconds is None else age_seconds,
        on_success=settings.on_success,
        on_failure=settings.on_failure,
        dead_letter=dead_letter,
    )


def _destination(destinations: Mapping[str, Any], kind: str) -> str | None:
    """An empty ARN is none: that is how a destination is taken away."""
    return (destinations.get(kind) or {}).get("Destination") or None
