"""How an asynchronous event becomes a row and back. Pure."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import EndedEvent, QueuedEvent
from rie_server.model.delivery import DeliveryKind
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.event_progress import DeliveryOutcome
from rie_server.model.invocation import InvokeRequest, InvokeResult

_OPTIONS: Mapping[str, Any] = {
    "want_log_tail": False,
    "client_context": None,
    "cognito_identity": None,
    "trace_header": None,
    "tenant_id": None,
}


FIRST_COLUMNS = ("request_id", "function_key", "qualifier", "payload", "options", "enqueued_at", "due_at", "lane")


def is_untouched(event: QueuedEvent) -> bool:
    """Whether nothing has happened to the event yet: ``first_columns`` then say all."""
    return not (event.attempts or event.refusals or event.last_result or event.ended)


def first_columns(event: QueuedEvent) -> dict[str, Any]:
    """What an event brings with it; the state and the columns of its progress come to it."""
    request = event.request
    options = {name: getattr(request, name) for name, default in _OPTIONS.items() if getattr(request, name) != default}
    return {
        "request_id": request.request_id,
        "function_key": str(request.function.unqualified),
        "qualifier": request.function.qualifier,
        "payload": request.payload,
        "options": options or None,
        "enqueued_at": event.enqueued_at,
        "due_at": event.enqueued_at,
        "lane": event.lane,
    }


def progress(event: QueuedEvent) -> dict[str, Any]:
    """The columns that change on the event's way."""
    result, ended = event.last_result, event.ended
    response = None if result is None else result.payload
    if ended is not None:
        response = ended.ending.response_payload
    return {
        "lane": event.lane,
        "attempts": event.attempts,
        "refusals": event.refusals,
        "response": response,
        "last_run": None if result is None else [result.function_error, result.executed_version],
        "ended": None if ended is None else _ended_document(ended),
    }


def event_of(row: Row[Any]) -> QueuedEvent:
    _, _, _, region, account, _, name = row.function_key.split(":")
    request = InvokeRequest(
        function=FunctionArn(region=region, account=account, name=name, qualifier=row.qualifier),
        payload=bytes(row.payload),
        request_id=row.request_id,
        **(row.options or {}),
    )
    response = None if row.response is None else bytes(row.response)
    return QueuedEvent(
        request=request,
        enqueued_at=row.enqueued_at,
        attempts=row.attempts,
        refusals=row.refusals,
        last_result=None if row.last_run is None else _result(row.last_run, response or b""),
        ended=None if row.ended is None else _ended(row.ended, response),
    )


def _result(last_run: list[Any], payload: bytes) -> InvokeResult:
    function_error, executed_version = last_run
    return InvokeResult(payload=payload, function_error=function_error, executed_version=executed_version)


def _ended_document(ended: EndedEvent) -> dict[str, Any]:
    document = asdict(ended)
    del document["ending"]["response_payload"]
    return document


def _ended(document: Mapping[str, Any], response: bytes | None) -> EndedEvent:
    ending = {**document["ending"], "condition": EndingCondition(document["ending"]["condition"])}
    outcomes = ({**outcome, "kind": DeliveryKind(outcome["kind"])} for outcome in document["outcomes"])
    return EndedEvent(
        ending=EventEnding(**ending, response_payload=response),
        config=EventInvokeConfig(**document["config"]),
        ended_at=document["ended_at"],
        tries=document["tries"],
        outcomes=tuple(DeliveryOutcome(**outcome) for outcome in outcomes),
    )
