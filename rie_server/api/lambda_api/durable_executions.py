"""The operations that look at durable executions, and those that stop, pause and forget them."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.durable_members import execution_arn, marked_number, marker_of, page_size, read_marker
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.enduring import ExecutionQuery
from rie_server.errors import InvalidParameterValueException
from rie_server.model.durable_description import describe_event, describe_execution, describe_in_list
from rie_server.model.durable_execution import ExecutionStatus


def get_durable_execution(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    stored = scope.durable.get(execution_arn(scope, members))
    with_data = members.get("IncludeExecutionData", True)
    return describe_execution(stored.execution, stored.input_payload, with_data=with_data)


def get_durable_execution_history(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    arn, size = execution_arn(scope, members), page_size(members)
    after = marked_number(members)
    stored = scope.durable.get(arn)
    newest_first = members.get("ReverseOrder", False)
    events = scope.durable.history(arn, after=after, most=size + 1, newest_first=newest_first)
    with_data = members.get("IncludeExecutionData", True)
    shown = [describe_event(event, stored.input_payload, with_data=with_data) for event in events[:size]]
    more = len(events) > size
    return {"Events": shown, "NextMarker": marker_of(shown[-1]["EventId"]) if more else None}


def list_durable_executions_by_function(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    statuses = members.get("Statuses", [])
    if len(statuses) > 1:
        raise InvalidParameterValueException("Cannot filter by more than one status")
    function, size = scope.function(members), page_size(members)
    after = _list_marker(members)
    record = scope.registry.get(function)
    # Deleted executions are gone at once, so none of them is ever in between.
    if statuses == ["DELETING"]:
        return {"DurableExecutions": []}
    query = ExecutionQuery(
        function_key=str(function.unqualified),
        version=None if function.qualifier is None else record.version,
        name=members.get("DurableExecutionName"),
        status=ExecutionStatus(statuses[0]) if statuses else None,
        started_after=members.get("StartedAfter"),
        started_before=members.get("StartedBefore"),
        oldest_first=members.get("ReverseOrder", False),
        after=after,
        most=size + 1,
    )
    found = scope.durable.list(query)
    last = found[size - 1] if len(found) > size else None
    return {
        "DurableExecutions": [describe_in_list(execution) for execution in found[:size]],
        "NextMarker": None if last is None else marker_of(repr(last.started_at), last.arn.id),
    }


def stop_durable_execution(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    stopped = scope.durable.stop(execution_arn(scope, members), members.get("Error"))
    return {"StopTimestamp": stopped.ended_at}


def pause_durable_execution(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.durable.pause(
        execution_arn(scope, members),
        reason=members.get("Reason"),
        stops_timeout=members.get("ExecutionTimeoutPaused", True),
        client_token=members.get("ClientToken"),
    )
    return {}


def resume_durable_execution(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.durable.resume(
        execution_arn(scope, members), reason=members.get("Reason"), client_token=members.get("ClientToken")
    )
    return {}


def delete_durable_execution(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"DeletionRequestTimestamp": scope.durable.delete(execution_arn(scope, members))}


def _list_marker(members: Mapping[str, Any]) -> tuple[float, str] | None:
    found = read_marker(members, parts=2)
    if found is None:
        return None
    try:
        return float(found[0]), found[1]
    except ValueError:
        raise InvalidParameterValueException("Invalid Marker") from None


OPERATIONS: Mapping[str, Operation] = {
    "GetDurableExecution": get_durable_execution,
    "GetDurableExecutionHistory": get_durable_execution_history,
    "ListDurableExecutionsByFunction": list_durable_executions_by_function,
    "StopDurableExecution": stop_durable_execution,
    "PauseDurableExecution": pause_durable_execution,
    "ResumeDurableExecution": resume_durable_execution,
    "DeleteDurableExecution": delete_durable_execution,
}
