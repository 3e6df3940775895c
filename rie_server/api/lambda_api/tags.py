"""The operations on tags.

Whole functions have tags, and event source mappings; other kinds of resources that AWS can tag do not exist here.
"""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.errors import InvalidParameterValueException, ResourceNotFoundException
from rie_server.model.arn import FunctionArn, parse_function_reference
from rie_server.model.event_source import EventSourceMapping


def list_tags(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    resource = _resource(scope, members["Resource"])
    return {"Tags": resource.tags if isinstance(resource, EventSourceMapping) else scope.registry.get(resource).tags}


def tag_resource(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    resource = _resource(scope, members["Resource"])
    if not members["Tags"]:
        raise InvalidParameterValueException("An error occurred and the request cannot be processed.")
    if isinstance(resource, EventSourceMapping):
        scope.mappings.tag(resource.uuid, members["Tags"])
    else:
        scope.registry.tag(resource, members["Tags"])
    return {}


def untag_resource(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    resource = _resource(scope, members["Resource"])
    if isinstance(resource, EventSourceMapping):
        scope.mappings.untag(resource.uuid, members["TagKeys"])
    else:
        scope.registry.untag(resource, members["TagKeys"])
    return {}


def _resource(scope: Scope, resource: str) -> FunctionArn | EventSourceMapping:
    kind = resource.split(":")[5]
    if kind == "event-source-mapping":
        return _mapping(scope, resource)
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


def _mapping(scope: Scope, resource: str) -> EventSourceMapping:
    for mapping in scope.mappings.list(region=scope.region, account=scope.account):
        if mapping.arn == resource:
            return mapping
    raise ResourceNotFoundException(f"Event source mapping not found: {resource}")


OPERATIONS: Mapping[str, Operation] = {
    "ListTags": list_tags,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
