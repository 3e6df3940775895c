"""The records that tell destinations and dead-letter queues how an asynchronous event has ended.

Pure. Members, their order and their absence are AWS's (version 1.0 of its record). Request and response are embedded as
the bytes they came as, so that numbers of any length and duplicate names survive.
"""

import json
from datetime import UTC, datetime
from typing import Any

from rie_server.errors import InvalidRequestContentException
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.destination_arn import DestinationKind, destination_kind
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.json_payload import check_json
from rie_server.model.recursion import hop

ERROR_MESSAGE_BYTES = 1024
# SNS takes no larger message; AWS then sends the record of a failure without its payloads.
SNS_MESSAGE_BYTES = 262_144

_FUNCTION_RAN = 200
# What neither SQS nor SNS takes in a text: code points that XML 1.0 does not know.
_NO_XML = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF), "\ufffd")
# JSON can spell them, but only these two can stand in it as they are, and only in a string.
_RAW_NO_XML = ((b"\xef\xbf\xbe", rb"\ufffe"), (b"\xef\xbf\xbf", rb"\uffff"))


def deliveries(
    event: QueuedEvent, ending: EventEnding, config: EventInvokeConfig, *, now: float
) -> tuple[Delivery, ...]:
    """What is to be sent now that ``event`` has ended: a failure goes to the destination and to the dead-letter queue,
    if both are configured.

    Args:
        now: when the event ended, seconds since the epoch.
    """
    if ending.condition is EndingCondition.SUCCESS:
        wanted = [(DeliveryKind.ON_SUCCESS, config.on_success)]
    else:
        wanted = [(DeliveryKind.ON_FAILURE, config.on_failure), (DeliveryKind.DEAD_LETTER, config.dead_letter)]
    return tuple(_delivery(event, ending, kind, arn, now=now) for kind, arn in wanted if arn)


def _delivery(event: QueuedEvent, ending: EventEnding, kind: DeliveryKind, target_arn: str, *, now: float) -> Delivery:
    request = event.request
    is_dead_letter = kind is DeliveryKind.DEAD_LETTER
    return Delivery(
        kind=kind,
        target_arn=target_arn,
        request_id=request.request_id,
        function=_qualified(request.function),
        body=request.payload if is_dead_letter else _record_for(event, ending, kind, target_arn, now=now),
        trace_header=_passed_on(request.trace_header, request.function),
        at=now,
        attributes=dead_letter_attributes(request.request_id, ending) if is_dead_letter else {},
    )


def _passed_on(trace_header: str, function: FunctionArn) -> str:
    """The header as the function itself would pass it on: functions that are each other's destinations are a loop."""
    return hop(trace_header, function.unqualified).trace_header if trace_header else ""


def _record_for(event: QueuedEvent, ending: EventEnding, kind: DeliveryKind, target_arn: str, *, now: float) -> bytes:
    record = destination_record(event, ending, now=now)
    is_too_large = destination_kind(target_arn) is DestinationKind.SNS and len(record) > SNS_MESSAGE_BYTES
    if is_too_large and kind is DeliveryKind.ON_FAILURE:
        return destination_record(event, ending, now=now, with_payloads=False)
    return record


def destination_record(event: QueuedEvent, ending: EventEnding, *, now: float, with_payloads: bool = True) -> bytes:
    """The JSON that a destination gets."""
    request = event.request
    members: list[tuple[str, bytes]] = [
        ("version", _json("1.0")),
        ("timestamp", _json(record_timestamp(now))),
        (
            "requestContext",
            _json(
                {
                    "requestId": request.request_id,
                    "functionArn": str(_qualified(request.function)),
                    "condition": str(ending.condition),
                    "approximateInvokeCount": ending.invoke_count,
                }
            ),
        ),
    ]
    if with_payloads:
        members.append(("requestPayload", _embeddable(request.payload)))
    if ending.status_code is not None:
        members.append(("responseContext", _json(_response_context(ending))))
    if with_payloads and ending.status_code == _FUNCTION_RAN and ending.response_payload:
        members.append(_response(ending.response_payload))
    return b"{" + b",".join(_json(name) + b":" + value for name, value in members) + b"}"


def _response_context(ending: EventEnding) -> dict[str, Any]:
    """Where the function was refused last, nothing is said of an earlier run."""
    context: dict[str, Any] = {"statusCode": ending.status_code}
    if ending.status_code == _FUNCTION_RAN and ending.executed_version is not None:
        context["executedVersion"] = ending.executed_version
    if ending.status_code == _FUNCTION_RAN and ending.function_error is not None:
        context["functionError"] = ending.function_error
    return context


def _response(payload: bytes) -> tuple[str, bytes]:
    try:
        check_json(payload)
    except InvalidRequestContentException as wrong:
        return "deliveryError", _json({"statusCode": wrong.status, "errorCode": wrong.code})
    return "responsePayload", _embeddable(payload)


def dead_letter_attributes(request_id: str, ending: EventEnding) -> dict[str, tuple[str, str]]:
    """The message attributes of a dead letter: name -> (type, value). What has no value is left out, because SQS
    refuses empty ones.
    """
    attributes = {"RequestID": ("String", request_id)}
    if ending.status_code is not None:
        attributes["ErrorCode"] = ("Number", str(ending.status_code))
    if message := _error_message(ending):
        attributes["ErrorMessage"] = ("String", message)
    return attributes


def _error_message(ending: EventEnding) -> str:
    """The first 1024 bytes, whole characters only, of what went wrong, without what a queue would refuse."""
    message = None
    if ending.status_code == _FUNCTION_RAN and ending.response_payload is not None:
        message = _function_error_message(ending.response_payload)
    text = (message or ending.error_message or "").translate(_NO_XML)
    # A lone surrogate is JSON, and no text: it becomes a question mark.
    return text.encode(errors="replace")[:ERROR_MESSAGE_BYTES].decode(errors="ignore")


def _function_error_message(payload: bytes) -> str | None:
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    message = answer.get("errorMessage") if isinstance(answer, dict) else None
    if message is None or isinstance(message, str):
        return message
    return json.dumps(message, separators=(",", ":"))


def record_timestamp(epoch_seconds: float) -> str:
    """``2026-01-01T00:00:00.000Z``."""
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _qualified(function: FunctionArn) -> FunctionArn:
    return function if function.qualifier is not None else function.qualified(LATEST)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _embeddable(payload: bytes) -> bytes:
    for raw, escaped in _RAW_NO_XML:
        payload = payload.replace(raw, escaped)
    return payload
