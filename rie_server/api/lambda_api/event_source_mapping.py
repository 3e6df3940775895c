"""The operations on event source mappings."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.limits import LIST_EVENT_SOURCE_MAPPINGS_PAGE
from rie_server.model.event_source_description import describe_mapping, describe_mapping_in_list
from rie_server.model.event_source_rules import mapped_function


def create_event_source_mapping(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    scope.check_account(mapped_function(members["FunctionName"], region=scope.region, account=scope.account))
    return describe_mapping(scope.mappings.create(members, region=scope.region, account=scope.account))


def get_event_source_mapping(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return describe_mapping(scope.mappings.get(members["UUID"], region=scope.region, account=scope.account))


def update_event_source_mapping(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    if members.get("FunctionName"):
        scope.check_account(mapped_function(members["FunctionName"], region=scope.region, account=scope.account))
    updated = scope.mappings.update(members["UUID"], members, region=scope.region, account=scope.account)
    return describe_mapping(updated)


def delete_event_source_mapping(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return describe_mapping(scope.mappings.delete(members["UUID"], region=scope.region, account=scope.account))


def list_event_source_mappings(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    found = scope.mappings.list(region=scope.region, account=scope.account)
    if members.get("EventSourceArn"):
        found = [mapping for mapping in found if mapping.source_arn == members["EventSourceArn"]]
    if members.get("FunctionName"):
        function = mapped_function(members["FunctionName"], region=scope.region, account=scope.account)
        found = [mapping for mapping in found if mapping.function == function]
    shown, marker = page(found, members, largest=LIST_EVENT_SOURCE_MAPPINGS_PAGE, name=lambda mapping: mapping.uuid)
    return {"EventSourceMappings": [describe_mapping_in_list(mapping) for mapping in shown], "NextMarker": marker}


OPERATIONS: Mapping[str, Operation] = {
    "CreateEventSourceMapping": create_event_source_mapping,
    "GetEventSourceMapping": get_event_source_mapping,
    "UpdateEventSourceMapping": update_event_source_mapping,
    "DeleteEventSourceMapping": delete_event_source_mapping,
    "ListEventSourceMappings": list_event_source_mappings,
}
