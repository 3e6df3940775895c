import base64
import hashlib
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from tests.fakes.registry_ports import zip_of
from tests.integration.lambda_api.conftest import ControlPlane

ROLE = "arn:aws:iam::000000000000:role/any"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
CODE = zip_of(app="x")

# The members AWS was recorded to answer CreateFunction with, for a zip and nothing optional.
RECORDED = {
    "Architectures", "CodeSha256", "CodeSize", "Description", "EphemeralStorage", "FunctionArn", "FunctionName",
    "Handler", "LastModified", "LoggingConfig", "MemorySize", "PackageType", "RevisionId", "Role", "Runtime",
    "RuntimeVersionConfig", "SnapStart", "State", "StateReason", "StateReasonCode", "Timeout", "TracingConfig",
    "Version",
}  # fmt: skip


def create(client: Any, name: str = "f", **members: Any) -> dict[str, Any]:
    arguments = {"Runtime": "python3.12", "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": CODE}, **members}
    given = {key: value for key, value in arguments.items() if value is not None}
    return shown(client.create_function(FunctionName=name, **given))


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def wait(client: Any, waiter: str, name: str = "f") -> None:
    client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig={"Delay": 0.01, "MaxAttempts": 500})


def error_of(call: Any, *arguments: Any, **members: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **members)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_create_function_answers_with_the_members_recorded_from_aws(client: Any) -> None:
    answer = client.create_function(
        FunctionName="f", Runtime="python3.12", Handler="app.handler", Role=ROLE, Code={"ZipFile": CODE}
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    created = shown(answer)
    assert created.keys() == RECORDED
    assert created | {"LastModified": "", "RevisionId": "", "RuntimeVersionConfig": {}} == {
        "Architectures": ["x86_64"],
        "CodeSha256": base64.b64encode(hashlib.sha256(CODE).digest()).decode(),
        "CodeSize": len(CODE),
        "Description": "",
        "EphemeralStorage": {"Size": 512},
        "FunctionArn": ARN,
        "FunctionName": "f",
        "Handler": "app.handler",
        "LastModified": "",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
        "MemorySize": 128,
        "PackageType": "Zip",
        "RevisionId": "",
        "Role": ROLE,
        "Runtime": "python3.12",
        "RuntimeVersionConfig": {},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "Timeout": 3,
        "TracingConfig": {"Mode": "PassThrough"},
        "Version": "$LATEST",
    }


@pytest.mark.parametrize("waiter", ["function_exists", "function_active", "function_active_v2"])
def test_the_waiters_of_boto3_see_a_created_function(client: Any, waiter: str) -> None:
    create(client)
    wait(client, waiter)
    if waiter != "function_exists":
        answer = client.get_function_configuration(FunctionName="f")
        assert answer["State"] == "Active"
        assert answer["LastUpdateStatus"] == "Successful"
        assert "StateReason" not in answer


@pytest.mark.parametrize("waiter", ["function_updated", "function_updated_v2"])
def test_the_waiters_of_boto3_see_an_update_end(client: Any, waiter: str) -> None:
    create(client)
    wait(client, "function_active_v2")
    updated = client.update_function_configuration(FunctionName="f", Timeout=11, MemorySize=256)
    assert (updated["State"], updated["LastUpdateStatus"]) == ("Active", "InProgress")
    assert updated["LastUpdateStatusReason"] == "The function is being created."
    assert updated["LastUpdateStatusReasonCode"] == "Creating"
    wait(client, waiter)
    answer = client.get_function_configuration(FunctionName="f")
    assert (answer["Timeout"], answer["MemorySize"], answer["LastUpdateStatus"]) == (11, 256, "Successful")
    assert "LastUpdateStatusReason" not in answer
    assert answer["RevisionId"] != updated["RevisionId"]


def test_the_code_can_be_downloaded_from_where_get_function_says(client: Any) -> None:
    create(client, Tags={"team": "orders"})
    answer = client.get_function(FunctionName="f")
    assert answer["Code"]["RepositoryType"] == "S3"
    assert answer["Tags"] == {"team": "orders"}
    assert "Concurrency" not in answer
    with requests.get(answer["Code"]["Location"], timeout=5) as reply:
        assert (reply.status_code, reply.content) == (200, CODE)
    wait(client, "function_active_v2")
    client.update_function_code(FunctionName="f", ZipFile=zip_of(app="newer"))
    newer = client.get_function(FunctionName="f")["Code"]["Location"]
    assert newer != answer["Code"]["Location"]


@pytest.mark.parametrize("path", ["/_rie/code/", "/_rie/code/../../etc/passwd", "/_rie/code/" + "0" * 64])
def test_nothing_but_the_code_of_functions_can_be_downloaded(control_plane: ControlPlane, path: str) -> None:
    with requests.get(control_plane.url + path, timeout=5) as reply:
        assert reply.status_code == 404
        assert reply.json()["Message"]


def test_a_name_a_partial_arn_and_a_full_arn_mean_the_same_function(client: Any) -> None:
    create(client, name=ARN)
    for reference in ("f", "000000000000:function:f", ARN, "function:f"):
        assert client.get_function_configuration(FunctionName=reference)["FunctionArn"] == ARN
    for latest in (f"{ARN}:$LATEST", "f:$LATEST"):
        assert client.get_function_configuration(FunctionName=latest)["FunctionArn"] == f"{ARN}:$LATEST"
    answer = client.get_function(FunctionName="f", Qualifier="$LATEST")
    assert answer["Configuration"]["FunctionArn"] == f"{ARN}:$LATEST"


def test_paths_work_encoded_and_not_and_with_the_slash_of_older_sdks(control_plane: ControlPlane, client: Any) -> None:
    create(client)
    for path in (
        f"/2015-03-31/functions/{ARN}",
        f"/2015-03-31/functions/{ARN.replace(':', '%3A')}",
        "/2015-03-31/functions/f/",
    ):
        with requests.get(control_plane.url + path, timeout=5) as reply:
            assert reply.json()["Configuration"]["FunctionArn"] == ARN
    with requests.get(f"{control_plane.url}/2015-03-31/functions/", timeout=5) as reply:
        assert [one["FunctionName"] for one in reply.json()["Functions"]] == ["f"]


def test_a_function_belongs_to_the_region_that_signed_for_it(control_plane: ControlPlane, client: Any) -> None:
    elsewhere = control_plane.client("eu-west-1")
    assert create(elsewhere)["FunctionArn"] == ARN.replace("us-east-1", "eu-west-1")
    assert error_of(client.get_function, FunctionName="f") == (
        404,
        "ResourceNotFoundException",
        f"Function not found: {ARN}",
    )
    assert error_of(client.get_function, FunctionName=ARN.replace("us-east-1", "eu-west-1")) == (
        404,
        "ResourceNotFoundException",
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    )


def test_functions_are_listed_page_by_page_in_the_order_of_their_names(client: Any) -> None:
    names = [f"f{number:03d}" for number in range(60)]
    for name in reversed(names):
        create(client, name=name)
    pages = list(client.get_paginator("list_functions").paginate())
    assert [len(page["Functions"]) for page in pages] == [50, 10]
    assert [one["FunctionName"] for page in pages for one in page["Functions"]] == names
    few = client.list_functions(MaxItems=7, FunctionVersion="ALL")
    assert [one["FunctionArn"] for one in few["Functions"]] == [ARN[:-1] + name + ":$LATEST" for name in names[:7]]
    client.delete_function(FunctionName="f006")
    following = client.list_functions(Marker=few["NextMarker"], MaxItems=1)["Functions"]
    assert following[0]["FunctionName"] == "f007"
    assert "State" not in following[0]
    assert error_of(client.list_functions, Marker="?")[:2] == (400, "InvalidParameterValueException")


def test_a_deleted_function_answers_204_without_a_body_and_is_gone(control_plane: ControlPlane, client: Any) -> None:
    create(client)
    with requests.delete(f"{control_plane.url}/2015-03-31/functions/f", timeout=5) as reply:
        assert (reply.status_code, reply.content) == (204, b"")
    assert error_of(client.delete_function, FunctionName="f") == (
        404,
        "ResourceNotFoundException",
        f"Function not found: {ARN}",
    )


def test_only_the_function_as_a_whole_can_be_deleted(client: Any) -> None:
    create(client)
    assert error_of(client.delete_function, FunctionName="f", Qualifier="$LATEST") == (
        400,
        "InvalidParameterValueException",
        "$LATEST version cannot be deleted without deleting the function.",
    )
    assert client.delete_function(FunctionName="f", Qualifier="7")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert error_of(client.delete_function, FunctionName="f", Qualifier="live")[0] == 404
    client.get_function(FunctionName="f")


def test_a_version_or_alias_that_is_not_there_is_not_found(client: Any) -> None:
    create(client)
    for qualifier in ("1", "live"):
        assert error_of(client.get_function, FunctionName="f", Qualifier=qualifier) == (
            404,
            "ResourceNotFoundException",
            f"Function not found: {ARN}:{qualifier}",
        )
    assert error_of(client.get_function, FunctionName="f:1", Qualifier="2") == (
        400,
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
    )
    assert error_of(client.update_function_configuration, FunctionName="f:live", Timeout=5)[1:] == (
        "InvalidParameterValueException",
        (
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
            "Please specify either a function name or an unqualified function ARN."
        ),
    )


def test_stored_members_come_back_as_they_were_sent(client: Any) -> None:
    members = {
        "Description": "counts",
        "Environment": {"Variables": {"AB": "ä"}},
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"},
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
        "TracingConfig": {"Mode": "Active"},
        "Architectures": ["arm64"],
        "EphemeralStorage": {"Size": 1024},
        "DurableConfig": {"ExecutionTimeout": 60, "RetentionPeriodInDays": 2},
        "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"},
        "FileSystemConfigs": [
            {
                "Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0",
                "LocalMountPath": "/mnt/a",
            }
        ],
        "Timeout": 900,
        "MemorySize": 10240,
    }
    vpc = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    logging = {"LogFormat": "JSON", "SystemLogLevel": "WARN", "LogGroup": "mine"}
    created = create(client, **members, VpcConfig=vpc, LoggingConfig=logging)
    assert {name: created[name] for name in members} == members
    assert created["VpcConfig"] == {**vpc, "VpcId": "", "Ipv6AllowedForDualStack": False}
    assert created["LoggingConfig"] == {**logging, "ApplicationLogLevel": "INFO"}
    wait(client, "function_active_v2")
    cleared = client.update_function_configuration(
        FunctionName="f", DeadLetterConfig={"TargetArn": ""}, Environment={"Variables": {}}, KMSKeyArn="",
        VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}, FileSystemConfigs=[], LoggingConfig={"LogFormat": "Text"},
    )  # fmt: skip
    assert not {"DeadLetterConfig", "KMSKeyArn", "VpcConfig", "FileSystemConfigs"} & cleared.keys()
    assert cleared["Environment"] == {"Variables": {}}
    assert cleared["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}
    assert cleared["Description"] == "counts"


def test_a_container_image_becomes_active_once_it_is_pulled(control_plane: ControlPlane, client: Any) -> None:
    digest = "sha256:" + "ab" * 32
    control_plane.images.digests["localhost:5000/app:1"] = digest
    members = {"Runtime": None, "Handler": None, "PackageType": "Image", "Code": {"ImageUri": "localhost:5000/app:1"}}
    created = create(client, **members, ImageConfig={"Command": ["app.handler"]})
    assert created["ImageConfigResponse"] == {"ImageConfig": {"Command": ["app.handler"]}}
    assert not {"Runtime", "Handler", "RuntimeVersionConfig"} & created.keys()
    wait(client, "function_active_v2")
    answer = client.get_function(FunctionName="f")
    assert answer["Code"] == {
        "RepositoryType": "ECR",
        "ImageUri": "localhost:5000/app:1",
        "ResolvedImageUri": f"localhost:5000/app@{digest}",
    }
    assert answer["Configuration"]["CodeSha256"] == "ab" * 32
    missing = {**members, "Code": {"ImageUri": "nowhere"}}
    create(client, name="g", **missing)
    with pytest.raises(Exception, match="terminal failure state"):
        wait(client, "function_active_v2", "g")
    assert client.get_function_configuration(FunctionName="g")["StateReasonCode"] == "InvalidImage"


def test_tags_can_be_listed_added_and_removed(client: Any) -> None:
    create(client, Tags={"a": "1"})
    assert client.list_tags(Resource=ARN)["Tags"] == {"a": "1"}
    answer = client.tag_resource(Resource=ARN, Tags={"b": "2", "cost center": "ü/é"})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.untag_resource(Resource=ARN, TagKeys=["a", "b"])
    assert client.list_tags(Resource=ARN)["Tags"] == {"cost center": "ü/é"}
    assert error_of(client.tag_resource, Resource=ARN, Tags={f"k{number}": "" for number in range(50)})[1:] == (
        "InvalidParameterValueException",
        "Number of tags exceeds resource tag limit.",
    )
    assert error_of(client.list_tags, Resource=f"{ARN}:1")[1:] == (
        "InvalidParameterValueException",
        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
    )
    assert error_of(client.list_tags, Resource=f"{ARN}g")[1:] == (
        "ResourceNotFoundException",
        f"Function not found: {ARN}g",
    )
    assert error_of(client.tag_resource, Resource=ARN, Tags={"bad!": "x"})[1] == "ValidationException"


def test_account_settings_count_what_is_there(client: Any) -> None:
    for name in ("a", "b"):
        create(client, name=name)
    settings = shown(client.get_account_settings())
    assert settings["AccountUsage"] == {"TotalCodeSize": 2 * len(CODE), "FunctionCount": 2}
    assert settings["AccountLimit"] == {
        "TotalCodeSize": 80530636800,
        "CodeSizeUnzipped": 262144000,
        "CodeSizeZipped": 52428800,
        "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": 1000,
    }


def test_what_infrastructure_tools_ask_on_every_read_is_answered(client: Any) -> None:
    create(client)
    versions = client.list_versions_by_function(FunctionName="f")["Versions"]
    assert [one["FunctionArn"] for one in versions] == [f"{ARN}:$LATEST"]
    assert shown(client.get_function_code_signing_config(FunctionName="f")) == {}
    assert shown(client.get_function_concurrency(FunctionName="f")) == {}
    assert client.get_runtime_management_config(FunctionName="f")["UpdateRuntimeOn"] == "Auto"
    assert error_of(client.list_versions_by_function, FunctionName="g")[0] == 404


def test_a_dry_run_of_new_code_changes_nothing(client: Any) -> None:
    before = create(client)["CodeSha256"]
    wait(client, "function_active_v2")
    answer = client.update_function_code(FunctionName="f", ZipFile=zip_of(app="new"), DryRun=True)
    assert answer["CodeSha256"] != before
    assert client.get_function_configuration(FunctionName="f")["CodeSha256"] == before
