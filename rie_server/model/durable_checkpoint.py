"""What a checkpoint does to a durable execution.

Pure: rules over a ``DurableDraft``. All updates of a checkpoint are applied, or none. Each checkpoint uses up its
token; one that is sent again with the same ClientToken, because its answer was lost, is answered again and changes
nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rie_server.errors import InvalidParameterValueException
from rie_server.model.durable_checks import Update, check_batch, check_update
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import (
    DurableExecution,
    DurableOperation,
    ErrorObject,
    ExecutionStatus,
    LastCheckpoint,
    OperationStatus,
    OperationType,
)
from rie_server.model.durable_life import fire_timers, make_due
from rie_server.model.durable_names import parse_checkpoint_token
from rie_server.model.durable_updates import ChainedTarget, apply_update, end_chained


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointAnswer:
    """
    Attributes:
        token: for the next checkpoint; None where there is to be none.
        operations: what the handler did not know.
    """

    token: str | None
    operations: Sequence[DurableOperation]


def check_token(draft: DurableDraft | None, token: str, execution_id: str) -> DurableDraft:
    """The execution, if ``token`` is that of its running invocation after its last checkpoint.

    Raises:
        InvalidParameterValueException: it is not.
    """
    parsed = parse_checkpoint_token(token)
    if parsed is not None and parsed.execution_id != execution_id:
        raise InvalidParameterValueException("Checkpoint token is not valid for the durable execution ARN")
    if parsed is None or draft is None:
        raise InvalidParameterValueException("Invalid checkpoint token")
    execution = draft.execution
    invocation = execution.invocation
    if (
        execution.is_over
        or invocation is None
        or invocation.is_revoked
        or (parsed.invocation_id, parsed.sequence) != (invocation.id, execution.token)
    ):
        raise InvalidParameterValueException("Invalid checkpoint token")
    return draft


def answered_again(draft: DurableDraft, token: str, client_token: str | None) -> CheckpointAnswer | None:
    """The answer to the last checkpoint of the running invocation, if this is the same one."""
    last = draft.execution.last_checkpoint
    if (
        last is None
        or draft.execution.invocation is None
        or client_token is None
        or (last.client_token, last.token) != (client_token, token)
    ):
        return None
    known = (draft.operations.get(one) for one in last.operation_ids)
    return CheckpointAnswer(
        token=draft.execution.checkpoint_token, operations=[one for one in known if one is not None]
    )


def checkpoint(
    draft: DurableDraft,
    updates: Sequence[Update],
    *,
    client_token: str | None,
    targets: Mapping[str, ChainedTarget],
    now: float,
) -> CheckpointAnswer:
    """Applies the updates of the running invocation, whose token has been checked.

    Args:
        targets: by the ids of the CHAINED_INVOKEs that begin here.

    Raises:
        InvalidParameterValueException: one of the updates is not allowed; nothing was changed that counts.
    """
    token = draft.execution.checkpoint_token
    check_batch(draft, updates)
    for update in updates:
        current = None if update["Type"] == OperationType.EXECUTION else draft.operations.get(update["Id"])
        check_update(current, update, result_limit_bytes=draft.execution.result_limit_bytes)
        apply_update(draft, current, update, targets.get(update["Id"]), now=now)
    draft.update(token=draft.execution.token + 1)
    if draft.execution.is_over:
        return CheckpointAnswer(token=None, operations=draft.unseen)
    if draft.execution.status is ExecutionStatus.PAUSING:
        return _paused(draft, now=now)
    # What has come due meanwhile is told at once: the branch that waits for it goes on in this invocation.
    fire_timers(draft, now=now)
    unseen = draft.unseen
    last = None
    if client_token is not None:
        last = LastCheckpoint(client_token=client_token, token=token, operation_ids=tuple(one.id for one in unseen))
    draft.update(seen=draft.execution.changes, last_checkpoint=last)
    return CheckpointAnswer(token=draft.execution.checkpoint_token, operations=unseen)


def chained_ended(
    draft: DurableDraft,
    operation_id: str,
    status: OperationStatus,
    *,
    result: str | None,
    error: ErrorObject | None,
    now: float,
) -> None:
    """The function that a CHAINED_INVOKE has invoked is over. An execution that is over itself does not care."""
    operation = draft.operations.get(operation_id)
    if operation is None or operation.status is not OperationStatus.STARTED or draft.execution.is_over:
        return
    end_chained(draft, operation, status, result=result, error=error, now=now)
    make_due(draft, now=now)


def chained_outcome(child: DurableExecution) -> tuple[OperationStatus, str | None, ErrorObject | None]:
    """What the CHAINED_INVOKE that began ``child``, which is over, has come to: status, result, error."""
    if child.status is ExecutionStatus.SUCCEEDED:
        return OperationStatus.SUCCEEDED, child.result, None
    if child.status is ExecutionStatus.TIMED_OUT:
        seconds = child.config.execution_timeout_seconds
        error = {
            "ErrorMessage": f"CHAINED_INVOKE timed out after {seconds} seconds.",
            "ErrorType": "ChainedInvoke.Timeout",
        }
        return OperationStatus.TIMED_OUT, None, error
    return OperationStatus(child.status), None, child.error


def _paused(draft: DurableDraft, *, now: float) -> CheckpointAnswer:
    """The updates count, but the invocation is to end here; it is continued when the execution is resumed."""
    invocation = draft.execution.invocation
    if invocation is not None:
        draft.update(
            status=ExecutionStatus.PAUSED,
            invocation=replace(invocation, is_revoked=True),
            last_checkpoint=None,
            run_at=now,
        )
    return CheckpointAnswer(token=None, operations=())
