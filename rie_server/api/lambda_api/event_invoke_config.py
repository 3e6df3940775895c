"""The operations on how a function is invoked asynchronously: retries, age, destinations.

PUT replaces, POST merges. Each qualifier of a function has its own; none means ``$LATEST``, and is shown as that.
"""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.limits import LIST_EVENT_INVOKE_CONFIGS_PAGE
from rie_server.model.event_invoke_rules import shown_settings


def put_function_event_invoke_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    return shown_settings(function, scope.registry.invoke_settings.put_event_invoke(function, members))


def update_function_event_invoke_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    return shown_settings(function, scope.registry.invoke_settings.put_event_invoke(function, members, merge=True))


def get_function_event_invoke_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    return shown_settings(function, scope.registry.invoke_settings.get_event_invoke(function))


def list_function_event_invoke_configs(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    configs = scope.registry.invoke_settings.list_event_invoke(function)
    shown, marker = page(configs, members, largest=LIST_EVENT_INVOKE_CONFIGS_PAGE, name=lambda one: one[0])
    return {
        "FunctionEventInvokeConfigs": [
            shown_settings(function.qualified(qualifier), settings) for qualifier, settings in shown
        ],
        "NextMarker": marker,
    }


def delete_function_event_invoke_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.invoke_settings.delete_event_invoke(scope.function(members))
    return {}


OPERATIONS: Mapping[str, Operation] = {
    "PutFunctionEventInvokeConfig": put_function_event_invoke_config,
    "UpdateFunctionEventInvokeConfig": update_function_event_invoke_config,
    "GetFunctionEventInvokeConfig": get_function_event_invoke_config,
    "ListFunctionEventInvokeConfigs": list_function_event_invoke_configs,
    "DeleteFunctionEventInvokeConfig": delete_function_event_invoke_config,
}
