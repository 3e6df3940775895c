"""The operations by which somebody outside answers a callback of a durable execution."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.scope import Operation, Scope


def send_durable_execution_callback_success(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    result = members.get("Result")
    text = None if not result else result.decode("utf-8", "replace")
    scope.durable.succeed_callback(members["CallbackId"], text, region=scope.region, account=scope.account)
    return {}


def send_durable_execution_callback_failure(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    error = members.get("Error")
    scope.durable.fail_callback(members["CallbackId"], error, region=scope.region, account=scope.account)
    return {}


def send_durable_execution_callback_heartbeat(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.durable.beat_callback(members["CallbackId"], region=scope.region, account=scope.account)
    return {}


OPERATIONS: Mapping[str, Operation] = {
    "SendDurableExecutionCallbackSuccess": send_durable_execution_callback_success,
    "SendDurableExecutionCallbackFailure": send_durable_execution_callback_failure,
    "SendDurableExecutionCallbackHeartbeat": send_durable_execution_callback_heartbeat,
}
