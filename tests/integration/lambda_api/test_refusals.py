"""Bad input, each with AWS's status, code and message, as a client sees it."""

import base64
import json
from typing import Any

import pytest
import requests

from rie_server.api.lambda_api import router
from rie_server.limits import CREATE_REQUEST_BYTES, ZIP_BYTES
from rie_server.model.runtimes import DEPRECATED_RUNTIMES
from tests.fakes.registry_ports import zip_of
from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import ARN, CODE, ROLE, create, error_of, wait

INVALID = "InvalidParameterValueException"
NAME_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?"
    r"(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
)
LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:tools:1"


def refusal(client: Any, **members: Any) -> tuple[int, str, str]:
    arguments = {
        "FunctionName": "f",
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Role": ROLE,
        "Code": {"ZipFile": CODE},
        **members,
    }
    return error_of(client.create_function, **{key: value for key, value in arguments.items() if value is not None})


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"Runtime": "python2.7"},
            (
                "The runtime parameter of python2.7 is no longer supported for creating or updating AWS Lambda "
                "functions. We recommend you use a supported runtime while creating or updating functions."
            ),
        ),
        (
            {"Handler": None},
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ),
        (
            {"Runtime": None},
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ),
        (
            {"Code": {"ZipFile": b"no zip"}},
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        ({"Code": {}}, "Please provide a source for function code."),
        (
            {"Code": {"ZipFile": CODE, "S3Bucket": "bucket", "S3Key": "key"}},
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        ),
        (
            {"Code": {"ImageUri": "app"}},
            "Please don't provide ImageUri when creating a function with packageType Zip.",
        ),
        (
            {"PackageType": "Image", "Runtime": None, "Handler": None},
            "Please provide ImageUri when creating a function with packageType Image.",
        ),
        (
            {"PackageType": "Image", "Code": {"ImageUri": "app"}},
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
        ),
        (
            {"Code": {"S3Bucket": "bucket", "S3Key": "nothing"}},
            (
                "Error occurred while GetObject. S3 Error Code: NoSuchKey. "
                "S3 Error Message: The specified key does not exist."
            ),
        ),
        (
            {"Environment": {"Variables": {"AWS_REGION": "x", "GOOD": "x"}}},
            (
                "Lambda was unable to configure your environment variables because the environment variables you have "
                "provided contains reserved keys that are currently not supported for modification. "
                "Reserved keys used in this request: AWS_REGION"
            ),
        ),
        (
            {"Environment": {"Variables": {"LARGE": "x" * 4096}}},
            "Lambda was unable to configure your environment variables because the environment variables you have "
            'provided exceeded the 4KB limit. String measured: {"LARGE":"' + "x" * 4096 + '"}',
        ),
        (
            {"FunctionName": "a" * 65},
            (
                f"1 validation error detected: Value '{'a' * 65}' at 'functionName' failed to satisfy constraint: "
                "Member must have length less than or equal to 64"
            ),
        ),
        ({"FunctionName": "f:live"}, "Unsupported function name: f:live"),
        (
            {"Timeout": 901},
            "'Timeout' value failed to satisfy constraint: Member must have value less than or equal to 900",
        ),
        (
            {"MemorySize": 10241},
            "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240",
        ),
        (
            {"EphemeralStorage": {"Size": 10241}},
            "'EphemeralStorage' value failed to satisfy constraint: Member must have value less than or equal to 10240",
        ),
        ({"Layers": [LAYER]}, f"Layer version {LAYER} does not exist."),
        ({"Layers": [f"{LAYER}{number}" for number in range(6)]}, "Cannot reference more than 5 layers."),
        (
            {"Layers": [LAYER.replace("us-east-1", "eu-west-1")]},
            "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.",
        ),
        ({"Tags": {f"k{number}": "" for number in range(51)}}, "Number of tags exceeds resource tag limit."),
    ],
)
def test_create_function_refuses_in_awss_words(client: Any, members: dict[str, Any], message: str) -> None:
    assert refusal(client, **members) == (400, INVALID, message)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"FunctionName": "a" * 141},
            (
                f"1 validation error detected: Value '{'a' * 141}' at 'functionName' failed to satisfy constraint: "
                "Member must have length less than or equal to 140"
            ),
        ),
        (
            {"FunctionName": "not a name"},
            (
                "1 validation error detected: Value 'not a name' at 'functionName' failed to satisfy constraint: "
                f"Member must satisfy regular expression pattern: {NAME_PATTERN}"
            ),
        ),
        (
            {"Role": None},
            "1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"Role": "admin"},
            (
                "1 validation error detected: Value 'admin' at 'role' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?"
                r"[a-zA-Z_0-9+=,.@\-_/]+"
            ),
        ),
        (
            {"Timeout": 0, "PackageType": "Jar"},
            (
                "2 validation errors detected: Value '0' at 'timeout' failed to satisfy constraint: "
                "Member must have value greater than or equal to 1; Value 'Jar' at 'packageType' failed to satisfy "
                "constraint: Member must satisfy enum value set: [Zip, Image]"
            ),
        ),
        (
            {"Architectures": ["mips"]},
            (
                "1 validation error detected: Value '[mips]' at 'architectures' failed to satisfy constraint: "
                "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], "
                "Member must not be null]"
            ),
        ),
        (
            {"Architectures": []},
            (
                "1 validation error detected: Value '[]' at 'architectures' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ),
        (
            {"Environment": {"Variables": {"9A": "x"}}},
            (
                "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: "
                "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: "
                "[a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]"
            ),
        ),
    ],
)
def test_violations_of_the_model_are_validation_exceptions(client: Any, members: dict[str, Any], message: str) -> None:
    assert refusal(client, **members) == (400, "ValidationException", message)


def test_a_runtime_that_does_not_exist_is_answered_with_those_that_do(client: Any) -> None:
    status, code, message = refusal(client, Runtime="cobol85")
    assert (status, code) == (400, INVALID)
    start = "Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: ["
    assert message.startswith(start)
    assert message.endswith("] or be a valid ARN")
    offered = message.removeprefix(start).split("]")[0].split(", ")
    assert {"python3.12", "provided.al2023"} <= set(offered)
    assert not DEPRECATED_RUNTIMES & set(offered)


def test_a_function_that_exists_cannot_be_created_again(client: Any) -> None:
    create(client)
    assert refusal(client) == (409, "ResourceConflictException", "Function already exist: f")


def test_a_zip_above_50_mb_and_a_request_above_the_limit_are_413(control_plane: ControlPlane, client: Any) -> None:
    status, code, message = refusal(client, Code={"ZipFile": b"x" * (ZIP_BYTES + 1)})
    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert message == f"Zipped size must be smaller than {ZIP_BYTES} bytes"
    reply = post(control_plane, b"x" * (CREATE_REQUEST_BYTES + 1))
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (413, "RequestEntityTooLargeException")
    assert reply.json() == {
        "message": f"Request must be smaller than {CREATE_REQUEST_BYTES} bytes for the CreateFunction operation"
    }


def test_updates_are_refused_like_creation(client: Any) -> None:
    create(client)
    wait(client, "function_active_v2")
    assert error_of(client.update_function_code, FunctionName="f", ImageUri="app")[1:] == (
        INVALID,
        "Please don't provide ImageUri when updating a function with packageType Zip.",
    )
    assert error_of(client.update_function_code, FunctionName="f", Architectures=["arm64"])[1] == INVALID
    assert error_of(client.update_function_configuration, FunctionName="f", Runtime="go1.x")[1] == INVALID
    assert error_of(client.update_function_code, FunctionName="f", ZipFile=CODE, RevisionId="old") == (
        412,
        "PreconditionFailedException",
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        ),
    )
    client.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert client.get_function(FunctionName="f")["Configuration"]["LastUpdateStatus"] == "Successful"


def test_members_that_this_server_cannot_honour_are_refused_not_ignored(client: Any) -> None:
    assert refusal(client, PublishTo="LATEST_PUBLISHED")[:2] == (501, "NotImplementedException")
    signing = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"
    assert refusal(client, CodeSigningConfigArn=signing) == (
        404,
        "CodeSigningConfigNotFoundException",
        (
            "The code signing configuration cannot be found. Check that the provided configuration is not deleted: "
            f"{signing}."
        ),
    )


def test_an_operation_that_is_not_implemented_says_which(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with an operation of a newer botocore, which its model brings and nobody here carries out."""
    monkeypatch.delitem(router._OPERATIONS, "GetAccountSettings")
    assert error_of(client.get_account_settings) == (
        501,
        "NotImplementedException",
        "GetAccountSettings is not implemented by this server.",
    )


def post(control_plane: ControlPlane, body: bytes, path: str = "/2015-03-31/functions") -> requests.Response:
    with requests.post(control_plane.url + path, data=body, timeout=30) as reply:
        return reply


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b"[" * 100_000,
        b'{"Timeout":NaN}',
        b'{"FunctionName":1}',
        b'{"Timeout":"1"}',
        b'{"Timeout":true}',
        b'{"Code":[]}',
        b'{"Code":"x"}',
        b'{"Layers":{}}',
        b'{"Tags":[]}',
        b'{"Handler":{}}',
        b'{"Code":{"ZipFile":"not*base64"}}',
        b'{"Code":{"ZipFile":"abc"}}',
    ],
)
def test_a_body_that_cannot_be_read_is_a_serialization_exception(control_plane: ControlPlane, body: bytes) -> None:
    reply = post(control_plane, body)
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (400, "SerializationException")
    assert reply.headers["Content-Type"] == "application/json"
    assert list(reply.json()) == ["Message"]


def test_unknown_members_and_nulls_of_a_body_are_ignored(control_plane: ControlPlane) -> None:
    body = {
        "FunctionName": "f",
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Role": ROLE,
        "Code": {"ZipFile": base64.b64encode(zip_of(app="x")).decode(), "Unknown": 1},
        "Unknown": {"deep": [1]},
        "Timeout": None,
    }
    reply = post(control_plane, json.dumps(body).encode(), "/2015-03-31/functions/")
    assert (reply.status_code, reply.json()["Timeout"]) == (201, 3)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "UnknownOperationException"),
        ("GET", "/2015-03-31/nothing", 404, "UnknownOperationException"),
        ("PATCH", "/2015-03-31/functions/f", 404, "UnknownOperationException"),
        ("GET", "/2015-03-31/functions/f/g/h", 404, "UnknownOperationException"),
        ("POST", "/2026-04-04/network-connectors", 501, "NotImplementedException"),
        ("GET", "/2026-10-01/runtimes/x", 501, "NotImplementedException"),
        ("GET", "/2025-09-09/microvms", 501, "NotImplementedException"),
        ("PUT", "/2025-03-07/web-functions/x", 501, "NotImplementedException"),
    ],
)
def test_every_other_path_gets_a_json_error(
    control_plane: ControlPlane, method: str, path: str, status: int, code: str
) -> None:
    with requests.request(method, control_plane.url + path, timeout=5) as reply:
        assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (status, code)
        assert reply.json()["Message"]
        assert reply.headers["x-amzn-RequestId"]


def test_tag_keys_must_be_named(control_plane: ControlPlane) -> None:
    with requests.delete(f"{control_plane.url}/2017-03-31/tags/{ARN}", timeout=5) as reply:
        assert reply.json() == {
            "message": (
                "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: "
                "Member must not be null"
            )
        }
