"""What each kind of operation makes of an update in a checkpoint.

Pure: rules over a ``DurableDraft``; what an update may be was checked before (``durable_checks``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rie_server.limits import DURABLE_EXECUTION_SECONDS_MAXIMUM
from rie_server.model.arn import FunctionArn
from rie_server.model.durable_checks import Update
from rie_server.model.durable_config import DurableConfig
from rie_server.model.durable_draft import DurableDraft, error_payload, payload
from rie_server.model.durable_execution import (
    DurableOperation,
    ErrorObject,
    ExecutionStatus,
    OperationStatus,
    OperationType,
    ParentOperation,
)
from rie_server.model.durable_life import Beginning, begun, end
from rie_server.model.durable_names import DurableArn, callback_id
from rie_server.model.recursion import hop

# An ordinary function is over when it has run once; how long that may take is its own matter.
_PLAIN = DurableConfig(execution_timeout_seconds=DURABLE_EXECUTION_SECONDS_MAXIMUM)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedTarget:
    """What a CHAINED_INVOKE invokes.

    Attributes:
        function: as it is to be invoked.
        version: that runs.
        config: None for a function that is not durable.
        name: of the execution that begins; ``execution_id`` likewise, a UUID.
        error: why it cannot be invoked.
    """

    function: FunctionArn
    version: str = ""
    config: DurableConfig | None = None
    name: str = ""
    execution_id: str = ""
    error: ErrorObject | None = None


def apply_update(
    draft: DurableDraft, current: DurableOperation | None, update: Update, target: ChainedTarget | None, *, now: float
) -> None:
    """
    Args:
        current: the operation as it stands, if it is there.
        target: of a CHAINED_INVOKE.
    """
    kind = OperationType(update["Type"])
    if kind is OperationType.CHAINED_INVOKE:
        _chained_invoke(draft, update, target, now)
    else:
        _APPLY[kind](draft, current, update, now)


def end_chained(
    draft: DurableDraft,
    operation: DurableOperation,
    status: OperationStatus,
    *,
    result: str | None,
    error: ErrorObject | None,
    now: float,
) -> None:
    """What a CHAINED_INVOKE has invoked is over."""
    succeeded = status is OperationStatus.SUCCEEDED
    outcome = {"Result": result} if succeeded else {"Error": dict(error or {})}
    ended = draft.put(_changed(operation, status, now, **outcome))
    told = {"Result": payload(result)} if succeeded else {"Error": error_payload(error)}
    draft.record(_CHAINED_EVENTS[status], now, ended, **told)


def _new(update: Update, now: float) -> DurableOperation:
    return DurableOperation(
        id=update["Id"],
        sequence=0,
        touched=0,
        type=OperationType(update["Type"]),
        status=OperationStatus.STARTED,
        started_at=now,
        parent_id=update.get("ParentId"),
        name=update.get("Name"),
        sub_type=update.get("SubType"),
    )


def _changed(
    operation: DurableOperation, status: OperationStatus, now: float, *, due_at: float | None = None, **details: Any
) -> DurableOperation:
    """``operation`` in another status; a detail that is None goes."""
    is_over = status not in {OperationStatus.STARTED, OperationStatus.PENDING}
    known = {**operation.details, **details}
    return replace(
        operation,
        status=status,
        ended_at=now if is_over else None,
        due_at=due_at,
        details={name: value for name, value in known.items() if value is not None},
    )


def _step(draft: DurableDraft, current: DurableOperation | None, update: Update, now: float) -> None:
    operation, action = current or _new(update, now), update["Action"]
    attempt: int = operation.details.get("Attempt", 0)
    if action == "START":
        begins = _changed(operation, OperationStatus.STARTED, now, Attempt=attempt, NextAttemptTimestamp=None)
        draft.record("StepStarted", now, draft.put(begins))
        return
    result, error = update.get("Payload"), update.get("Error")
    outcome = {"Attempt": attempt + 1, "Result": result, "Error": error}
    retry = {"CurrentAttempt": attempt + 1}
    if action == "RETRY":
        delay_seconds = update["StepOptions"]["NextAttemptDelaySeconds"]
        due_at = now + delay_seconds
        retry["NextAttemptDelaySeconds"] = delay_seconds
        changed = _changed(
            operation, OperationStatus.PENDING, now, due_at=due_at, **outcome, NextAttemptTimestamp=due_at
        )
    else:
        changed = _changed(operation, _CLOSING[action], now, **outcome, NextAttemptTimestamp=None)
    operation = draft.put(changed)
    if error is not None or action == "FAIL":
        draft.record("StepFailed", now, operation, Error=error_payload(error), RetryDetails=retry)
    else:
        draft.record("StepSucceeded", now, operation, Result=payload(result), RetryDetails=retry)


def _context(draft: DurableDraft, current: DurableOperation | None, update: Update, now: float) -> None:
    operation, action = current or _new(update, now), update["Action"]
    if action == "START":
        draft.record("ContextStarted", now, draft.put(operation))
        return
    result, error = update.get("Payload"), update.get("Error")
    replays = update.get("ContextOptions", {}).get("ReplayChildren")
    ended = draft.put(_changed(operation, _CLOSING[action], now, Result=result, Error=error, ReplayChildren=replays))
    if action == "SUCCEED":
        draft.record("ContextSucceeded", now, ended, Result=payload(result))
    else:
        draft.record("ContextFailed", now, ended, Error=error_payload(error))


def _wait(draft: DurableDraft, current: DurableOperation | None, update: Update, now: float) -> None:
    operation = current or _new(update, now)
    if update["Action"] == "CANCEL":
        cancelled = draft.put(_changed(operation, OperationStatus.CANCELLED, now))
        error = update.get("Error")
        draft.record("WaitCancelled", now, cancelled, Error=None if error is None else error_payload(error))
        return
    timer = {"Duration": update["WaitOptions"]["WaitSeconds"]}
    until = now + timer["Duration"]
    begins = _changed(operation, OperationStatus.STARTED, now, due_at=until, **timer, ScheduledEndTimestamp=until)
    draft.record("WaitStarted", now, draft.put(begins), **timer, ScheduledEndTimestamp=until)


def _callback(draft: DurableDraft, _current: DurableOperation | None, update: Update, now: float) -> None:
    options = update.get("CallbackOptions", {})
    timeout_seconds = options.get("TimeoutSeconds") or None
    heartbeat_seconds = options.get("HeartbeatTimeoutSeconds") or None
    timeout_at = None if timeout_seconds is None else now + timeout_seconds
    heartbeat_at = None if heartbeat_seconds is None else now + heartbeat_seconds
    name = callback_id(draft.execution.arn.id, update["Id"])
    begins = _changed(
        _new(update, now),
        OperationStatus.STARTED,
        now,
        due_at=min((moment for moment in (timeout_at, heartbeat_at) if moment is not None), default=None),
        CallbackId=name,
        HeartbeatSeconds=heartbeat_seconds,
        TimeoutAt=timeout_at,
    )
    draft.record(
        "CallbackStarted",
        now,
        draft.put(begins),
        CallbackId=name,
        Timeout=timeout_seconds,
        HeartbeatTimeout=heartbeat_seconds,
    )


def _chained_invoke(draft: DurableDraft, update: Update, target: ChainedTarget | None, now: float) -> None:
    options = update["ChainedInvokeOptions"]
    told = {"FunctionName": options["FunctionName"], "TenantId": options.get("TenantId")}
    operation = draft.put(_changed(_new(update, now), OperationStatus.STARTED, now, **told))
    if target is None or target.error is not None:
        # Where nothing begins the history does not keep the input either.
        draft.record("ChainedInvokeStarted", now, operation, **told)
        error = None if target is None else target.error
        end_chained(draft, operation, OperationStatus.FAILED, result=None, error=error, now=now)
        return
    child = _child(draft, update, target, now)
    given = update.get("Payload")
    draft.children.append((child, "{}" if given is None else given))
    draft.record(
        "ChainedInvokeStarted",
        now,
        operation,
        **told,
        Input=payload(given),
        ExecutedVersion=target.version,
        DurableExecutionArn=None if child.execution.is_plain else str(child.execution.arn),
    )


def _child(draft: DurableDraft, update: Update, target: ChainedTarget, now: float) -> DurableDraft:
    """The execution of the function that is invoked; an ordinary one has one, too, until it has run."""
    options, parent = update["ChainedInvokeOptions"], draft.execution
    is_plain = target.config is None
    function = target.function if is_plain else target.function.qualified(target.version)
    return begun(
        Beginning(
            arn=DurableArn(function=function, name=target.name, id=target.execution_id),
            config=target.config or _PLAIN,
            # With the invoking function in its lineage, so that a loop of executions is found.
            trace_header=options.get("XAmznTraceId") or hop(parent.trace_header, parent.arn.function).trace_header,
            tenant_id=options.get("TenantId"),
            parent=ParentOperation(execution_id=parent.arn.id, operation_id=update["Id"]),
            is_plain=is_plain,
        ),
        now=now,
    )


def _execution(draft: DurableDraft, _current: DurableOperation | None, update: Update, now: float) -> None:
    if update["Action"] == "SUCCEED":
        end(draft, ExecutionStatus.SUCCEEDED, result=update.get("Payload"), now=now)
    else:
        end(draft, ExecutionStatus.FAILED, error=update.get("Error") or {}, now=now)


_CLOSING = {"SUCCEED": OperationStatus.SUCCEEDED, "FAIL": OperationStatus.FAILED}
_APPLY: Mapping[OperationType, Callable[[DurableDraft, DurableOperation | None, Update, float], None]] = {
    OperationType.STEP: _step,
    OperationType.CONTEXT: _context,
    OperationType.WAIT: _wait,
    OperationType.CALLBACK: _callback,
    OperationType.EXECUTION: _execution,
}
_CHAINED_EVENTS = {
    OperationStatus.SUCCEEDED: "ChainedInvokeSucceeded",
    OperationStatus.FAILED: "ChainedInvokeFailed",
    OperationStatus.TIMED_OUT: "ChainedInvokeTimedOut",
    OperationStatus.STOPPED: "ChainedInvokeStopped",
}
