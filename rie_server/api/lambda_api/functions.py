"""The operations on functions: create, read, list, update, delete.

Each is one function from typed input to output; the rules are the registry's and the model's.
"""

from collections.abc import Mapping
from typing import Any

from rie_server.api.lambda_api.code_download import code_path
from rie_server.api.lambda_api.code_signing import check_code_signing_config
from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope, unqualified_only
from rie_server.api.lambda_api.versions import place_of_version
from rie_server.errors import InvalidParameterValueException
from rie_server.limits import LIST_FUNCTIONS_PAGE
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.function_description import describe, describe_code, describe_concurrency, describe_in_list
from rie_server.model.function_record import FunctionRecord
from rie_server.registry.versions import versions_of


def create_function(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    if "CodeSigningConfigArn" in members:
        check_code_signing_config(scope, members["CodeSigningConfigArn"])
    return describe(scope.registry.create(scope.function(members), members))


def get_function(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    record = scope.registry.get(function)
    return {
        "Configuration": describe(record, qualifier=function.qualifier),
        "Code": describe_code(record, f"{scope.base_url}{code_path(record.current.code)}"),
        "Tags": record.tags or None,
        "Concurrency": describe_concurrency(record),
    }


def get_function_configuration(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    return describe(scope.registry.get(function), qualifier=function.qualifier)


def list_functions(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    if "MasterRegion" in members:
        return {"Functions": []}  # it asks for replicas at the edge, and there are none
    records = scope.registry.list(region=scope.region, account=scope.account)
    every_version = members.get("FunctionVersion") == "ALL"
    if every_version:
        records = [version for record in records for version in versions_of(record)]
    shown, marker = page(records, members, largest=LIST_FUNCTIONS_PAGE, name=_place)
    return {
        "Functions": [describe_in_list(record, qualified=every_version) for record in shown],
        "NextMarker": marker,
    }


def _place(record: FunctionRecord) -> str:
    """Where a version of a function stands in a list of all: by name, whose letters all come after a space."""
    return f"{record.arn.name} {place_of_version(record)}"


def update_function_code(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    record = scope.registry.update_code(_function_itself(scope, members), members)
    return describe(record, qualifier=None if record.version == LATEST else record.version)


def update_function_configuration(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return describe(scope.registry.update_configuration(_function_itself(scope, members), members))


def delete_function(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = scope.function(members)
    if function.qualifier is None:
        scope.registry.delete(function)
        return {"StatusCode": 204}
    scope.registry.get(function.unqualified)
    if function.qualifier == LATEST:
        raise InvalidParameterValueException("$LATEST version cannot be deleted without deleting the function.")
    if not function.qualifier.isdecimal():
        scope.registry.get(function)
        raise InvalidParameterValueException("Deletion of aliases is not currently supported.")
    scope.registry.versions.delete(function, function.qualifier)
    return {"StatusCode": 204}


def _function_itself(scope: Scope, members: Mapping[str, Any]) -> FunctionArn:
    function = scope.function(members)
    return function.unqualified if function.qualifier == LATEST else unqualified_only(function)


OPERATIONS: Mapping[str, Operation] = {
    "CreateFunction": create_function,
    "GetFunction": get_function,
    "GetFunctionConfiguration": get_function_configuration,
    "ListFunctions": list_functions,
    "UpdateFunctionCode": update_function_code,
    "UpdateFunctionConfiguration": update_function_configuration,
    "DeleteFunction": delete_function,
}
