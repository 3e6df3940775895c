"""Function URLs as a client sees them: members, statuses, messages."""

import re
from typing import Any

import pytest
import requests

from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import ARN, create, error_of, shown, wait

NOT_FOUND, CONFLICT, VALIDATION = "ResourceNotFoundException", "ResourceConflictException", "ValidationException"
GONE = "The resource you requested does not exist."
CORS = {"AllowOrigins": ["*"], "AllowMethods": ["GET"], "MaxAge": 5}


@pytest.fixture
def function(client: Any) -> Any:
    """A client of a server with one function, ``f``, and its alias ``live``."""
    create(client)
    wait(client, "function_active_v2")
    client.publish_version(FunctionName="f")
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    return client


def test_a_url_is_answered_with_aws_s_members(function: Any, control_plane: ControlPlane) -> None:
    answer = function.create_function_url_config(FunctionName="f", AuthType="NONE", Cors=CORS)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    made = shown(answer)
    assert set(made) == {"FunctionUrl", "FunctionArn", "AuthType", "Cors", "CreationTime", "InvokeMode"}
    assert (made["FunctionArn"], made["AuthType"], made["InvokeMode"]) == (ARN, "NONE", "BUFFERED")
    port = control_plane.url.rpartition(":")[2]
    assert re.fullmatch(rf"http://[0-9a-f]{{32}}\.lambda-url\.us-east-1\.localhost:{port}/", made["FunctionUrl"])
    assert made["Cors"] == CORS
    known = shown(function.get_function_url_config(FunctionName=ARN))
    assert known == {**made, "LastModifiedTime": made["CreationTime"]}


def test_a_client_elsewhere_gets_the_form_with_a_path(function: Any, control_plane: ControlPlane) -> None:
    path = f"{control_plane.url}/2021-10-31/functions/f/url"
    reply = requests.post(path, json={"AuthType": "NONE"}, headers={"Host": "rie:9000"}, timeout=10)
    assert re.fullmatch(r"http://rie:9000/_rie/urls/[0-9a-f]{32}/", reply.json()["FunctionUrl"])


def test_an_update_changes_what_it_mentions(function: Any) -> None:
    made = shown(function.create_function_url_config(FunctionName="f", AuthType="NONE", Cors=CORS))
    changed = shown(
        function.update_function_url_config(FunctionName="f", AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM")
    )
    assert (changed["FunctionUrl"], changed["Cors"]) == (made["FunctionUrl"], CORS)
    assert (changed["AuthType"], changed["InvokeMode"]) == ("AWS_IAM", "RESPONSE_STREAM")
    assert changed["LastModifiedTime"] > changed["CreationTime"]
    assert "Cors" not in shown(function.update_function_url_config(FunctionName="f", Cors={}))


def test_a_function_and_each_alias_have_one_url(function: Any) -> None:
    function.create_function_url_config(FunctionName="f", AuthType="NONE")
    alias = function.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="AWS_IAM")
    assert alias["FunctionArn"] == f"{ARN}:live"
    status, code, message = error_of(lambda: function.create_function_url_config(FunctionName="f", AuthType="NONE"))
    assert (status, code) == (409, CONFLICT)
    assert message == (
        f"Failed to create function url config for [functionArn = {ARN}]. "
        "Error message:  FunctionUrlConfig exists for this Lambda function"
    )


def test_urls_are_listed_in_pages(function: Any) -> None:
    assert function.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"] == []
    for members in ({}, {"Qualifier": "live"}):
        function.create_function_url_config(FunctionName="f", AuthType="NONE", **members)
    pages = function.get_paginator("list_function_url_configs").paginate(
        FunctionName="f", PaginationConfig={"PageSize": 1}
    )
    arns = [[one["FunctionArn"] for one in page["FunctionUrlConfigs"]] for page in pages]
    assert arns == [[ARN], [f"{ARN}:live"]]


def test_a_deleted_url_is_gone_and_the_next_one_is_another(function: Any) -> None:
    first = function.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    assert function.delete_function_url_config(FunctionName="f")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert error_of(lambda: function.get_function_url_config(FunctionName="f")) == (404, NOT_FOUND, GONE)
    assert function.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"] != first


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
def test_what_is_not_there_is_404(function: Any, operation: str) -> None:
    call = getattr(function, f"{operation}_function_url_config")
    assert error_of(lambda: call(FunctionName="f")) == (404, NOT_FOUND, GONE)
    _, code, _ = error_of(lambda: call(FunctionName="nobody"))
    assert code == NOT_FOUND


def test_urls_of_a_function_that_is_not_there_are_404(client: Any) -> None:
    message = "Function does not exist"
    assert error_of(lambda: client.list_function_url_configs(FunctionName="nobody")) == (404, NOT_FOUND, message)
    refused = error_of(lambda: client.create_function_url_config(FunctionName="nobody", AuthType="NONE"))
    assert refused == (404, NOT_FOUND, f"Function not found: {ARN[:-1]}nobody")


@pytest.mark.parametrize(
    "wrong",
    [
        {"AuthType": "OPEN"},
        {},
        {"AuthType": "NONE", "InvokeMode": "SLOW"},
        {"AuthType": "NONE", "Cors": {"MaxAge": 86401}},
        {"AuthType": "NONE", "Cors": {"AllowMethods": ["GET"] * 7}},
        {"AuthType": "NONE", "Cors": {"AllowOrigins": [""]}},
    ],
)
def test_members_that_break_a_constraint_are_refused(
    function: Any, control_plane: ControlPlane, wrong: dict[str, Any]
) -> None:
    reply = requests.post(f"{control_plane.url}/2021-10-31/functions/f/url", json=wrong, timeout=10)
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (400, VALIDATION)


@pytest.mark.parametrize("qualifier", ["1", "$LATEST"])
def test_versions_have_no_urls(function: Any, control_plane: ControlPlane, qualifier: str) -> None:
    path = f"{control_plane.url}/2021-10-31/functions/f/url?Qualifier={qualifier}"
    reply = requests.post(path, json={"AuthType": "NONE"}, timeout=10)
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (400, VALIDATION)
