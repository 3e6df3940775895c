"""The operations on resource policies: who else may use a function, a version or an alias. Kept and shown."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.errors import InvalidParameterValueException, ResourceNotFoundException
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.resource_policy import permission_statement, statement_json, with_statement, without_statement


def add_permission(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = _granted(scope, members)
    statement = permission_statement(function, members)
    expected = members.get("RevisionId")
    scope.registry.versions.change_policy(
        function, lambda policy: with_statement(policy, statement, expected, revision_id=str(uuid4()))
    )
    return {"Statement": statement_json(statement)}


def remove_permission(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = _granted(scope, members)
    if not scope.registry.exists(function.unqualified):
        raise ResourceNotFoundException(f"No policy found for: {function}")
    statement_id, expected = members["StatementId"], members.get("RevisionId")
    scope.registry.versions.change_policy(
        function, lambda policy: without_statement(policy, statement_id, expected, revision_id=str(uuid4()))
    )
    return {}


def get_policy(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    policy = scope.registry.versions.policy(scope.function(members))
    if policy is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return {"Policy": policy.document(), "RevisionId": policy.revision_id}


def _granted(scope: Scope, members: Mapping[str, Any]) -> FunctionArn:
    function = scope.function(members)
    if function.qualifier == LATEST:
        raise InvalidParameterValueException("We currently do not support adding policies for $LATEST.")
    return function


OPERATIONS: Mapping[str, Operation] = {
    "AddPermission": add_permission,
    "RemovePermission": remove_permission,
    "GetPolicy": get_policy,
}
