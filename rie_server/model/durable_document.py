"""Durable executions and operations as JSON documents for the store, and back.

Pure. What is looked for (status, times, names) lies in columns of its own, too; the document alone is complete.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rie_server.model.arn import FunctionArn
from rie_server.model.durable_config import DurableConfig
from rie_server.model.durable_execution import (
    ClientRequest,
    DurableExecution,
    DurableOperation,
    EventOrigin,
    ExecutionStatus,
    LastCheckpoint,
    OperationStatus,
    OperationType,
    ParentOperation,
    Pause,
    RunningInvocation,
)
from rie_server.model.durable_names import DurableArn

_NESTED = {
    "parent": ParentOperation,
    "origin": EventOrigin,
    "invocation": RunningInvocation,
    "pause": Pause,
    "last_request": ClientRequest,
}


def execution_document(execution: DurableExecution) -> dict[str, Any]:
    document = {name: value for name, value in asdict(execution).items() if value is not None}
    document["arn"] = {**document["arn"], "function": asdict(execution.arn.function)}
    return document


def execution_of(document: Mapping[str, Any]) -> DurableExecution:
    members = dict(document)
    arn = members.pop("arn")
    last = members.pop("last_checkpoint", None)
    for name, kind in _NESTED.items():
        if name in members:
            members[name] = kind(**members[name])
    return DurableExecution(
        **{
            **members,
            "arn": DurableArn(function=FunctionArn(**arn["function"]), name=arn["name"], id=arn["id"]),
            "config": DurableConfig(**members["config"]),
            "status": ExecutionStatus(members["status"]),
            "last_checkpoint": None
            if last is None
            else LastCheckpoint(**{**last, "operation_ids": tuple(last["operation_ids"])}),
        }
    )


def operation_document(operation: DurableOperation) -> dict[str, Any]:
    return {name: value for name, value in asdict(operation).items() if value is not None}


def operation_of(document: Mapping[str, Any]) -> DurableOperation:
    members = dict(document)
    members["type"], members["status"] = OperationType(members["type"]), OperationStatus(members["status"])
    return DurableOperation(**members)
