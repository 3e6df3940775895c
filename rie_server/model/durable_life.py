"""How a durable execution goes from its beginning to its end: what follows from time, and from a person.

Pure: rules over a ``DurableDraft``. One invocation at a time works on an execution. Whatever ends without it (a timer,
a callback, another function) makes the function due; what ends while it runs comes with its next checkpoint, or makes
it due once more. An execution that has ended never changes again.
"""

import math
from dataclasses import dataclass, replace

from rie_server.errors import InvalidParameterValueException
from rie_server.limits import DURABLE_EXECUTION_SECONDS_MAXIMUM, DURABLE_PAYLOAD_BYTES, DURABLE_SYNCHRONOUS_SECONDS
from rie_server.model.durable_config import DurableConfig
from rie_server.model.durable_draft import DurableDraft, error_payload, payload
from rie_server.model.durable_execution import (
    DurableExecution,
    DurableOperation,
    ErrorObject,
    EventOrigin,
    ExecutionStatus,
    OperationStatus,
    OperationType,
    ParentOperation,
    RunningInvocation,
)
from rie_server.model.durable_names import DurableArn

_ENDING_EVENTS = {
    ExecutionStatus.SUCCEEDED: "ExecutionSucceeded",
    ExecutionStatus.FAILED: "ExecutionFailed",
    ExecutionStatus.TIMED_OUT: "ExecutionTimedOut",
    ExecutionStatus.STOPPED: "ExecutionStopped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a new execution is made of, apart from its input."""

    arn: DurableArn
    config: DurableConfig
    trace_header: str
    tenant_id: str | None = None
    result_limit_bytes: int = DURABLE_PAYLOAD_BYTES
    parent: ParentOperation | None = None
    origin: EventOrigin | None = None
    is_plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """An invocation that is to begin now.

    Attributes:
        updated: ids of the operations that have changed since the handler has seen the state.
    """

    invocation: RunningInvocation
    updated: tuple[str, ...]


def begun(beginning: Beginning, *, now: float) -> DurableDraft:
    """A new execution, due at once. It begins at a whole millisecond: callers list executions by that time, and no
    client carries more digits.
    """
    now = math.floor(now * 1000) / 1000
    config = beginning.config
    execution = DurableExecution(
        arn=beginning.arn,
        status=ExecutionStatus.RUNNING,
        started_at=now,
        config=config,
        timeout_at=now + config.execution_timeout_seconds,
        trace_header=beginning.trace_header,
        tenant_id=beginning.tenant_id,
        result_limit_bytes=beginning.result_limit_bytes,
        is_plain=beginning.is_plain,
        parent=beginning.parent,
        origin=beginning.origin,
        run_at=now,
    )
    draft = DurableDraft(execution)
    if not beginning.is_plain:
        itself = draft.put(
            DurableOperation(
                id=beginning.arn.id,
                name=beginning.arn.name,
                sequence=0,
                touched=0,
                type=OperationType.EXECUTION,
                status=OperationStatus.STARTED,
                started_at=now,
            )
        )
        # The input is kept once, with the execution, however often it is shown.
        draft.record(
            "ExecutionStarted",
            now,
            itself,
            Input=payload(None),
            ExecutionTimeout=config.execution_timeout_seconds,
        )
    return draft


def wake(draft: DurableDraft, *, invocation_id: str, owner: str, now: float) -> NextRun | None:
    """What is due: the end of the time, timers, and the next invocation, which is returned if it is to begin now."""
    execution = draft.execution
    if execution.is_over:
        return None
    if execution.timeout_at <= now:
        seconds = execution.config.execution_timeout_seconds
        end(
            draft,
            ExecutionStatus.TIMED_OUT,
            error={"ErrorMessage": f"Execution timed out after {seconds} seconds."},
            now=now,
        )
        return None
    fire_timers(draft, now=now)
    execution = draft.execution
    is_due = execution.run_at is not None and execution.run_at <= now
    if execution.invocation is not None or not is_due or execution.is_halted:
        return None
    invocation = RunningInvocation(id=invocation_id, owner=owner, started_at=now)
    updated = tuple(one.id for one in draft.unseen if one.type is not OperationType.EXECUTION)
    # The state that comes with the invocation shows everything that has happened until now.
    draft.update(invocation=invocation, run_at=None, seen=execution.changes, last_checkpoint=None)
    return NextRun(invocation=invocation, updated=updated)


def fire_timers(draft: DurableDraft, *, now: float) -> None:
    """Ends waits, readies steps for their next attempt, and gives up callbacks, where their time has come."""
    due = [one for one in draft.operations.values() if one.is_open and one.due_at is not None and one.due_at <= now]
    for operation in sorted(due, key=lambda one: (one.due_at or 0.0, one.sequence)):
        if operation.type is OperationType.WAIT:
            ended = replace(operation, status=OperationStatus.SUCCEEDED, ended_at=now, due_at=None)
            draft.record("WaitSucceeded", now, draft.put(ended), Duration=operation.details.get("Duration"))
        elif operation.type is OperationType.STEP:
            details = {name: value for name, value in operation.details.items() if name != "NextAttemptTimestamp"}
            draft.put(replace(operation, status=OperationStatus.READY, due_at=None, details=details))
        elif operation.type is OperationType.CALLBACK:
            give_up_callback(draft, operation, now=now)
    if due:
        make_due(draft, now=now)


def give_up_callback(draft: DurableDraft, operation: DurableOperation, *, now: float) -> None:
    """The callback has not come, or its heartbeat has not."""
    timeout_at = operation.details.get("TimeoutAt")
    if timeout_at is not None and timeout_at <= now:
        error = {"ErrorMessage": "Callback timed out", "ErrorType": "Callback.Timeout"}
    else:
        error = {"ErrorMessage": "Callback timed out on heartbeat", "ErrorType": "Callback.Heartbeat"}
    ended = replace(
        operation,
        status=OperationStatus.TIMED_OUT,
        ended_at=now,
        due_at=None,
        details={**operation.details, "Error": error},
    )
    draft.record("CallbackTimedOut", now, draft.put(ended), Error=error_payload(error))


def make_due(draft: DurableDraft, *, now: float) -> None:
    """Something has ended that the function waits for. While it runs, it is told by its next checkpoint."""
    execution = draft.execution
    if not execution.is_over and execution.invocation is None:
        draft.update(run_at=now if execution.run_at is None else min(execution.run_at, now))


def end(
    draft: DurableDraft,
    status: ExecutionStatus,
    *,
    now: float,
    result: str | None = None,
    error: ErrorObject | None = None,
) -> None:
    """The execution is over. What still runs in it is not waited for."""
    draft.update(status=status, ended_at=now, result=result, error=error, run_at=None, pause=None, last_checkpoint=None)
    execution = draft.execution
    itself = draft.operations.get(execution.arn.id)
    if itself is not None:
        itself = draft.put(replace(itself, status=OperationStatus(status), ended_at=now))
    if execution.is_plain:
        return
    if status is ExecutionStatus.SUCCEEDED:
        draft.record(_ENDING_EVENTS[status], now, itself, Result=payload(result))
    else:
        draft.record(_ENDING_EVENTS[status], now, itself, Error=error_payload(error))


def stop(draft: DurableDraft, error: ErrorObject | None, *, now: float) -> None:
    """StopDurableExecution; nothing changes where the execution has ended already."""
    if not draft.execution.is_over:
        end(draft, ExecutionStatus.STOPPED, error=error or {}, now=now)


def lose_invocation(draft: DurableDraft, owner: str, *, now: float) -> None:
    """The server that ran the function is gone: it is run again, from the last checkpoint."""
    invocation = draft.execution.invocation
    if invocation is None or invocation.owner != owner:
        return
    draft.update(invocation=None)
    if draft.execution.status is ExecutionStatus.PAUSING:
        draft.update(status=ExecutionStatus.PAUSED)
    make_due(draft, now=now)


def news_told(draft: DurableDraft) -> None:
    """Whoever had to hear how this execution ended knows by now."""
    parent, origin = draft.execution.parent, draft.execution.origin
    if parent is not None:
        draft.update(parent=replace(parent, is_told=True))
    if origin is not None:
        draft.update(origin=replace(origin, is_told=True))


def farthest_timeout(execution: DurableExecution) -> float:
    """No execution lives longer than this, paused or not."""
    return execution.started_at + DURABLE_EXECUTION_SECONDS_MAXIMUM


def check_startable(config: DurableConfig, *, qualifier: str | None, waits: bool) -> None:
    """Whether an execution may begin like this.

    Args:
        waits: the caller waits for the result, and no caller waits for more than 15 minutes.

    Raises:
        InvalidParameterValueException: in AWS's words.
    """
    if qualifier is None:
        raise InvalidParameterValueException("You cannot invoke a durable function using an unqualified ARN.")
    if waits and config.execution_timeout_seconds > DURABLE_SYNCHRONOUS_SECONDS:
        raise InvalidParameterValueException(
            "You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes."
        )
