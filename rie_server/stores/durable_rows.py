"""Durable executions and operations as rows. Pure."""

from collections.abc import Sequence
from typing import Any

from rie_server.model.durable_document import execution_document, operation_document
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableOperation


def execution_row(draft: DurableDraft) -> dict[str, Any]:
    """Everything but the id, the input, and how long the lease lasts."""
    execution = draft.execution
    function = execution.arn.function
    return {
        "function_key": str(function.unqualified),
        "version": function.qualifier or "",
        "name": execution.arn.name,
        "is_plain": execution.is_plain,
        "status": str(execution.status),
        "started_at": execution.started_at,
        "wake_at": draft.wake_at,
        "expires_at": execution.expires_at,
        "document": execution_document(execution),
        "lease_owner": None if execution.invocation is None else execution.invocation.owner,
    }


def operation_row(execution_id: str, operation: DurableOperation) -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "id": operation.id,
        "sequence": operation.sequence,
        "touched": operation.touched,
        "parent_id": operation.parent_id,
        "is_open": operation.is_open,
        "hides_children": operation.hides_children,
        "document": operation_document(operation),
    }


def event_rows(draft: DurableDraft) -> Sequence[dict[str, Any]]:
    execution_id = draft.execution.arn.id
    return [
        {"execution_id": execution_id, "number": event["EventId"], "document": dict(event)} for event in draft.events
    ]
