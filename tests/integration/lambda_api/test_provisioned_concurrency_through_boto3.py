"""Provisioned concurrency as a client sees it: members, statuses, messages. Nothing is started here."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from rie_server.model.arn import FunctionArn
from rie_server.model.provisioned_concurrency import ProvisioningStatus, Shares, Standing
from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import ARN, create, error_of, shown, wait
from tests.integration.lambda_api.test_versions_through_boto3 import update

INVALID, NOT_FOUND, CONFLICT = (
    "InvalidParameterValueException",
    "ResourceNotFoundException",
    "ResourceConflictException",
)
NOT_CONFIGURED = "ProvisionedConcurrencyConfigNotFoundException"
DECREASES = "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution"
UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."


class Provisioner:
    """Fills the registry's port: remembers what it is told, and stands where a test says."""

    def __init__(self) -> None:
        self.told: dict[str, Mapping[str, Shares]] = {}
        self.now = Standing()

    def provision(self, function: FunctionArn, wanted: Mapping[str, Shares]) -> None:
        self.told[function.name] = wanted

    def standing(self, function: FunctionArn) -> Standing:
        return self.now


@pytest.fixture
def provisioner(control_plane: ControlPlane) -> Provisioner:
    provisioner = Provisioner()
    control_plane.registry.provisioned.tell(provisioner)
    return provisioner


@pytest.fixture
def f(client: Any, provisioner: Provisioner) -> Any:
    """A client of a server with one function, ``f``, its versions 1 and 2, and the alias ``live`` of 1."""
    create(client)
    wait(client, "function_active_v2")
    client.publish_version(FunctionName="f")
    update(client, Timeout=9)
    client.publish_version(FunctionName="f")
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    return client


def put(client: Any, qualifier: str, executions: int, name: str = "f") -> dict[str, Any]:
    answer = client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=executions
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    return shown(answer)


def refused(client: Any, qualifier: str, executions: int = 1, name: str = "f") -> tuple[int, str, str]:
    return error_of(
        client.put_provisioned_concurrency_config,
        FunctionName=name,
        Qualifier=qualifier,
        ProvisionedConcurrentExecutions=executions,
    )


def test_put_is_in_progress_until_the_environments_stand(f: Any, provisioner: Provisioner) -> None:
    answer = put(f, "live", 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", answer["LastModified"])
    assert answer == {
        "RequestedProvisionedConcurrentExecutions": 3,
        "AvailableProvisionedConcurrentExecutions": 0,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "Status": "IN_PROGRESS",
        "LastModified": answer["LastModified"],
    }
    assert provisioner.told == {"f": {"live": {"1": 3}}}
    provisioner.now = Standing(allocated=3, available=2, status=ProvisioningStatus.READY)
    assert shown(f.get_provisioned_concurrency_config(FunctionName=f"{ARN}:live", Qualifier="live")) == {
        "RequestedProvisionedConcurrentExecutions": 3,
        "AvailableProvisionedConcurrentExecutions": 2,
        "AllocatedProvisionedConcurrentExecutions": 3,
        "Status": "READY",
        "LastModified": answer["LastModified"],
    }


def test_a_failure_has_its_reason(f: Any, provisioner: Provisioner) -> None:
    put(f, "2", 1)
    provisioner.now = Standing(status=ProvisioningStatus.FAILED, reason="FUNCTION_ERROR_INIT_FAILURE")
    got = f.get_provisioned_concurrency_config(FunctionName="f", Qualifier="2")
    assert (got["Status"], got["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")


def test_the_list_names_versions_and_aliases_by_their_arns(f: Any) -> None:
    assert shown(f.list_provisioned_concurrency_configs(FunctionName="f")) == {"ProvisionedConcurrencyConfigs": []}
    put(f, "live", 1)
    put(f, "2", 2)
    first = f.list_provisioned_concurrency_configs(FunctionName="f", MaxItems=1)
    second = f.list_provisioned_concurrency_configs(FunctionName="f", Marker=first["NextMarker"])
    configs = first["ProvisionedConcurrencyConfigs"] + second["ProvisionedConcurrencyConfigs"]
    assert [(one["FunctionArn"], one["RequestedProvisionedConcurrentExecutions"]) for one in configs] == [
        (f"{ARN}:2", 2),
        (f"{ARN}:live", 1),
    ]


def test_delete_unsets_and_may_be_repeated(f: Any, provisioner: Provisioner) -> None:
    put(f, "live", 1)
    for _ in range(2):
        deleted = f.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="live")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert provisioner.told == {"f": {}}
    get = error_of(f.get_provisioned_concurrency_config, FunctionName="f", Qualifier="live")
    assert get == (404, NOT_CONFIGURED, "No Provisioned Concurrency Config found for this function")


def test_latest_has_none_and_awss_words_depend_on_the_operation(f: Any) -> None:
    f.create_alias(FunctionName="f", Name="newest", FunctionVersion="$LATEST")
    assert refused(f, "$LATEST") == (400, INVALID, UNPUBLISHED)
    assert refused(f, "newest") == (400, INVALID, UNPUBLISHED)
    for operation in (f.get_provisioned_concurrency_config, f.delete_provisioned_concurrency_config):
        assert error_of(operation, FunctionName="f", Qualifier="$LATEST") == (
            400,
            INVALID,
            "The function resource provided must be an alias or a published version.",
        )


def test_what_is_not_there_is_not_found(f: Any) -> None:
    assert refused(f, "9") == (404, NOT_FOUND, f"Function not found: {ARN}:9")
    assert refused(f, "dev") == (404, NOT_FOUND, f"Cannot find alias arn: {ARN}:dev")
    assert refused(f, "1", name="g") == (404, NOT_FOUND, f"Function not found: {ARN[:-1]}g:1")
    assert error_of(f.list_provisioned_concurrency_configs, FunctionName="g")[:2] == (404, NOT_FOUND)


def test_a_version_is_provisioned_for_itself_or_for_one_alias(f: Any) -> None:
    put(f, "live", 1)
    assert refused(f, "1") == (409, CONFLICT, "Version is pointed by a Provisioned Concurrency alias")
    put(f, "2", 1)
    already = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
    f.create_alias(FunctionName="f", Name="next", FunctionVersion="2")
    assert refused(f, "next") == (409, CONFLICT, already)
    moved = error_of(f.update_alias, FunctionName="f", Name="live", FunctionVersion="2")
    assert moved == (409, CONFLICT, already)
    latest = error_of(f.update_alias, FunctionName="f", Name="live", FunctionVersion="$LATEST")
    assert latest == (400, INVALID, UNPUBLISHED)
    assert put(f, "live", 2)["RequestedProvisionedConcurrentExecutions"] == 2


def test_an_alias_that_moves_or_gets_weights_divides_its_environments_anew(f: Any, provisioner: Provisioner) -> None:
    put(f, "live", 4)
    routing = {"AdditionalVersionWeights": {"2": 0.1}}
    f.update_alias(FunctionName="f", Name="live", RoutingConfig=routing)
    assert provisioner.told["f"] == {"live": {"1": 3, "2": 1}}
    f.update_alias(FunctionName="f", Name="live", FunctionVersion="2", RoutingConfig={})
    assert provisioner.told["f"] == {"live": {"2": 4}}


def test_the_amount_is_held_against_the_reservation_and_the_account(f: Any) -> None:
    def reserve(executions: int) -> Any:
        return f.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=executions)

    assert refused(f, "live", 901) == (
        400,
        INVALID,
        f"{DECREASES} below its minimum value of [100].",
    )
    assert refused(f, "live", 1001) == (
        400,
        INVALID,
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].",
    )
    put(f, "live", 2)
    assert f.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 998
    assert error_of(f.put_function_concurrency, FunctionName="f", ReservedConcurrentExecutions=1) == (
        400,
        INVALID,
        " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2].",
    )
    reserve(3)
    assert f.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 997
    assert refused(f, "2", 2) == (
        400,
        INVALID,
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
    )
    put(f, "2", 1)


def test_it_goes_with_its_alias_its_version_and_its_function(f: Any, provisioner: Provisioner) -> None:
    put(f, "live", 1)
    put(f, "2", 2)
    f.delete_alias(FunctionName="f", Name="live")
    assert provisioner.told["f"] == {"2": {"2": 2}}
    f.delete_function(FunctionName="f", Qualifier="2")
    assert provisioner.told["f"] == {}
    put(f, "1", 1)
    f.delete_function(FunctionName="f")
    assert provisioner.told["f"] == {}
