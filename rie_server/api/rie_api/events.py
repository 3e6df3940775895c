"""``/_rie/events``: where asynchronous events stand, and waiting for one to end. Thread-safe."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rie_server.api.exchange import Deferred, Reply, Request
from rie_server.api.refusals import refusal
from rie_server.api.rie_api.documents import body_of, json_reply, query_of, seconds_of, timestamp
from rie_server.errors import InvalidParameterValueException, ResourceNotFoundException
from rie_server.model.event_invoke import EventEnding
from rie_server.model.event_progress import EventFilter, EventProgress, EventState
from rie_server.ports import Clock, Timer

LIMIT_DEFAULT = 1000
_LIMIT_MOST = 10_000
_WAIT_SECONDS_DEFAULT = 30.0
_WAIT_SECONDS_MOST = 3600.0


class Events(Protocol):
    """What is asked of ``telemetry.event_log.EventLog``."""

    def events(self, wanted: EventFilter, *, limit: int) -> Sequence[EventProgress]: ...

    def when_ended(self, request_id: str, on_end: Callable[[EventProgress], None]) -> bool: ...

    def stop_waiting(self, request_id: str, on_end: Callable[[EventProgress], None]) -> bool: ...


class EventOperations:
    """
    Args:
        real: times out whoever waits; real, because somebody really waits.
    """

    def __init__(self, *, events: Events, real: Clock) -> None:
        self._events = events
        self._real = real

    def list(self, request: Request) -> Reply:
        """``GET ?function=&request_id=&state=&limit=``: those that have not ended, oldest first, then those that have,
        the last one first; of each up to ``limit``.
        """
        query = query_of(request, "function", "request_id", "state", "limit")
        function, qualifier = _function(query.get("function"))
        wanted = EventFilter(
            function=function,
            qualifier=qualifier,
            request_id=query.get("request_id"),
            state=_state(query.get("state")),
        )
        found = self._events.events(wanted, limit=_limit(query.get("limit")))
        return json_reply({"events": [document_of(event) for event in found]})

    def wait(self, request: Request, request_id: str) -> Deferred:
        """``POST {"timeout_seconds": 30}``: the event, once it has ended; 408 if it has not by then."""
        timeout_seconds = seconds_of(
            body_of(request, "timeout_seconds"),
            "timeout_seconds",
            least=0,
            most=_WAIT_SECONDS_MOST,
            default=_WAIT_SECONDS_DEFAULT,
        )
        deferred = Deferred(request.connection)
        waiting = _Waiting(self._events, deferred, request_id, timeout_seconds)
        if not self._events.when_ended(request_id, waiting.end):
            raise ResourceNotFoundException(
                f"No event {request_id} is in the queue, nor among the last that have ended since the server started."
            )
        waiting.time_out_by(self._real)
        return deferred


class _Waiting:
    """One caller who waits for one event."""

    def __init__(self, events: Events, deferred: Deferred, request_id: str, timeout_seconds: float) -> None:
        self._events = events
        self._deferred = deferred
        self._request_id = request_id
        self._timeout_seconds = timeout_seconds
        self._has_ended = False
        self._timer: Timer | None = None

    def time_out_by(self, clock: Clock) -> None:
        self._timer = clock.call_later(self._timeout_seconds, self.give_up)
        if self._has_ended:  # maybe before there was a timer to cancel
            self._timer.cancel()

    def end(self, event: EventProgress) -> None:
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._deferred.complete(json_reply(document_of(event)))

    def give_up(self) -> None:
        if self._events.stop_waiting(self._request_id, self.end):
            words = f"Event {self._request_id} has not ended within {self._timeout_seconds:g} s."
            self._deferred.complete(refusal("lambda", 408, "EventNotEndedException", words))


def document_of(event: EventProgress) -> dict[str, Any]:
    """An event as JSON; what it has no value for is null."""
    return {
        "request_id": event.request_id,
        "function": str(event.function),
        "state": event.state,
        "enqueued_at": timestamp(event.enqueued_at),
        "due_at": None if event.due_at is None else timestamp(event.due_at),
        "attempts": event.attempts,
        "refusals": event.refusals,
        "ended_at": None if event.ended_at is None else timestamp(event.ended_at),
        **_ending_document(event.ending),
        "deliveries": [
            {"kind": one.kind, "target": one.target_arn, "attempts": one.attempts, "error": one.error}
            for one in event.outcomes
        ],
    }


def _ending_document(ending: EventEnding | None) -> dict[str, Any]:
    names = ("condition", "status_code", "invoke_count", "function_error", "executed_version", "error_message")
    payload = None if ending is None else ending.response_payload
    return {
        **{name: None if ending is None else getattr(ending, name) for name in names},
        "response": None if payload is None else _response(payload),
    }


def _response(payload: bytes) -> Any:
    """The function's answer as JSON, or as text where it is none."""
    try:
        document = json.loads(payload)
        json.dumps(document, allow_nan=False)
    except (ValueError, RecursionError):
        return payload.decode("utf-8", "replace")
    return document


def _function(text: str | None) -> tuple[str | None, str | None]:
    """Name and qualifier of what the caller calls ``orders``, ``orders:live`` (as the command shows it) or an ARN."""
    if text is None:
        return None, None
    name, _, qualifier = text.rpartition("function:")[2].partition(":")
    return name, qualifier or None


def _state(text: str | None) -> EventState | None:
    if text is None:
        return None
    try:
        return EventState(text)
    except ValueError:
        raise InvalidParameterValueException(f"state must be one of {', '.join(EventState)}.") from None


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= _LIMIT_MOST:
        raise InvalidParameterValueException(f"limit must be a whole number from 1 to {_LIMIT_MOST}.")
    return int(text)
