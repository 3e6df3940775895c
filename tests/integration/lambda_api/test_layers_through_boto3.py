import base64
import hashlib
import json
from typing import Any

import pytest
import requests

from tests.fakes.registry_ports import zip_of
from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import create, error_of, shown, wait

ARN = "arn:aws:lambda:us-east-1:000000000000:layer:tools"
CODE = zip_of(**{"python/tool.py": "x = 1"})
INVALID = "InvalidParameterValueException"
NOT_FOUND = "ResourceNotFoundException"
GONE = (404, NOT_FOUND, "The resource you requested does not exist.")
TOO_LOW = (400, INVALID, "Layer Version Cannot be less than 1")


def publish(client: Any, name: str = "tools", code: bytes = CODE, **members: Any) -> dict[str, Any]:
    return shown(client.publish_layer_version(LayerName=name, Content={"ZipFile": code}, **members))


def test_a_layer_version_is_answered_with_the_members_recorded_from_aws(client: Any) -> None:
    answer = client.publish_layer_version(
        LayerName="tools",
        Description="Tools",
        LicenseInfo="MIT",
        CompatibleRuntimes=["python3.12", "python3.13"],
        CompatibleArchitectures=["arm64"],
        Content={"ZipFile": CODE},
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    version = shown(answer)
    content = version.pop("Content")
    location = content.pop("Location")
    assert content == {
        "CodeSha256": base64.b64encode(hashlib.sha256(CODE).digest()).decode(),
        "CodeSize": len(CODE),
    }
    with requests.get(location, timeout=5) as download:
        assert download.content == CODE
    created = version.pop("CreatedDate")
    assert created.endswith("+0000")
    assert len(created) == len("2026-01-01T00:00:00.000+0000")
    assert version == {
        "LayerArn": ARN,
        "LayerVersionArn": f"{ARN}:1",
        "Version": 1,
        "Description": "Tools",
        "LicenseInfo": "MIT",
        "CompatibleRuntimes": ["python3.12", "python3.13"],
        "CompatibleArchitectures": ["arm64"],
    }
    for got in (
        client.get_layer_version(LayerName="tools", VersionNumber=1),
        client.get_layer_version(LayerName=ARN, VersionNumber=1),
        client.get_layer_version_by_arn(Arn=f"{ARN}:1"),
    ):
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert shown(got) == shown(answer) | {
            "CreatedDate": created,
            "Content": {"Location": location, **content},
            **version,
        }


def test_what_was_not_given_is_absent_but_the_description(client: Any) -> None:
    assert publish(client).keys() == {
        "Content", "CreatedDate", "Description", "LayerArn", "LayerVersionArn", "Version",
    }  # fmt: skip


def test_a_layer_comes_from_s3_as_well(control_plane: ControlPlane, client: Any) -> None:
    control_plane.objects.objects["bucket", "layer.zip"] = CODE
    from_s3 = {"S3Bucket": "bucket", "S3Key": "layer.zip"}
    assert client.publish_layer_version(LayerName="tools", Content=from_s3)["Content"]["CodeSize"] == len(CODE)
    missing = {"S3Bucket": "bucket", "S3Key": "nothing"}
    assert error_of(client.publish_layer_version, LayerName="tools", Content=missing) == (
        400,
        INVALID,
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
    )


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"Content": {}}, INVALID, "Please provide a source for function code."),
        (
            {"Content": {"ZipFile": b"no zip"}},
            INVALID,
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        ({"Description": "x" * 257}, "ValidationException", "less than or equal to 256"),
        ({"LicenseInfo": "x" * 513}, "ValidationException", "less than or equal to 512"),
        ({"CompatibleRuntimes": ["cobol"]}, "ValidationException", "Value '[cobol]' at 'compatibleRuntimes' failed"),
        ({"CompatibleRuntimes": ["python3.12"] * 16}, "ValidationException", "less than or equal to 15"),
        (
            {"CompatibleArchitectures": ["mips"]},
            "ValidationException",
            (
                "Value '[mips]' at 'compatibleArchitectures' failed to satisfy constraint: "
                "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]"
            ),
        ),
        ({"LayerName": "not valid"}, "ValidationException", "regular expression pattern"),
    ],
)
def test_a_layer_that_cannot_be_is_refused_in_awss_words(
    client: Any, members: dict[str, Any], code: str, message: str
) -> None:
    given = {"LayerName": "tools", "Content": {"ZipFile": CODE}, **members}
    status, error, text = error_of(client.publish_layer_version, **given)
    assert (status, error) == (400, code)
    assert message in text
    assert client.list_layers()["Layers"] == []


def test_numbers_go_up_and_none_is_given_twice(client: Any) -> None:
    assert [publish(client)["Version"] for _ in range(3)] == [1, 2, 3]
    for number in (3, 2, 1):
        deleted = client.delete_layer_version(LayerName="tools", VersionNumber=number)
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_layers()["Layers"] == []
    assert client.list_layer_versions(LayerName="tools")["LayerVersions"] == []
    assert publish(client)["Version"] == 4


def test_deleting_what_is_not_there_does_no_harm(client: Any) -> None:
    client.delete_layer_version(LayerName="tools", VersionNumber=1)
    publish(client)
    client.delete_layer_version(LayerName="tools", VersionNumber=2)
    client.get_layer_version(LayerName="tools", VersionNumber=1)


def test_what_is_not_there_is_told_in_awss_words(client: Any) -> None:
    publish(client)
    for number in (0, -1):
        assert error_of(client.get_layer_version, LayerName="tools", VersionNumber=number) == TOO_LOW
        assert error_of(client.delete_layer_version, LayerName="tools", VersionNumber=number) == TOO_LOW
    assert error_of(client.get_layer_version, LayerName="tools", VersionNumber=2) == GONE
    assert error_of(client.get_layer_version, LayerName="other", VersionNumber=1) == GONE
    assert error_of(client.get_layer_version_by_arn, Arn=f"{ARN}:2") == GONE
    status, code, message = error_of(client.get_layer_version_by_arn, Arn=ARN)
    assert (status, code) == (400, "ValidationException")
    assert message.startswith(
        f"1 validation error detected: Value '{ARN}' at 'arn' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ((arn:(aws[a-zA-Z-]*)?:lambda:"
    )
    assert client.list_layer_versions(LayerName="nothing")["LayerVersions"] == []


def test_lists_are_filtered_by_runtime_and_architecture(client: Any) -> None:
    publish(client, CompatibleRuntimes=["python3.12"], CompatibleArchitectures=["x86_64"])
    publish(client, CompatibleRuntimes=["nodejs22.x"], CompatibleArchitectures=["arm64"])
    publish(client, "plain")
    listed = client.list_layers()["Layers"]
    assert [layer["LayerName"] for layer in listed] == ["plain", "tools"]
    assert listed[1].keys() == {"LayerName", "LayerArn", "LatestMatchingVersion"}
    assert listed[1]["LatestMatchingVersion"].keys() == {
        "LayerVersionArn", "Version", "Description", "CreatedDate", "CompatibleRuntimes", "CompatibleArchitectures",
    }  # fmt: skip
    assert listed[1]["LatestMatchingVersion"]["Version"] == 2
    (python,) = client.list_layers(CompatibleRuntime="python3.12")["Layers"]
    assert python["LatestMatchingVersion"]["Version"] == 1
    (arm,) = client.list_layer_versions(LayerName="tools", CompatibleArchitecture="arm64")["LayerVersions"]
    assert arm["Version"] == 2
    versions = client.list_layer_versions(LayerName="tools")["LayerVersions"]
    assert [version["Version"] for version in versions] == [2, 1]
    code, message = error_of(client.list_layers, CompatibleRuntime="cobol")[1:]
    assert code == "ValidationException"
    assert message.startswith("1 validation error detected: Value 'cobol' at 'compatibleRuntime' failed")
    assert error_of(client.list_layers, CompatibleArchitecture="mips")[1] == "ValidationException"


def test_lists_come_in_pages_that_stay_right_while_versions_come_and_go(client: Any) -> None:
    for _ in range(12):
        publish(client)
    first = client.list_layer_versions(LayerName="tools", MaxItems=5)
    assert [one["Version"] for one in first["LayerVersions"]] == [12, 11, 10, 9, 8]
    publish(client)
    client.delete_layer_version(LayerName="tools", VersionNumber=8)
    second = client.list_layer_versions(LayerName="tools", MaxItems=5, Marker=first["NextMarker"])
    assert [one["Version"] for one in second["LayerVersions"]] == [7, 6, 5, 4, 3]
    pages = client.get_paginator("list_layers").paginate(PaginationConfig={"PageSize": 1})
    publish(client, "more")
    assert [layer["LayerName"] for page in pages for layer in page["Layers"]] == ["more", "tools"]
    assert error_of(client.list_layers, MaxItems=51)[1] == "ValidationException"


def test_regions_have_layers_of_their_own(control_plane: ControlPlane, client: Any) -> None:
    publish(client)
    elsewhere = control_plane.client("eu-west-1")
    assert elsewhere.list_layers()["Layers"] == []
    assert error_of(elsewhere.get_layer_version, LayerName="tools", VersionNumber=1) == GONE
    assert error_of(elsewhere.get_layer_version, LayerName=ARN, VersionNumber=1) == GONE
    assert publish(elsewhere)["LayerArn"] == ARN.replace("us-east-1", "eu-west-1")


# --- layers of a function ---------------------------------------------------------------------------------------------


def layers_of(client: Any, **members: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get_function_configuration(FunctionName="f", **members).get("Layers", [])
    return found


def test_a_function_shows_its_layers_and_keeps_those_that_are_deleted(client: Any) -> None:
    publish(client)
    publish(client, "other", zip_of(a="1"))
    wanted = [f"{ARN}:1", ARN.replace("tools", "other") + ":1"]
    created = create(client, Layers=wanted)
    assert [layer["Arn"] for layer in created["Layers"]] == wanted
    assert created["Layers"][0] == {"Arn": f"{ARN}:1", "CodeSize": len(CODE)}
    wait(client, "function_active_v2")
    client.publish_version(FunctionName="f")
    client.delete_layer_version(LayerName="tools", VersionNumber=1)
    client.update_function_configuration(FunctionName="f", Timeout=9)
    wait(client, "function_updated_v2")
    assert [layer["Arn"] for layer in layers_of(client)] == wanted
    again = (400, INVALID, f"Layer version {ARN}:1 does not exist.")
    assert error_of(client.update_function_configuration, FunctionName="f", Layers=wanted) == again
    client.update_function_configuration(FunctionName="f", Layers=[])
    wait(client, "function_updated_v2")
    assert layers_of(client) == []
    assert [layer["Arn"] for layer in layers_of(client, Qualifier="1")] == wanted


def test_layers_that_a_function_cannot_have_are_refused(client: Any) -> None:
    publish(client)
    publish(client)
    six = [f"{ARN}{number}:1" for number in range(6)]
    assert error_of(create, client, Layers=six) == (400, INVALID, "Cannot reference more than 5 layers.")
    assert error_of(create, client, Layers=[f"{ARN}:3"]) == (400, INVALID, f"Layer version {ARN}:3 does not exist.")
    assert error_of(create, client, Layers=[f"{ARN}:1", f"{ARN}:2"]) == (
        400,
        INVALID,
        (
            "Two different versions of the same layer are not allowed to be referenced in the same function. "
            f"{ARN}:1 and {ARN}:2 are versions of the same layer."
        ),
    )
    elsewhere = ARN.replace("us-east-1", "eu-west-1")
    assert error_of(create, client, Layers=[f"{elsewhere}:1"]) == (
        400,
        INVALID,
        "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.",
    )
    assert error_of(create, client, Layers=[ARN])[1] == "ValidationException"
    assert error_of(client.get_function, FunctionName="f")[1] == NOT_FOUND


def test_code_and_layers_are_measured_together(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rie_server.model.layer_rules.UNZIPPED_BYTES", 100)
    publish(client, "large", zip_of(a="x" * 101))
    publish(client, "small", zip_of(a="x" * 60))
    large, small = (ARN.replace("tools", name) + ":1" for name in ("large", "small"))
    code = {"ZipFile": zip_of(a="y" * 41)}
    too_much = "Layers consume more than the available size of 100 bytes"
    together = (
        "Function code combined with layers exceeds the maximum allowed size of 100 bytes. "
        "The actual size is 101 bytes."
    )
    assert error_of(create, client, Layers=[large]) == (400, INVALID, too_much)
    assert error_of(create, client, Layers=[small], Code=code) == (400, INVALID, together)
    create(client, Layers=[small])
    wait(client, "function_active_v2")
    update = client.update_function_code
    assert error_of(update, FunctionName="f", **code) == (400, INVALID, together)
    assert error_of(client.update_function_configuration, FunctionName="f", Layers=[large])[2] == too_much


def test_layers_count_as_code_storage(control_plane: ControlPlane, client: Any) -> None:
    publish(client)
    create(client)
    usage = client.get_account_settings()["AccountUsage"]
    assert usage == {"FunctionCount": 1, "TotalCodeSize": len(CODE) + len(zip_of(app="x"))}
    control_plane.registry.storage.limit_bytes = usage["TotalCodeSize"] + 10
    assert error_of(publish, client)[:2] == (400, "CodeStorageExceededException")


# --- permissions ------------------------------------------------------------------------------------------------------


def add(client: Any, sid: str = "all", **members: Any) -> Any:
    given = {"LayerName": "tools", "VersionNumber": 1, "Action": "lambda:GetLayerVersion", "Principal": "*", **members}
    return client.add_layer_version_permission(StatementId=sid, **given)


@pytest.mark.parametrize(
    ("members", "principal", "condition"),
    [
        ({}, "*", None),
        ({"Principal": "123456789012"}, {"AWS": "arn:aws:iam::123456789012:root"}, None),
        ({"Principal": "arn:aws:iam::123456789012:root"}, {"AWS": "arn:aws:iam::123456789012:root"}, None),
        ({"OrganizationId": "o-a1b2c3d4e5"}, "*", {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
    ],
)
def test_a_permission_is_answered_as_its_statement_and_the_policys_revision(
    client: Any, members: dict[str, Any], principal: Any, condition: Any
) -> None:
    publish(client)
    answer = add(client, **members)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = json.loads(answer["Statement"])
    assert statement == {
        "Sid": "all",
        "Effect": "Allow",
        "Principal": principal,
        "Action": "lambda:GetLayerVersion",
        "Resource": f"{ARN}:1",
        **({} if condition is None else {"Condition": condition}),
    }
    policy = client.get_layer_version_policy(LayerName="tools", VersionNumber=1)
    assert policy["RevisionId"] == answer["RevisionId"]
    assert json.loads(policy["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}


def test_a_policy_goes_with_its_last_statement(client: Any) -> None:
    publish(client)
    first = add(client, "one")["RevisionId"]
    second = add(client, "two", RevisionId=first)["RevisionId"]
    remove = {"LayerName": "tools", "VersionNumber": 1}
    removed = client.remove_layer_version_permission(**remove, StatementId="one", RevisionId=second)
    assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.remove_layer_version_permission(**remove, StatementId="two")
    none = (404, NOT_FOUND, "No policy is associated with the given resource.")
    assert error_of(client.get_layer_version_policy, **remove) == none


def test_permissions_are_refused_in_awss_words(client: Any) -> None:
    publish(client)
    add(client)
    of = {"LayerName": "tools", "VersionNumber": 1}
    stale = (
        412,
        "PreconditionFailedException",
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetLayerPolicy API to retrieve the latest Revision Id"
        ),
    )
    assert error_of(add, client, "two", RevisionId="stale") == stale
    assert error_of(client.remove_layer_version_permission, **of, StatementId="all", RevisionId="stale") == stale
    assert error_of(add, client) == (
        409,
        "ResourceConflictException",
        (
            "The statement id (all) provided already exists. Please provide a new statement id, or remove the existing "
            "statement."
        ),
    )
    unknown = (404, NOT_FOUND, "Statement no is not found in resource policy.")
    assert error_of(client.remove_layer_version_permission, **of, StatementId="no") == unknown
    missing = (404, NOT_FOUND, f"Layer version {ARN}:2 does not exist.")
    other = {"LayerName": "tools", "VersionNumber": 2}
    assert error_of(add, client, **other) == missing
    assert error_of(client.remove_layer_version_permission, **other, StatementId="all") == missing
    assert error_of(client.get_layer_version_policy, **other) == missing
    assert error_of(add, client, Principal="nobody")[1] == "ValidationException"
    code, message = error_of(add, client, Action="lambda:Invoke")[1:]
    assert code == "ValidationException"
    assert message == (
        "1 validation error detected: Value 'lambda:Invoke' at 'action' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: lambda:GetLayerVersion"
    )
