"""The operations on function URLs: one for a function, and one for each of its aliases."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.limits import LIST_FUNCTION_URLS_PAGE
from rie_server.model.arn import FunctionArn
from rie_server.model.function_url import FunctionUrl, address


def create_function_url_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    shown = _shown(scope, function, scope.registry.urls.create(function, members))
    return {name: value for name, value in shown.items() if name != "LastModifiedTime"}


def get_function_url_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    return _shown(scope, function, scope.registry.urls.get(function))


def update_function_url_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    return _shown(scope, function, scope.registry.urls.update(function, members))


def delete_function_url_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.urls.delete(scope.function(members))
    return {}


def list_function_url_configs(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    urls = scope.registry.urls.list(scope.function(members))
    shown, marker = page(urls, members, largest=LIST_FUNCTION_URLS_PAGE, name=lambda one: str(one[0]))
    return {"FunctionUrlConfigs": [_shown(scope, arn, url) for arn, url in shown], "NextMarker": marker}


def _shown(scope: Scope, function: FunctionArn, url: FunctionUrl) -> dict[str, Any]:
    return {
        "FunctionUrl": address(url.url_id, function.region, scope.base_url),
        "FunctionArn": str(function),
        "AuthType": url.auth_type,
        "Cors": url.cors,
        "CreationTime": url.created,
        "LastModifiedTime": url.last_modified,
        "InvokeMode": url.invoke_mode,
    }


OPERATIONS: Mapping[str, Operation] = {
    "CreateFunctionUrlConfig": create_function_url_config,
    "GetFunctionUrlConfig": get_function_url_config,
    "UpdateFunctionUrlConfig": update_function_url_config,
    "DeleteFunctionUrlConfig": delete_function_url_config,
    "ListFunctionUrlConfigs": list_function_url_configs,
}
