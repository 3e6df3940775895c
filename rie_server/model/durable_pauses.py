"""Pausing and resuming a durable execution, and forgetting one.

Pure: rules over a ``DurableDraft``. While an execution is paused its function is not invoked; its timers and callbacks
go on, and what they bring waits. An invocation that runs when the pause is asked for may go on until its next
checkpoint.
"""

from typing import Final

from rie_server.errors import ResourceConflictException
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import ClientRequest, ExecutionStatus, Pause
from rie_server.model.durable_life import farthest_timeout, make_due

# A request that is repeated with its ClientToken within this time has been carried out already.
REMEMBERED_SECONDS: Final = 900.0


def pause(
    draft: DurableDraft, *, reason: str | None, stops_timeout: bool, client_token: str | None, now: float
) -> None:
    """PauseDurableExecution.

    Raises:
        ResourceConflictException: the execution is over, or paused.
    """
    execution = draft.execution
    if _is_repeated(draft, "pause", client_token, now):
        return
    if execution.status is not ExecutionStatus.RUNNING:
        raise ResourceConflictException(f"Cannot pause a durable execution in status {execution.status}.")
    draft.update(
        status=ExecutionStatus.PAUSED if execution.invocation is None else ExecutionStatus.PAUSING,
        pause=Pause(requested_at=now, reason=reason, stops_timeout=stops_timeout),
        last_request=_request("pause", client_token, now),
    )
    if stops_timeout:
        # What is left of the time is kept as how far the timeout lies ahead of the pause; see ``resume``.
        draft.update(timeout_at=farthest_timeout(execution), timeout_left_seconds=execution.timeout_at - now)
    draft.record(
        "ExecutionPaused",
        now,
        PauseRequestTimestamp=now,
        Reason=None if reason is None else {"Payload": reason, "Truncated": False},
        ExecutionTimeoutPaused=stops_timeout,
    )


def resume(draft: DurableDraft, *, reason: str | None, client_token: str | None, now: float) -> None:
    """ResumeDurableExecution: the function is invoked if the pause interrupted it, or if something has ended since.

    Raises:
        ResourceConflictException: the execution is not paused.
    """
    if _is_repeated(draft, "resume", client_token, now):
        return
    execution = draft.execution
    if execution.pause is None or not execution.is_halted:
        raise ResourceConflictException(f"Cannot resume a durable execution in status {execution.status}.")
    if execution.timeout_left_seconds is not None:
        timeout_at = min(now + execution.timeout_left_seconds, farthest_timeout(execution))
        draft.update(timeout_at=timeout_at, timeout_left_seconds=None)
    draft.update(status=ExecutionStatus.RUNNING, pause=None, last_request=_request("resume", client_token, now))
    draft.record(
        "ExecutionResumed",
        now,
        ResumeRequestTimestamp=now,
        Reason=None if reason is None else {"Payload": reason, "Truncated": False},
    )
    if execution.run_at is not None:
        make_due(draft, now=now)


def check_deletable(draft: DurableDraft) -> None:
    """
    Raises:
        ResourceConflictException: the execution is not over, its invocation still runs, or somebody has yet to hear of
            its end.
    """
    execution = draft.execution
    if not execution.is_over or execution.invocation is not None or execution.owes_news:
        raise ResourceConflictException(f"Cannot delete a durable execution in status {draft.execution.status}.")


def _request(operation: str, client_token: str | None, now: float) -> ClientRequest | None:
    return None if client_token is None else ClientRequest(token=client_token, operation=operation, at=now)


def _is_repeated(draft: DurableDraft, operation: str, client_token: str | None, now: float) -> bool:
    last = draft.execution.last_request
    return (
        last is not None
        and (last.operation, last.token) == (operation, client_token)
        and now <= last.at + REMEMBERED_SECONDS
    )
