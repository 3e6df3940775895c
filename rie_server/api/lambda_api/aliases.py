"""The operations on aliases."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.limits import LIST_ALIASES_PAGE
from rie_server.model.alias import describe_alias
from rie_server.model.arn import FunctionArn


def create_alias(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = _function(scope, members)
    return describe_alias(function, scope.registry.aliases.create(function, members))


def get_alias(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = _function(scope, members)
    return describe_alias(function, scope.registry.aliases.get(function, members["Name"]))


def update_alias(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = _function(scope, members)
    return describe_alias(function, scope.registry.aliases.update(function, members))


def delete_alias(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.aliases.delete(_function(scope, members), members["Name"])
    return {}


def list_aliases(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = _function(scope, members)
    aliases = scope.registry.aliases.list(function, members.get("FunctionVersion"))
    shown, marker = page(aliases, members, largest=LIST_ALIASES_PAGE, name=lambda alias: alias.name)
    return {"Aliases": [describe_alias(function, alias) for alias in shown], "NextMarker": marker}


def _function(scope: Scope, members: Mapping[str, Any]) -> FunctionArn:
    """An alias belongs to the whole function, whatever qualifier its name came with."""
    return scope.function(members).unqualified


OPERATIONS: Mapping[str, Operation] = {
    "CreateAlias": create_alias,
    "GetAlias": get_alias,
    "UpdateAlias": update_alias,
    "DeleteAlias": delete_alias,
    "ListAliases": list_aliases,
}
