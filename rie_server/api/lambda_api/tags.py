"""The operations on tags.

Whole functions have tags, event source mappings, code signing configurations and capacity providers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.errors import InvalidParameterValueException, ResourceNotFoundException
from rie_server.model.event_source import EventSourceMapping
from rie_server.model.stored_resource import CAPACITY_PROVIDER, CODE_SIGNING_CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tagged:
    """A resource that has tags, and how they are changed."""

    tags: Mapping[str, str]
    add: Callable[[Mapping[str, str]], object]
    remove: Callable[[Sequence[str]], object]


def list_tags(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"Tags": _resource(scope, members["Resource"]).tags}


def tag_resource(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    resource = _resource(scope, members["Resource"])
    if not members["Tags"]:
        raise InvalidParameterValueException("An error occurred and the request cannot be processed.")
    resource.add(members["Tags"])
    return {}


def untag_resource(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    _resource(scope, members["Resource"]).remove(members["TagKeys"])
    return {}


def _resource(scope: Scope, resource: str) -> _Tagged:
    kind = resource.split(":")[5]
    if kind == "event-source-mapping":
        return _mapping(scope, resource)
    if kind in {CODE_SIGNING_CONFIG, CAPACITY_PROVIDER}:
        return _stored(scope, resource, kind)
    if kind != "function":
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return _function(scope, resource)


def _function(scope: Scope, resource: str) -> _Tagged:
    function = scope.function({"FunctionName": resource})
    if function.qualifier is not None:
        raise InvalidParameterValueException(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    registry = scope.registry
    return _Tagged(
        tags=registry.get(function).tags,
        add=lambda tags: registry.tag(function, tags),
        remove=lambda keys: registry.untag(function, keys),
    )


def _stored(scope: Scope, resource: str, kind: str) -> _Tagged:
    resources = scope.registry.resources
    arn = scope.resource(resource, kind)
    return _Tagged(
        tags=resources.get(arn).tags,
        add=lambda tags: resources.tag(arn, tags),
        remove=lambda keys: resources.untag(arn, keys),
    )


def _mapping(scope: Scope, resource: str) -> _Tagged:
    mapping = _find_mapping(scope, resource)
    return _Tagged(
        tags=mapping.tags,
        add=lambda tags: scope.mappings.tag(mapping.uuid, tags),
        remove=lambda keys: scope.mappings.untag(mapping.uuid, keys),
    )


def _find_mapping(scope: Scope, resource: str) -> EventSourceMapping:
    for mapping in scope.mappings.list(region=scope.region, account=scope.account):
        if mapping.arn == resource:
            return mapping
    raise ResourceNotFoundException(f"Event source mapping not found: {resource}")


OPERATIONS: Mapping[str, Operation] = {
    "ListTags": list_tags,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
