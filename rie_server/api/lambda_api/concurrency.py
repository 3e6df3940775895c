"""The operations on a function's reserved concurrency.

It belongs to whole functions: all versions and aliases share it.
"""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.scope import Operation, Scope, unqualified_only
from rie_server.model.function_description import describe_concurrency


def put_function_concurrency(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    executions = members["ReservedConcurrentExecutions"]
    scope.registry.invoke_settings.reserve(unqualified_only(scope.function(members)), executions)
    return {"ReservedConcurrentExecutions": executions}


def get_function_concurrency(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return describe_concurrency(scope.registry.get(scope.function(members).unqualified)) or {}


def delete_function_concurrency(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.invoke_settings.reserve(unqualified_only(scope.function(members)), None)
    return {}


OPERATIONS: Mapping[str, Operation] = {
    "PutFunctionConcurrency": put_function_concurrency,
    "GetFunctionConcurrency": get_function_concurrency,
    "DeleteFunctionConcurrency": delete_function_concurrency,
}
