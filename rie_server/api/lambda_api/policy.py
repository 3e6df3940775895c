"""The operations on resource policies: one for a function, and one for each of its versions and aliases."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.errors import ResourceNotFoundException
from rie_server.model.arn import FunctionArn
from rie_server.model.resource_policy import statement_json


def add_permission(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"Statement": statement_json(scope.registry.policies.add(scope.function(members), members))}


def remove_permission(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.policies.remove(scope.function(members), members["StatementId"], members.get("RevisionId"))
    return {}


def get_policy(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    policy = scope.registry.policies.get(scope.function(members))
    return {"Policy": policy.document(), "RevisionId": policy.revision_id}


def put_resource_policy(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    policy = scope.registry.policies.put(_resource(scope, members), members["Policy"], members.get("RevisionId"))
    return {"Policy": policy.document(), "RevisionId": policy.revision_id}


def get_resource_policy(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    policy = scope.registry.policies.get(_resource(scope, members))
    return {"Policy": policy.document(), "RevisionId": policy.revision_id}


def delete_resource_policy(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.policies.delete(_resource(scope, members), members.get("RevisionId"))
    return {}


def _resource(scope: Scope, members: Mapping[str, Any]) -> FunctionArn:
    """
    Raises:
        ResourceNotFoundException: it is no function, but a runtime of the customer's own.
    """
    if ":function:" not in members["ResourceArn"]:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return scope.function({"FunctionName": members["ResourceArn"]})


OPERATIONS: Mapping[str, Operation] = {
    "AddPermission": add_permission,
    "RemovePermission": remove_permission,
    "GetPolicy": get_policy,
    "PutResourcePolicy": put_resource_policy,
    "GetResourcePolicy": get_resource_policy,
    "DeleteResourcePolicy": delete_resource_policy,
}
