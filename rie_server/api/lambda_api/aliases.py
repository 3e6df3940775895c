"""The operations on aliases."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope, unqualified_only
from rie_server.limits import LIST_ALIASES_PAGE
from rie_server.model.alias import describe_alias


def create_alias(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = unqualified_only(scope.function(members))
    return describe_alias(function, scope.registry.versions.create_alias(function, members))


def get_alias(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = unqualified_only(scope.function(members))
    return describe_alias(function, scope.registry.versions.alias(function, members["Name"]))


def update_alias(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = unqualified_only(scope.function(members))
    return describe_alias(function, scope.registry.versions.update_alias(function, members))


def delete_alias(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.versions.delete_alias(unqualified_only(scope.function(members)), members["Name"])
    return {}


def list_aliases(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = unqualified_only(scope.function(members))
    aliases = scope.registry.versions.aliases(function, members.get("FunctionVersion"))
    shown, marker = page(aliases, members, largest=LIST_ALIASES_PAGE, name=lambda alias: alias.name)
    return {"Aliases": [describe_alias(function, alias) for alias in shown], "NextMarker": marker}


OPERATIONS: Mapping[str, Operation] = {
    "CreateAlias": create_alias,
    "GetAlias": get_alias,
    "UpdateAlias": update_alias,
    "DeleteAlias": delete_alias,
    "ListAliases": list_aliases,
}
