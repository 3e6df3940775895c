"""The operations on capacity providers, and on how the versions of functions scale on them.

They are kept and shown; functions run on this machine all the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.api.lambda_api.versions import place_of_version
from rie_server.errors import (
    CapacityProviderLimitExceededException,
    InvalidParameterValueException,
    ResourceConflictException,
)
from rie_server.limits import CAPACITY_PROVIDERS, LIST_STORED_PAGE
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.capacity_provider import (
    SCALING_SETTING,
    changed_provider_members,
    describe_provider,
    new_provider_members,
    provider_of,
)
from rie_server.model.function_record import FunctionRecord
from rie_server.model.stored_resource import CAPACITY_PROVIDER, ResourceArn, StoredResource
from rie_server.model.tags import tagged
from rie_server.registry.stored_resources import existing
from rie_server.registry.versions import versions_of

_LATEST_PUBLISHED = f"{LATEST}.PUBLISHED"


def create_capacity_provider(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    arn = _arn(scope, members)
    created = StoredResource(
        arn=arn,
        members=new_provider_members(members),
        tags=tagged({}, members.get("Tags", {})),
        last_modified=scope.registry.resources.now(),
    )

    def rule(found: StoredResource | None) -> StoredResource:
        if found is not None:
            raise ResourceConflictException(f"Capacity provider already exists: {arn.name}")
        if len(_providers(scope)) >= CAPACITY_PROVIDERS:
            raise CapacityProviderLimitExceededException(
                f"The account has reached its limit of {CAPACITY_PROVIDERS} capacity providers."
            )
        return created

    return {"CapacityProvider": describe_provider(scope.registry.resources.change(arn, rule))}


def get_capacity_provider(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"CapacityProvider": describe_provider(scope.registry.resources.get(_arn(scope, members)))}


def update_capacity_provider(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    arn, now = _arn(scope, members), scope.registry.resources.now()

    def rule(found: StoredResource | None) -> StoredResource:
        before = existing(arn, found)
        return replace(before, members=changed_provider_members(before.members, members), last_modified=now)

    return {"CapacityProvider": describe_provider(scope.registry.resources.change(arn, rule))}


def delete_capacity_provider(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    arn = _arn(scope, members)

    def check(found: StoredResource | None) -> StoredResource:
        provider = existing(arn, found)
        if _versions(scope, arn):
            raise ResourceConflictException(f"Capacity provider {arn} is in use by function versions.")
        return provider

    return {"CapacityProvider": describe_provider(scope.registry.resources.delete(arn, check), state="Deleting")}


def list_capacity_providers(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    found = _providers(scope) if members.get("State", "Active") == "Active" else []
    shown, marker = page(found, members, largest=LIST_STORED_PAGE, name=lambda provider: provider.arn.name)
    return {"CapacityProviders": [describe_provider(provider) for provider in shown], "NextMarker": marker}


def list_function_versions_by_capacity_provider(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    arn = _arn(scope, members)
    scope.registry.resources.get(arn)
    found = _versions(scope, arn)
    shown, marker = page(found, members, largest=LIST_STORED_PAGE, name=_place)
    return {
        "CapacityProviderArn": str(arn),
        "FunctionVersions": [
            {"FunctionArn": str(record.arn.qualified(record.version)), "State": record.life.state} for record in shown
        ],
        "NextMarker": marker,
    }


def put_function_scaling_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function, record = _version(scope, members)
    setting = members.get("FunctionScalingConfig") or None
    if setting is not None and setting.get("MinExecutionEnvironments", 0) > setting.get(
        "MaxExecutionEnvironments", setting.get("MinExecutionEnvironments", 0)
    ):
        raise InvalidParameterValueException(
            "MinExecutionEnvironments must be less than or equal to MaxExecutionEnvironments."
        )
    qualifier = str(function.qualifier)
    scope.registry.change(
        function.unqualified, lambda whole: whole.with_stored_setting(SCALING_SETTING, qualifier, setting)
    )
    return {"FunctionState": record.life.state}


def get_function_scaling_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function, record = _version(scope, members)
    setting = record.stored_setting(SCALING_SETTING, str(function.qualifier))
    return {
        "FunctionArn": str(function),
        "AppliedFunctionScalingConfig": setting,
        "RequestedFunctionScalingConfig": setting,
    }


def _arn(scope: Scope, members: Mapping[str, Any]) -> ResourceArn:
    return scope.resource(members["CapacityProviderName"], CAPACITY_PROVIDER)


def _providers(scope: Scope) -> list[StoredResource]:
    return list(scope.registry.resources.list(CAPACITY_PROVIDER, region=scope.region, account=scope.account))


def _versions(scope: Scope, arn: ResourceArn) -> list[FunctionRecord]:
    """The versions of functions that name this provider, by name and number."""
    records = scope.registry.list(region=arn.region, account=arn.account)
    versions = (version for record in records for version in versions_of(record))
    return [version for version in versions if provider_of(version.current) == str(arn)]


def _place(record: FunctionRecord) -> str:
    return f"{record.arn.name} {place_of_version(record)}"


def _version(scope: Scope, members: Mapping[str, Any]) -> tuple[FunctionArn, FunctionRecord]:
    """A version by its number, or what was published last to run on a capacity provider."""
    function = scope.function(members)
    if function.qualifier == _LATEST_PUBLISHED:
        return function, scope.registry.get(function.unqualified)
    return function, scope.registry.get(function)


OPERATIONS: Mapping[str, Operation] = {
    "CreateCapacityProvider": create_capacity_provider,
    "GetCapacityProvider": get_capacity_provider,
    "UpdateCapacityProvider": update_capacity_provider,
    "DeleteCapacityProvider": delete_capacity_provider,
    "ListCapacityProviders": list_capacity_providers,
    "ListFunctionVersionsByCapacityProvider": list_function_versions_by_capacity_provider,
    "PutFunctionScalingConfig": put_function_scaling_config,
    "GetFunctionScalingConfig": get_function_scaling_config,
}
