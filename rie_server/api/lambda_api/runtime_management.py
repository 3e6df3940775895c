"""The operations on when a function's runtime is updated.

Kept and shown for each version; the runtime is the one of this machine, always its newest.
"""

from collections.abc import Mapping
from typing import Any, Final

from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.errors import InvalidParameterValueException
from rie_server.model.arn import FunctionArn

_SETTING: Final = "RuntimeManagementConfig"


def put_runtime_management_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function, version = _version(scope, members)
    setting = {"UpdateRuntimeOn": members["UpdateRuntimeOn"]}
    runtime_version = members.get("RuntimeVersionArn")
    if setting["UpdateRuntimeOn"] == "Manual":
        if runtime_version is None:
            raise InvalidParameterValueException("RuntimeVersionArn is required when UpdateRuntimeOn is Manual.")
        setting["RuntimeVersionArn"] = runtime_version
    elif runtime_version is not None:
        raise InvalidParameterValueException("RuntimeVersionArn is only allowed when UpdateRuntimeOn is Manual.")
    scope.registry.change(function.unqualified, lambda record: record.with_stored_setting(_SETTING, version, setting))
    return {**setting, "FunctionArn": str(function.qualified(version))}


def get_runtime_management_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function, version = _version(scope, members)
    setting = scope.registry.get(function).stored_setting(_SETTING, version)
    return {**(setting or {"UpdateRuntimeOn": "Auto"}), "FunctionArn": str(function.qualified(version))}


def _version(scope: Scope, members: Mapping[str, Any]) -> tuple[FunctionArn, str]:
    function = scope.function(members)
    return function, scope.registry.get(function).version


OPERATIONS: Mapping[str, Operation] = {
    "PutRuntimeManagementConfig": put_runtime_management_config,
    "GetRuntimeManagementConfig": get_runtime_management_config,
}
