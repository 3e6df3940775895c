"""How a function's State and LastUpdateStatus move, and what may be done to it meanwhile.

Pure: from a record to the next one, or a refusal in AWS's words. The new revision id comes from the caller.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from rie_server.errors import LambdaError, PreconditionFailedException, ResourceConflictException
from rie_server.model.arn import FunctionArn
from rie_server.model.function_record import Deployment, FunctionRecord, LifeCycle, State, UpdateStatus

_CREATING: Final = "The function is being created."

# Where a function may go from each state; a failed one lives again after an update or a restart that mends it.
LEGAL_MOVES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.ACTIVE, State.FAILED}),
    State.ACTIVE: frozenset({State.ACTIVE, State.FAILED}),
    State.FAILED: frozenset({State.ACTIVE, State.FAILED}),
}


def created(
    arn: FunctionArn, deployment: Deployment, tags: Mapping[str, str], *, revision_id: str, last_modified: str
) -> FunctionRecord:
    """A new function: Pending, until its code is ready."""
    return FunctionRecord(
        arn=arn,
        current=deployment,
        serving=None,
        life=LifeCycle(state=State.PENDING, state_reason=_CREATING, state_reason_code="Creating"),
        tags=tags,
        revision_id=revision_id,
        last_modified=last_modified,
    )


def updated(record: FunctionRecord, deployment: Deployment, *, revision_id: str, last_modified: str) -> FunctionRecord:
    """An accepted update: InProgress, while invocations still run the former deployment."""
    return replace(
        record,
        current=deployment,
        life=replace(
            record.life,
            update_status=UpdateStatus.IN_PROGRESS,
            update_reason=_CREATING,
            update_reason_code="Creating",
        ),
        revision_id=revision_id,
        last_modified=last_modified,
    )


def activated(record: FunctionRecord, deployment: Deployment, *, revision_id: str) -> FunctionRecord:
    """``deployment`` (the current one, with what preparing has found out) runs from now on."""
    return replace(
        record,
        current=deployment,
        serving=deployment,
        life=LifeCycle(state=_move(record, State.ACTIVE), update_status=UpdateStatus.SUCCESSFUL),
        revision_id=revision_id,
    )


def refused(record: FunctionRecord, reason: str, reason_code: str, *, revision_id: str) -> FunctionRecord:
    """The current deployment cannot run: a failed update leaves the former one in service, anything else nothing."""
    if record.life.update_status is UpdateStatus.IN_PROGRESS and record.serving is not None:
        life = replace(
            record.life,
            update_status=UpdateStatus.FAILED,
            update_reason=reason,
            update_reason_code=reason_code,
        )
        return replace(record, life=life, revision_id=revision_id)
    updating = record.life.update_status is UpdateStatus.IN_PROGRESS
    life = LifeCycle(
        state=_move(record, State.FAILED),
        state_reason=reason,
        state_reason_code=reason_code,
        update_status=UpdateStatus.FAILED if updating else record.life.update_status,
        update_reason=reason if updating else None,
        update_reason_code=reason_code if updating else None,
    )
    return replace(record, serving=None, life=life, revision_id=revision_id)


def is_settled(record: FunctionRecord) -> bool:
    """Nothing is under way: neither creation nor update."""
    return record.life.state is not State.PENDING and record.life.update_status is not UpdateStatus.IN_PROGRESS


def check_updatable(record: FunctionRecord, revision_id: str | None) -> None:
    """Lets an update begin.

    Raises:
        PreconditionFailedException: ``revision_id`` is given and is not the latest.
        ResourceConflictException: the function is Pending, or another update is in progress.
    """
    if revision_id is not None and revision_id != record.revision_id:
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        )
    if record.life.state is State.PENDING:
        raise not_invocable(record)
    if record.life.update_status is UpdateStatus.IN_PROGRESS:
        raise ResourceConflictException(
            f"The operation cannot be performed at this time. An update is in progress for resource: {record.arn}"
        )


def not_invocable(record: FunctionRecord) -> LambdaError:
    """Why a function that serves nothing cannot be used now."""
    return ResourceConflictException(
        "The operation cannot be performed at this time. "
        f"The function is currently in the following state: {record.life.state}"
    )


def timestamp(epoch_seconds: float) -> str:
    """As ``LastModified`` shows it: ``2026-01-01T00:00:00.000+0000``."""
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _move(record: FunctionRecord, state: State) -> State:
    if state not in LEGAL_MOVES[record.life.state]:
        raise ValueError(f"{record.arn} cannot go from {record.life.state} to {state}")
    return state
