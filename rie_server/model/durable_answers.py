"""What follows from an invocation of a durable function that is over.

Pure: rules over a ``DurableDraft``. The runtime's answer says whether the execution has ended or waits. A function
error (a crash, its timeout) is no end: the function is run again from its last checkpoint, five times in all, and a
throttle or a fault of the server uses none of them up. An answer against the protocol ends the execution at once.
"""

import json
from typing import Any, Final

from rie_server.errors import LambdaError, ResourceConflictException
from rie_server.limits import DURABLE_PAYLOAD_BYTES
from rie_server.model.durable_draft import DurableDraft, error_payload
from rie_server.model.durable_execution import ErrorObject, ExecutionStatus, RunningInvocation
from rie_server.model.durable_life import end
from rie_server.model.invocation import InvokeResult

ATTEMPTS: Final = 5
RETRY_FIRST_SECONDS: Final = 1.0
IDLE_ATTEMPTS: Final = 3
REFUSED_FIRST_SECONDS: Final = 1.0
REFUSED_MAXIMUM_SECONDS: Final = 300.0
# A tuple, because what a runtime answers may be anything, and not everything is hashable.
_STATUSES: Final = ("SUCCEEDED", "FAILED", "PENDING")
_ERROR_MEMBERS: Final = {
    "ErrorMessage": "errorMessage",
    "ErrorType": "errorType",
    "ErrorData": "errorData",
    "StackTrace": "stackTrace",
}


def after_invocation(draft: DurableDraft, invocation_id: str, result: InvokeResult, *, now: float) -> None:
    """``result`` counts if its invocation is still the one that works on the execution."""
    invocation = draft.execution.invocation
    if invocation is None or invocation.id != invocation_id:
        return
    draft.update(invocation=None)
    if draft.execution.is_plain:
        _after_plain(draft, result, now)
        return
    if result.refusal is not None:
        if not draft.execution.is_over:
            _after_refusal(draft, result.refusal, now)
        _settle_pause(draft)
        return
    if result.function_error is not None:
        error = function_error(result.payload, result.function_error)
        _record(draft, invocation, error, now)
        if not draft.execution.is_over:
            _after_failure(draft, error, now)
    else:
        _after_answer(draft, invocation, _parsed(result.payload), now)
    _settle_pause(draft)


def function_error(payload: bytes, kind: str) -> dict[str, Any]:
    """The ``ErrorObject`` of a function error, from what the runtime or the platform has said."""
    text = payload.decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or "errorMessage" not in document:
        return {"ErrorMessage": text, "ErrorType": kind}
    found = {name: document.get(given) for name, given in _ERROR_MEMBERS.items()}
    trace = found.pop("StackTrace")
    error = {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items() if value}
    if isinstance(trace, list) and trace:
        error_trace = [line if isinstance(line, str) else json.dumps(line) for line in trace]
        return {**error, "StackTrace": error_trace}
    return dict(error)


def refused(refusal: LambdaError) -> dict[str, Any]:
    """The ``ErrorObject`` of a function that could not be run."""
    return {"ErrorMessage": refusal.message, "ErrorType": refusal.code}


def passes(refusal: LambdaError) -> bool:
    """Whether the function may be run later without anybody's doing."""
    return refusal.status == 429 or refusal.status >= 500 or isinstance(refusal, ResourceConflictException)


def _record(draft: DurableDraft, invocation: RunningInvocation, error: ErrorObject | None, now: float) -> None:
    draft.record(
        "InvocationCompleted",
        now,
        StartTimestamp=invocation.started_at,
        EndTimestamp=now,
        RequestId=invocation.id,
        Error=None if error is None else error_payload(error),
    )


def _after_plain(draft: DurableDraft, result: InvokeResult, now: float) -> None:
    if result.refusal is not None:
        _after_refusal(draft, result.refusal, now)
        return
    if result.function_error is not None:
        end(draft, ExecutionStatus.FAILED, error=function_error(result.payload, result.function_error), now=now)
        return
    if len(result.payload) > DURABLE_PAYLOAD_BYTES:
        message = f"CHAINED_INVOKE output payload size must be less than or equal to {DURABLE_PAYLOAD_BYTES} bytes."
        end(draft, ExecutionStatus.FAILED, error={"ErrorMessage": message}, now=now)
        return
    end(draft, ExecutionStatus.SUCCEEDED, result=result.payload.decode("utf-8", "replace") or None, now=now)


def _after_refusal(draft: DurableDraft, refusal: LambdaError, now: float) -> None:
    execution = draft.execution
    if not passes(refusal):
        end(draft, ExecutionStatus.FAILED, error=refused(refusal), now=now)
        return
    # The exponent is bounded because 2**refusals is no float any more after a week of refusals.
    wait_seconds = min(REFUSED_FIRST_SECONDS * 2.0 ** min(execution.refusals, 16), REFUSED_MAXIMUM_SECONDS)
    draft.update(refusals=execution.refusals + 1, run_at=now + wait_seconds)


def _after_failure(draft: DurableDraft, error: ErrorObject, now: float) -> None:
    failures = draft.execution.failures + 1
    draft.update(failures=failures, refusals=0)
    if failures >= ATTEMPTS:
        end(draft, ExecutionStatus.FAILED, error=error, now=now)
    else:
        draft.update(run_at=now + RETRY_FIRST_SECONDS * 2.0 ** (failures - 1))


def _after_answer(draft: DurableDraft, invocation: RunningInvocation, answer: dict[str, Any], now: float) -> None:
    if draft.execution.is_over:
        # It was stopped, has taken too long, or has told its end by a checkpoint.
        _record(draft, invocation, None, now)
        return
    status, result, error = answer.get("Status"), answer.get("Result"), answer.get("Error")
    error = _cleaned(error) if isinstance(error, dict) else error
    wrong = _against_protocol(draft, status, result, error)
    is_idle = status == "PENDING" and not wrong and not _has_reason_to_wait(draft, invocation)
    if is_idle and draft.execution.idle_answers + 1 < IDLE_ATTEMPTS:
        # A race in the handler's SDK can lead here; the next run sees it through.
        _record(draft, invocation, None, now)
        draft.update(idle_answers=draft.execution.idle_answers + 1, run_at=now)
        return
    if is_idle:
        wrong = "Cannot return PENDING status with no pending operations."
    if wrong:
        refusal = {"ErrorMessage": wrong, "ErrorType": "InvalidParameterValueException"}
        _record(draft, invocation, refusal, now)
        end(draft, ExecutionStatus.FAILED, error=refusal, now=now)
        return
    _record(draft, invocation, error if status == "FAILED" else None, now)
    draft.update(failures=0, refusals=0, idle_answers=0)
    if status == "SUCCEEDED":
        end(draft, ExecutionStatus.SUCCEEDED, result=result, now=now)
    elif status == "FAILED":
        end(draft, ExecutionStatus.FAILED, error=error or {}, now=now)
    elif draft.unseen:
        draft.update(run_at=now)


def _against_protocol(draft: DurableDraft, status: Any, result: Any, error: Any) -> str:
    """What is wrong with an answer; empty where nothing is."""
    if status not in _STATUSES:
        return "Invalid Status in invocation output."
    if not isinstance(result, str | None) or not isinstance(error, dict | None):
        return "Invalid Result or Error in invocation output."
    if status == "SUCCEEDED" and error is not None:
        return "Cannot provide an Error for SUCCEEDED status."
    if status == "FAILED" and result is not None:
        return "Cannot provide a Result for FAILED status."
    most = draft.execution.result_limit_bytes
    if status == "SUCCEEDED" and result is not None and len(result.encode("utf-8", "replace")) > most:
        return f"Execution output payload size must be less than or equal to {most} bytes."
    return ""


def _cleaned(error: dict[str, Any]) -> dict[str, Any]:
    """An ``ErrorObject`` as a runtime gave it, without what is none of its members."""
    texts = {
        name: error[name] for name in ("ErrorMessage", "ErrorType", "ErrorData") if isinstance(error.get(name), str)
    }
    trace = error.get("StackTrace")
    return {**texts, "StackTrace": [str(line) for line in trace]} if isinstance(trace, list) else texts


def _has_reason_to_wait(draft: DurableDraft, invocation: RunningInvocation) -> bool:
    return draft.has_open_operations or bool(draft.unseen) or invocation.is_revoked


def _settle_pause(draft: DurableDraft) -> None:
    """The invocation that a pause has waited for is over."""
    if draft.execution.status is ExecutionStatus.PAUSING:
        draft.update(status=ExecutionStatus.PAUSED)


def _parsed(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
