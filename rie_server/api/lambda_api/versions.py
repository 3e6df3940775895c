"""The operations on published versions."""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope, unqualified_only
from rie_server.limits import LIST_VERSIONS_PAGE
from rie_server.model.arn import LATEST
from rie_server.model.function_description import describe, describe_in_list
from rie_server.model.function_record import FunctionRecord


def publish_version(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    record = scope.registry.versions.publish(unqualified_only(scope.function(members)), members)
    return describe(record, qualifier=record.version)


def list_versions_by_function(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    versions = scope.registry.versions.list(scope.function(members).unqualified)
    shown, marker = page(versions, members, largest=LIST_VERSIONS_PAGE, name=_place)
    return {
        "Versions": [describe_in_list(record, qualifier=record.version) for record in shown],
        "NextMarker": marker,
    }


def _place(record: FunctionRecord) -> str:
    return f"{0 if record.version == LATEST else int(record.version):012d}"


OPERATIONS: Mapping[str, Operation] = {
    "PublishVersion": publish_version,
    "ListVersionsByFunction": list_versions_by_function,
}
