"""What is stored and shown again, and changes nothing that runs: signing, capacity providers, runtime management."""

from typing import Any

import pytest

from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import create, error_of, shown, wait

ARN = "arn:aws:lambda:us-east-1:000000000000"
FUNCTION = f"{ARN}:function:f"
INVALID = "InvalidParameterValueException"
NOT_FOUND = "ResourceNotFoundException"
CONFLICT = "ResourceConflictException"
PUBLISHERS = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/any/abc"]}
VPC = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
PERMISSIONS = {"CapacityProviderOperatorRoleArn": "arn:aws:iam::000000000000:role/operator"}
MISSING = f"{ARN}:code-signing-config:csc-00000000000000000"


def status(answer: dict[str, Any]) -> int:
    found: int = answer["ResponseMetadata"]["HTTPStatusCode"]
    return found


def signing(client: Any, **members: Any) -> dict[str, Any]:
    created: dict[str, Any] = client.create_code_signing_config(AllowedPublishers=PUBLISHERS, **members)
    return dict(created["CodeSigningConfig"])


@pytest.fixture
def published(client: Any) -> Any:
    """A client of a server with one function, ``f``, its version 1, and an alias ``live``."""
    create(client)
    wait(client, "function_active_v2")
    client.publish_version(FunctionName="f")
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    return client


# --- code signing -----------------------------------------------------------------------------------------------------


def test_a_code_signing_config_is_made_shown_changed_and_deleted(client: Any) -> None:
    answer = client.create_code_signing_config(AllowedPublishers=PUBLISHERS, Description="Ours")
    assert status(answer) == 201
    config = answer["CodeSigningConfig"]
    identity, arn = config["CodeSigningConfigId"], config["CodeSigningConfigArn"]
    assert len(identity) == len("csc-") + 17
    assert arn == f"{ARN}:code-signing-config:{identity}"
    assert config["LastModified"].endswith("+0000")
    assert config == {
        "CodeSigningConfigId": identity,
        "CodeSigningConfigArn": arn,
        "LastModified": config["LastModified"],
        "Description": "Ours",
        "AllowedPublishers": PUBLISHERS,
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
    }
    assert client.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"] == config
    enforce = {"UntrustedArtifactOnDeployment": "Enforce"}
    changed = client.update_code_signing_config(CodeSigningConfigArn=arn, CodeSigningPolicies=enforce)
    assert changed["CodeSigningConfig"] | {"LastModified": ""} == config | {
        "CodeSigningPolicies": enforce,
        "LastModified": "",
    }
    (listed,) = client.list_code_signing_configs()["CodeSigningConfigs"]
    assert listed == changed["CodeSigningConfig"]
    assert status(client.delete_code_signing_config(CodeSigningConfigArn=arn)) == 204
    assert client.list_code_signing_configs()["CodeSigningConfigs"] == []


def test_a_code_signing_config_that_is_not_there_is_told_in_awss_words(client: Any) -> None:
    unknown = (404, NOT_FOUND, f"The Lambda code signing configuration {MISSING} can not be found.")
    for call in (
        client.get_code_signing_config,
        client.update_code_signing_config,
        client.delete_code_signing_config,
        client.list_functions_by_code_signing_config,
    ):
        assert error_of(call, CodeSigningConfigArn=MISSING) == unknown
    assert error_of(client.list_tags, Resource=MISSING) == unknown
    assert error_of(client.tag_resource, Resource=MISSING, Tags={"a": "b"}) == unknown
    assert error_of(client.get_code_signing_config, CodeSigningConfigArn="csc-1")[1] == "ValidationException"


@pytest.mark.parametrize(
    "members",
    [
        {"AllowedPublishers": {"SigningProfileVersionArns": []}},
        {"AllowedPublishers": {}},
        {"AllowedPublishers": PUBLISHERS, "Description": "x" * 257},
        {"AllowedPublishers": PUBLISHERS, "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Ignore"}},
    ],
)
def test_a_code_signing_config_keeps_the_models_constraints(client: Any, members: dict[str, Any]) -> None:
    assert error_of(client.create_code_signing_config, **members)[:2] == (400, "ValidationException")


def test_functions_have_a_code_signing_config_and_are_found_by_it(published: Any) -> None:
    arn = signing(published)["CodeSigningConfigArn"]
    assert shown(published.get_function_code_signing_config(FunctionName="f")) == {}
    put = published.put_function_code_signing_config(FunctionName=FUNCTION, CodeSigningConfigArn=arn)
    assert shown(put) == {"CodeSigningConfigArn": arn, "FunctionName": "f"}
    create(published, "g", CodeSigningConfigArn=arn)
    for name in ("f", "g"):
        got = shown(published.get_function_code_signing_config(FunctionName=name))
        assert got == {"CodeSigningConfigArn": arn, "FunctionName": name}
    found = published.list_functions_by_code_signing_config(CodeSigningConfigArn=arn, MaxItems=1)
    assert found["FunctionArns"] == [FUNCTION]
    rest = published.list_functions_by_code_signing_config(CodeSigningConfigArn=arn, Marker=found["NextMarker"])
    assert rest["FunctionArns"] == [f"{ARN}:function:g"]
    assert error_of(published.delete_code_signing_config, CodeSigningConfigArn=arn)[:2] == (409, CONFLICT)
    assert status(published.delete_function_code_signing_config(FunctionName="f")) == 204
    published.delete_function(FunctionName="g")
    published.delete_code_signing_config(CodeSigningConfigArn=arn)


def test_a_function_cannot_have_a_code_signing_config_that_is_not_there(published: Any) -> None:
    unknown = (
        404,
        "CodeSigningConfigNotFoundException",
        (
            "The code signing configuration cannot be found. Check that the provided configuration is not deleted: "
            f"{MISSING}."
        ),
    )
    put = published.put_function_code_signing_config
    assert error_of(put, FunctionName="f", CodeSigningConfigArn=MISSING) == unknown
    assert error_of(create, published, "g", CodeSigningConfigArn=MISSING) == unknown
    arn = signing(published)["CodeSigningConfigArn"]
    gone = (404, NOT_FOUND, f"Function not found: {ARN}:function:no")
    assert error_of(put, FunctionName="no", CodeSigningConfigArn=arn) == gone
    assert error_of(published.get_function_code_signing_config, FunctionName="no") == gone
    assert error_of(published.delete_function_code_signing_config, FunctionName="no") == gone
    assert error_of(put, FunctionName="f:live", CodeSigningConfigArn=arn)[1] == INVALID


# --- capacity providers -----------------------------------------------------------------------------------------------


def provider(client: Any, name: str = "big", **members: Any) -> dict[str, Any]:
    answer = client.create_capacity_provider(
        CapacityProviderName=name, VpcConfig=VPC, PermissionsConfig=PERMISSIONS, **members
    )
    assert status(answer) == 202
    return dict(answer["CapacityProvider"])


def test_a_capacity_provider_is_made_shown_changed_and_deleted(client: Any) -> None:
    made = provider(client, Tags={"a": "b"})
    assert made | {"LastModified": ""} == {
        "CapacityProviderArn": f"{ARN}:capacity-provider:big",
        "State": "Active",
        "VpcConfig": VPC,
        "PermissionsConfig": PERMISSIONS,
        "InstanceRequirements": {"Architectures": ["x86_64"]},
        "CapacityProviderScalingConfig": {"MaxVCpuCount": 400, "ScalingMode": "Auto"},
        "LastModified": "",
    }
    by_arn = client.get_capacity_provider(CapacityProviderName=made["CapacityProviderArn"])
    assert by_arn["CapacityProvider"] == made
    scaling = {"MaxVCpuCount": 10}
    changed = client.update_capacity_provider(CapacityProviderName="big", CapacityProviderScalingConfig=scaling)
    assert status(changed) == 202
    assert changed["CapacityProvider"]["CapacityProviderScalingConfig"] == {"MaxVCpuCount": 10, "ScalingMode": "Auto"}
    assert client.list_capacity_providers()["CapacityProviders"] == [changed["CapacityProvider"]]
    assert client.list_capacity_providers(State="Failed")["CapacityProviders"] == []
    versions = client.list_function_versions_by_capacity_provider(CapacityProviderName="big")
    assert shown(versions) == {"CapacityProviderArn": made["CapacityProviderArn"], "FunctionVersions": []}
    deleted = client.delete_capacity_provider(CapacityProviderName="big")
    assert (status(deleted), deleted["CapacityProvider"]["State"]) == (202, "Deleting")
    assert client.list_capacity_providers()["CapacityProviders"] == []


def test_capacity_providers_are_refused_where_aws_refuses_them(client: Any) -> None:
    provider(client)
    assert error_of(provider, client)[:2] == (409, CONFLICT)
    for call in (
        client.get_capacity_provider,
        client.update_capacity_provider,
        client.delete_capacity_provider,
        client.list_function_versions_by_capacity_provider,
    ):
        assert error_of(call, CapacityProviderName="no")[:2] == (404, NOT_FOUND)
    scaling = {"MaxVCpuCount": 1}
    assert error_of(provider, client, "x", CapacityProviderScalingConfig=scaling)[1] == "ValidationException"
    assert error_of(client.list_capacity_providers, MaxItems=51)[1] == "ValidationException"


def test_there_are_only_so_many_capacity_providers(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rie_server.api.lambda_api.capacity_providers.CAPACITY_PROVIDERS", 1)
    provider(client)
    assert error_of(provider, client, "second")[:2] == (400, "CapacityProviderLimitExceededException")


def test_capacity_providers_come_in_pages(client: Any) -> None:
    for name in ("c", "a", "b"):
        provider(client, name)
    first = client.list_capacity_providers(MaxItems=2)
    client.delete_capacity_provider(CapacityProviderName="b")
    second = client.list_capacity_providers(Marker=first["NextMarker"])
    arns = [one["CapacityProviderArn"] for page in (first, second) for one in page["CapacityProviders"]]
    assert arns == [f"{ARN}:capacity-provider:{name}" for name in "abc"]


def test_a_versions_scaling_config_is_shown_as_it_was_put(published: Any) -> None:
    of = {"FunctionName": "f", "Qualifier": "1"}
    assert shown(published.get_function_scaling_config(**of)) == {"FunctionArn": f"{FUNCTION}:1"}
    wanted = {"MinExecutionEnvironments": 1, "MaxExecutionEnvironments": 5}
    put = published.put_function_scaling_config(**of, FunctionScalingConfig=wanted)
    assert (status(put), shown(put)) == (202, {"FunctionState": "Active"})
    assert shown(published.get_function_scaling_config(**of)) == {
        "FunctionArn": f"{FUNCTION}:1",
        "AppliedFunctionScalingConfig": wanted,
        "RequestedFunctionScalingConfig": wanted,
    }
    published.put_function_scaling_config(**of)
    assert shown(published.get_function_scaling_config(**of)) == {"FunctionArn": f"{FUNCTION}:1"}
    upside_down = {"MinExecutionEnvironments": 5, "MaxExecutionEnvironments": 1}
    assert error_of(published.put_function_scaling_config, **of, FunctionScalingConfig=upside_down)[1] == INVALID
    other = {"FunctionName": "f", "Qualifier": "2"}
    gone = (404, NOT_FOUND, f"Function not found: {FUNCTION}:2")
    assert error_of(published.put_function_scaling_config, **other, FunctionScalingConfig=wanted) == gone
    assert error_of(published.get_function_scaling_config, **other) == gone
    assert error_of(published.get_function_scaling_config, FunctionName="f", Qualifier="live")[1] == (
        "ValidationException"
    )
    latest = {"FunctionName": "f", "Qualifier": "$LATEST.PUBLISHED"}
    published.put_function_scaling_config(**latest, FunctionScalingConfig=wanted)
    assert published.get_function_scaling_config(**latest)["RequestedFunctionScalingConfig"] == wanted


# --- runtime management -----------------------------------------------------------------------------------------------


def test_runtime_management_is_kept_for_each_version(published: Any) -> None:
    get, put = published.get_runtime_management_config, published.put_runtime_management_config
    assert shown(get(FunctionName="f")) == {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{FUNCTION}:$LATEST"}
    assert shown(put(FunctionName="f", UpdateRuntimeOn="FunctionUpdate")) == {
        "UpdateRuntimeOn": "FunctionUpdate",
        "FunctionArn": f"{FUNCTION}:$LATEST",
    }
    runtime = "arn:aws:lambda:us-east-1::runtime:0123456789abcdef"
    manual = put(FunctionName="f", Qualifier="1", UpdateRuntimeOn="Manual", RuntimeVersionArn=runtime)
    assert shown(manual) == {
        "UpdateRuntimeOn": "Manual",
        "RuntimeVersionArn": runtime,
        "FunctionArn": f"{FUNCTION}:1",
    }
    assert shown(get(FunctionName="f", Qualifier="live")) == shown(manual)
    assert get(FunctionName="f")["UpdateRuntimeOn"] == "FunctionUpdate"
    assert error_of(put, FunctionName="f", UpdateRuntimeOn="Manual")[1] == INVALID
    assert error_of(put, FunctionName="f", UpdateRuntimeOn="Auto", RuntimeVersionArn=runtime)[1] == INVALID
    assert error_of(put, FunctionName="f", UpdateRuntimeOn="Never")[1] == "ValidationException"
    gone = (404, NOT_FOUND, f"Function not found: {ARN}:function:no")
    assert error_of(put, FunctionName="no", UpdateRuntimeOn="Auto") == gone
    assert error_of(get, FunctionName="no") == gone


# --- tags, regions, restarts ------------------------------------------------------------------------------------------


def test_stored_resources_have_tags(client: Any) -> None:
    for arn in (
        signing(client, Tags={"a": "1"})["CodeSigningConfigArn"],
        provider(client, Tags={"a": "1"})["CapacityProviderArn"],
    ):
        client.tag_resource(Resource=arn, Tags={"b": "2", "c": "3"})
        client.untag_resource(Resource=arn, TagKeys=["c", "never there"])
        assert client.list_tags(Resource=arn)["Tags"] == {"a": "1", "b": "2"}
        many = {f"tag-{number}": "" for number in range(49)}
        too_many = (400, INVALID, "Number of tags exceeds resource tag limit.")
        assert error_of(client.tag_resource, Resource=arn, Tags=many) == too_many


def test_regions_have_stored_resources_of_their_own(control_plane: ControlPlane, client: Any) -> None:
    signing(client)
    provider(client)
    elsewhere = control_plane.client("eu-west-1")
    assert elsewhere.list_code_signing_configs()["CodeSigningConfigs"] == []
    assert elsewhere.list_capacity_providers()["CapacityProviders"] == []
    provider(elsewhere)


def test_what_is_stored_survives_a_restart(control_plane: ControlPlane, published: Any) -> None:
    arn = signing(published)["CodeSigningConfigArn"]
    provider(published)
    published.put_function_code_signing_config(FunctionName="f", CodeSigningConfigArn=arn)
    published.put_runtime_management_config(FunctionName="f", UpdateRuntimeOn="FunctionUpdate")
    calls = (
        published.list_code_signing_configs,
        published.list_capacity_providers,
        lambda: published.get_function_code_signing_config(FunctionName="f"),
        lambda: published.get_runtime_management_config(FunctionName="f"),
    )
    before = [shown(call()) for call in calls]
    control_plane.restart_registry()
    assert [shown(call()) for call in calls] == before
