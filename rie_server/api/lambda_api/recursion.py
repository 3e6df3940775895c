"""The operations on what happens to a function that invokes itself."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.model.recursion import RecursiveLoop


def put_function_recursion_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    recursive_loop = RecursiveLoop(members["RecursiveLoop"])
    scope.registry.invoke_settings.set_recursive_loop(scope.function(members), recursive_loop)
    return {"RecursiveLoop": recursive_loop}


def get_function_recursion_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"RecursiveLoop": scope.registry.get(scope.function(members)).recursive_loop}


OPERATIONS: Mapping[str, Operation] = {
    "PutFunctionRecursionConfig": put_function_recursion_config,
    "GetFunctionRecursionConfig": get_function_recursion_config,
}
