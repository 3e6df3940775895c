"""The operations on published versions. Deleting one is DeleteFunction's business, with a qualifier."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope, unqualified_only
from rie_server.limits import LIST_VERSIONS_PAGE
from rie_server.model.arn import LATEST
from rie_server.model.function_description import describe, describe_in_list
from rie_server.model.function_record import FunctionRecord


def publish_version(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = unqualified_only(scope.function(members))
    record = scope.registry.versions.publish(function, members)
    return describe(record, qualifier=record.version)


def list_versions_by_function(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    versions = scope.registry.versions.list(scope.function(members))
    shown, marker = page(versions, members, largest=LIST_VERSIONS_PAGE, name=place_of_version)
    return {"Versions": [describe_in_list(record, qualified=True) for record in shown], "NextMarker": marker}


def place_of_version(record: FunctionRecord) -> str:
    """Where a version stands among others, as a text: ``$LATEST`` first, then by number."""
    return "" if record.version == LATEST else f"{int(record.version):020}"


OPERATIONS: Mapping[str, Operation] = {
    "PublishVersion": publish_version,
    "ListVersionsByFunction": list_versions_by_function,
}
