"""What somebody outside makes of a callback: success, failure, or a sign of life.

Pure: rules over a ``DurableDraft``. A callback can be answered once, and not after its time.
"""

from dataclasses import replace

from rie_server.errors import CallbackTimeoutException
from rie_server.model.durable_draft import DurableDraft, error_payload, payload
from rie_server.model.durable_execution import DurableOperation, ErrorObject, OperationStatus, OperationType
from rie_server.model.durable_life import make_due


def succeed(draft: DurableDraft | None, operation_id: str, result: str | None, *, now: float) -> None:
    """SendDurableExecutionCallbackSuccess.

    Raises:
        CallbackTimeoutException: nobody waits for it any more.
    """
    draft, operation = _waiting(draft, operation_id, now)
    details = operation.details if result is None else {**operation.details, "Result": result}
    ended = replace(operation, status=OperationStatus.SUCCEEDED, ended_at=now, due_at=None, details=details)
    draft.record("CallbackSucceeded", now, draft.put(ended), Result=payload(result))
    make_due(draft, now=now)


def fail(draft: DurableDraft | None, operation_id: str, error: ErrorObject | None, *, now: float) -> None:
    """SendDurableExecutionCallbackFailure.

    Raises:
        CallbackTimeoutException: nobody waits for it any more.
    """
    draft, operation = _waiting(draft, operation_id, now)
    details = {**operation.details, "Error": dict(error or {})}
    ended = replace(operation, status=OperationStatus.FAILED, ended_at=now, due_at=None, details=details)
    draft.record("CallbackFailed", now, draft.put(ended), Error=error_payload(error))
    make_due(draft, now=now)


def beat(draft: DurableDraft | None, operation_id: str, *, now: float) -> None:
    """SendDurableExecutionCallbackHeartbeat: the time until the next one begins anew.

    Raises:
        CallbackTimeoutException: nobody waits for it any more.
    """
    draft, operation = _waiting(draft, operation_id, now)
    seconds = operation.details.get("HeartbeatSeconds")
    if seconds is not None:
        moments = (operation.details.get("TimeoutAt"), now + seconds)
        due_at = min(moment for moment in moments if moment is not None)
        # The handler learns nothing new from it.
        draft.keep(replace(operation, due_at=due_at))


def _waiting(draft: DurableDraft | None, operation_id: str, now: float) -> tuple[DurableDraft, DurableOperation]:
    operation = None if draft is None or draft.execution.is_over else draft.operations.get(operation_id)
    if (
        draft is None
        or operation is None
        or operation.type is not OperationType.CALLBACK
        or operation.status is not OperationStatus.STARTED
        or (operation.due_at is not None and operation.due_at <= now)
    ):
        raise CallbackTimeoutException("The callback is either timed out or already completed")
    return draft, operation
