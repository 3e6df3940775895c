"""Durable executions as callers and handlers see them: members of the API, and the event of an invocation.

Pure. The API has seconds, the event whole milliseconds.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rie_server.model.durable_config import described_config
from rie_server.model.durable_execution import DurableExecution, DurableOperation, OperationType
from rie_server.model.invocation import InvokeResult

# Which details of an operation are shown, by its type, and under which member.
_SHOWN: Mapping[OperationType, tuple[str, tuple[str, ...]]] = {
    OperationType.EXECUTION: ("ExecutionDetails", ("InputPayload",)),
    OperationType.CONTEXT: ("ContextDetails", ("ReplayChildren", "Result", "Error")),
    OperationType.STEP: ("StepDetails", ("Attempt", "NextAttemptTimestamp", "Result", "Error")),
    OperationType.WAIT: ("WaitDetails", ("ScheduledEndTimestamp",)),
    OperationType.CALLBACK: ("CallbackDetails", ("CallbackId", "Result", "Error")),
    OperationType.CHAINED_INVOKE: ("ChainedInvokeDetails", ("Result", "Error")),
}
_TIMES = frozenset({"StartTimestamp", "EndTimestamp", "NextAttemptTimestamp", "ScheduledEndTimestamp"})


def describe_operation(operation: DurableOperation, input_payload: str | None = None) -> dict[str, Any]:
    """``Operation`` of the API; ``input_payload`` for the one that is the execution itself."""
    member, names = _SHOWN[operation.type]
    known = {**operation.details, "InputPayload": input_payload}
    shown = {
        "Id": operation.id,
        "ParentId": operation.parent_id,
        "Name": operation.name,
        "Type": operation.type,
        "SubType": operation.sub_type,
        "StartTimestamp": operation.started_at,
        "EndTimestamp": operation.ended_at,
        "Status": operation.status,
        member: {name: known[name] for name in names if known.get(name) is not None},
    }
    return {name: value for name, value in shown.items() if value is not None}


def describe_execution(execution: DurableExecution, input_payload: str, *, with_data: bool) -> dict[str, Any]:
    """The output of GetDurableExecution."""
    shown = {
        **describe_in_list(execution),
        "Version": execution.arn.function.qualifier,
        "TraceHeader": {"XAmznTraceId": execution.trace_header} if execution.trace_header else None,
        "ExecutionDataIncluded": with_data,
        "DurableConfig": described_config(execution.config),
    }
    shown.pop("KMSKeyArn", None)
    if with_data:
        shown |= {"InputPayload": input_payload, "Result": execution.result, "Error": execution.error}
    if execution.pause is not None:
        shown["PauseDetails"] = {
            "PauseRequestTimestamp": execution.pause.requested_at,
            "Reason": execution.pause.reason if with_data else None,
            "ExecutionTimeoutPaused": execution.pause.stops_timeout,
        }
    if not execution.is_over:
        shown["ExpectedExecutionTimeoutTimestamp"] = execution.timeout_at
    return {name: value for name, value in shown.items() if value is not None}


def describe_in_list(execution: DurableExecution) -> dict[str, Any]:
    """``Execution`` of ListDurableExecutionsByFunction."""
    return {
        "DurableExecutionArn": str(execution.arn),
        "DurableExecutionName": execution.arn.name,
        "FunctionArn": str(execution.arn.function),
        "Status": execution.status,
        "StartTimestamp": execution.started_at,
        "EndTimestamp": execution.ended_at,
        "KMSKeyArn": execution.config.kms_key_arn,
    }


def describe_event(event: Mapping[str, Any], input_payload: str, *, with_data: bool) -> dict[str, Any]:
    """``Event`` of GetDurableExecutionHistory; without data the payloads are left out, and said to be."""
    shown = dict(event)
    if event["EventType"] == "ExecutionStarted":
        details = shown["ExecutionStartedDetails"]
        shown["ExecutionStartedDetails"] = {**details, "Input": {"Payload": input_payload, "Truncated": False}}
    return shown if with_data else _without_data(shown)


def invocation_event(
    execution: DurableExecution,
    operations: Iterable[DurableOperation],
    *,
    input_payload: str,
    marker: str | None,
    updated: Sequence[str],
) -> bytes:
    """The event that the handler of a durable function gets.

    Args:
        operations: the first page of its state.
        marker: where the next page begins.
        updated: ids of what has changed since the handler has seen the state.
    """
    described = (describe_operation(one, _input_of(execution, one, input_payload)) for one in operations)
    document = {
        "DurableExecutionArn": str(execution.arn),
        "CheckpointToken": execution.checkpoint_token,
        "InitialExecutionState": {
            "Operations": [in_milliseconds(one) for one in described],
            "NextMarker": marker or "",
        },
        "UpdatedOperationIds": list(updated),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def described_state(
    execution: DurableExecution, operations: Iterable[DurableOperation], input_payload: str
) -> list[dict[str, Any]]:
    """Operations for GetDurableExecutionState and CheckpointDurableExecution."""
    return [describe_operation(one, _input_of(execution, one, input_payload)) for one in operations]


def result_for_caller(execution: DurableExecution) -> InvokeResult:
    """What somebody gets who has waited for an execution that is over."""
    version, arn = execution.arn.function.qualifier or "", str(execution.arn)
    if execution.error is None:
        result = (execution.result or "").encode("utf-8", "replace")
        return InvokeResult(payload=result, function_error=None, executed_version=version, durable_execution_arn=arn)
    error = execution.error
    told = {
        "errorMessage": error.get("ErrorMessage", ""),
        "errorType": error.get("ErrorType"),
        "errorData": error.get("ErrorData"),
        "stackTrace": error.get("StackTrace"),
    }
    document = {name: value for name, value in told.items() if value is not None}
    return InvokeResult(
        payload=json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"),
        function_error="Unhandled",
        executed_version=version,
        durable_execution_arn=arn,
    )


def in_milliseconds(document: Mapping[str, Any]) -> dict[str, Any]:
    """``document`` with its times as an event has them."""
    return {
        name: round(value * 1000) if name in _TIMES else in_milliseconds(value) if isinstance(value, dict) else value
        for name, value in document.items()
    }


def _input_of(execution: DurableExecution, operation: DurableOperation, input_payload: str) -> str | None:
    return input_payload if operation.id == execution.arn.id else None


def _without_data(document: Mapping[str, Any]) -> dict[str, Any]:
    if "Truncated" in document:
        return {"Truncated": True}
    return {name: _without_data(value) if isinstance(value, dict) else value for name, value in document.items()}
