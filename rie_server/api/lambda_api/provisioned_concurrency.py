"""The operations on provisioned concurrency: environments of a version or an alias that are started ahead."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.limits import LIST_PROVISIONED_CONCURRENCY_CONFIGS_PAGE
from rie_server.model.provisioned_concurrency import describe_provisioned


def put_provisioned_concurrency_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    executions = members["ProvisionedConcurrentExecutions"]
    return describe_provisioned(*scope.registry.provisioned.put(scope.function(members), executions))


def get_provisioned_concurrency_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return describe_provisioned(*scope.registry.provisioned.get(scope.function(members)))


def list_provisioned_concurrency_configs(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    configs = scope.registry.provisioned.list(function)
    shown, marker = page(configs, members, largest=LIST_PROVISIONED_CONCURRENCY_CONFIGS_PAGE, name=lambda one: one[0])
    return {
        "ProvisionedConcurrencyConfigs": [
            {"FunctionArn": str(function.qualified(qualifier)), **describe_provisioned(*configured)}
            for qualifier, configured in shown
        ],
        "NextMarker": marker,
    }


def delete_provisioned_concurrency_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.provisioned.delete(scope.function(members))
    return {}


OPERATIONS: Mapping[str, Operation] = {
    "PutProvisionedConcurrencyConfig": put_provisioned_concurrency_config,
    "GetProvisionedConcurrencyConfig": get_provisioned_concurrency_config,
    "ListProvisionedConcurrencyConfigs": list_provisioned_concurrency_configs,
    "DeleteProvisionedConcurrencyConfig": delete_provisioned_concurrency_config,
}
