"""The operations that a durable function's SDK calls while it runs: its checkpoints, and the state for a replay."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.durable_members import execution_arn, page_size
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.durable.executions import CheckpointRequest
from rie_server.errors import InvalidParameterValueException
from rie_server.model.durable_description import described_state


def checkpoint_durable_execution(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    stored, answer = scope.durable.checkpoint(
        CheckpointRequest(
            arn=execution_arn(scope, members),
            token=members["CheckpointToken"],
            updates=members.get("Updates", []),
            client_token=members.get("ClientToken"),
        )
    )
    operations = described_state(stored.execution, answer.operations, stored.input_payload)
    return {"CheckpointToken": answer.token, "NewExecutionState": {"Operations": operations}}


def get_durable_execution_state(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    marker = members.get("Marker") or "0"
    if not (marker.isascii() and marker.isdecimal()):
        raise InvalidParameterValueException("Invalid Marker")
    stored, page = scope.durable.state(
        execution_arn(scope, members), members["CheckpointToken"], after=int(marker), most=page_size(members)
    )
    return {
        "Operations": described_state(stored.execution, page.operations, stored.input_payload),
        "NextMarker": None if page.after is None else str(page.after),
    }


OPERATIONS: Mapping[str, Operation] = {
    "CheckpointDurableExecution": checkpoint_durable_execution,
    "GetDurableExecutionState": get_durable_execution_state,
}
