"""The operations on tags.

Tags belong to whole functions; other kinds of resources that AWS can tag do not exist here.
"""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.errors import InvalidParameterValueException, ResourceNotFoundException
from rie_server.model.arn import FunctionArn, parse_function_reference


def list_tags(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"Tags": scope.registry.get(_function(scope, members["Resource"])).tags}


def tag_resource(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = _function(scope, members["Resource"])
    if not members["Tags"]:
        raise InvalidParameterValueException("An error occurred and the request cannot be processed.")
    scope.registry.tag(function, members["Tags"])
    return {}


def untag_resource(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.registry.untag(_function(scope, members["Resource"]), members["TagKeys"])
    return {}


def _function(scope: Scope, resource: str) -> FunctionArn:
    kind = resource.split(":")[5]
    if kind == "event-source-mapping":
        raise ResourceNotFoundException(f"Event source mapping not found: {resource}")
    if kind == "code-signing-config":
        raise ResourceNotFoundException(f"The Lambda code signing configuration {resource} can not be found.")
    if kind != "function":
        raise ResourceNotFoundException("The resource you requested does not exist.")
    function = parse_function_reference(resource, qualifier=None, region=scope.region, account=scope.account)
    if function.qualifier is not None:
        raise InvalidParameterValueException(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return function


OPERATIONS: Mapping[str, Operation] = {
    "ListTags": list_tags,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
