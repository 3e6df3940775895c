"""The operations on code signing configurations, and on which function has which.

They are kept and shown; no signature is checked.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from string import ascii_lowercase, digits
from typing import Any

from rie_server.api.lambda_api.paging import page
from rie_server.api.lambda_api.scope import Operation, Scope, unqualified_only
from rie_server.errors import ResourceConflictException, ResourceNotFoundException
from rie_server.limits import LIST_STORED_PAGE
from rie_server.model.code_signing import (
    ID_CHARACTERS,
    SETTING,
    code_signing_members,
    describe_code_signing,
    unknown_function_config,
)
from rie_server.model.function_record import FunctionRecord
from rie_server.model.stored_resource import CODE_SIGNING_CONFIG, ResourceArn, StoredResource
from rie_server.model.tags import tagged
from rie_server.registry.stored_resources import existing


def create_code_signing_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    identity = "".join(secrets.choice(ascii_lowercase + digits) for _ in range(ID_CHARACTERS))
    arn = ResourceArn(region=scope.region, account=scope.account, kind=CODE_SIGNING_CONFIG, name=f"csc-{identity}")
    created = StoredResource(
        arn=arn,
        members=code_signing_members({}, members),
        tags=tagged({}, members.get("Tags", {})),
        last_modified=scope.registry.resources.now(),
    )
    return {"CodeSigningConfig": describe_code_signing(scope.registry.resources.change(arn, lambda _: created))}


def get_code_signing_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"CodeSigningConfig": describe_code_signing(scope.registry.resources.get(_arn(scope, members)))}


def update_code_signing_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    arn, now = _arn(scope, members), scope.registry.resources.now()

    def rule(found: StoredResource | None) -> StoredResource:
        before = existing(arn, found)
        return replace(before, members=code_signing_members(before.members, members), last_modified=now)

    return {"CodeSigningConfig": describe_code_signing(scope.registry.resources.change(arn, rule))}


def delete_code_signing_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    arn = _arn(scope, members)

    def check(found: StoredResource | None) -> StoredResource:
        config = existing(arn, found)
        if _functions(scope, arn):
            raise ResourceConflictException(
                f"The code signing configuration {arn} is in use by functions. Detach it from them, then delete it."
            )
        return config

    scope.registry.resources.delete(arn, check)
    return {}


def list_code_signing_configs(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    found = scope.registry.resources.list(CODE_SIGNING_CONFIG, region=scope.region, account=scope.account)
    shown, marker = page(found, members, largest=LIST_STORED_PAGE, name=lambda config: config.arn.name)
    return {"CodeSigningConfigs": [describe_code_signing(config) for config in shown], "NextMarker": marker}


def list_functions_by_code_signing_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    arn = _arn(scope, members)
    scope.registry.resources.get(arn)
    functions = _functions(scope, arn)
    shown, marker = page(functions, members, largest=LIST_STORED_PAGE, name=lambda record: record.arn.name)
    return {"FunctionArns": [str(record.arn) for record in shown], "NextMarker": marker}


def put_function_code_signing_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    arn = members["CodeSigningConfigArn"]
    check_code_signing_config(scope, arn)
    function = unqualified_only(scope.function(members))
    setting = {"CodeSigningConfigArn": arn}
    scope.registry.change(function, lambda record: record.with_stored_setting(SETTING, "", setting))
    return {"CodeSigningConfigArn": arn, "FunctionName": function.name}


def get_function_code_signing_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a function without one the answer is empty; infrastructure tools ask on every read."""
    function = scope.function(members).unqualified
    setting = scope.registry.get(function).stored_setting(SETTING)
    return {} if setting is None else {**setting, "FunctionName": function.name}


def delete_function_code_signing_config(scope: Scope, members: Mapping[str, Any]) -> Mapping[str, Any]:
    function = unqualified_only(scope.function(members))
    scope.registry.change(function, lambda record: record.with_stored_setting(SETTING, "", None))
    return {}


def check_code_signing_config(scope: Scope, arn: str) -> None:
    """Lets a function have a configuration that is there.

    Raises:
        CodeSigningConfigNotFoundException: it is not.
    """
    try:
        scope.registry.resources.get(scope.resource(arn, CODE_SIGNING_CONFIG))
    except ResourceNotFoundException:
        raise unknown_function_config(arn) from None


def _arn(scope: Scope, members: Mapping[str, Any]) -> ResourceArn:
    return scope.resource(members["CodeSigningConfigArn"], CODE_SIGNING_CONFIG)


def _functions(scope: Scope, arn: ResourceArn) -> list[FunctionRecord]:
    records = scope.registry.list(region=arn.region, account=arn.account)
    return [one for one in records if one.stored_setting(SETTING) == {"CodeSigningConfigArn": str(arn)}]


OPERATIONS: Mapping[str, Operation] = {
    "CreateCodeSigningConfig": create_code_signing_config,
    "GetCodeSigningConfig": get_code_signing_config,
    "UpdateCodeSigningConfig": update_code_signing_config,
    "DeleteCodeSigningConfig": delete_code_signing_config,
    "ListCodeSigningConfigs": list_code_signing_configs,
    "ListFunctionsByCodeSigningConfig": list_functions_by_code_signing_config,
    "PutFunctionCodeSigningConfig": put_function_code_signing_config,
    "GetFunctionCodeSigningConfig": get_function_code_signing_config,
    "DeleteFunctionCodeSigningConfig": delete_function_code_signing_config,
}
