"""Execution roles: credentials by STS where one is configured, placeholders elsewhere, and what a function may do."""

import json
from typing import Any

import boto3

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import ROLE, create
from tests.servers.moto import MotoServer

WHO = """
    import os, boto3
    def handler(event, context):
        if event == "key":
            return [os.environ[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
        if event == "sts":
            return boto3.client("sts").get_caller_identity()["Arn"]
        functions = boto3.client("lambda", endpoint_url=event).list_functions()["Functions"]
        return [one["FunctionName"] for one in functions]
"""


def ask(client: Any, event: str) -> Any:
    return json.loads(client.invoke(FunctionName="who", Payload=json.dumps(event))["Payload"].read())


def test_a_function_has_the_credentials_of_its_role(start_rie: Any) -> None:
    with MotoServer() as moto:
        server = start_rie(environ={"AWS_ENDPOINT_URL": moto.url})
        client = server.client()
        create(client, "who", WHO, Timeout=20)
        key, _, token = ask(client, "key")
        assert key.startswith("ASIA")
        assert key != "ASIARIESERVERFAKEKEY"
        assert token
        assert ask(client, "sts").endswith(f":assumed-role/{ROLE.rpartition('/')[2]}/who")


def test_where_sts_cannot_be_reached_the_function_runs_and_the_log_says_why(start_rie: Any) -> None:
    server = start_rie(environ={"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"})
    create(server.client(), "who", WHO)
    assert ask(server.client(), "key")[0] == "ASIARIESERVERFAKEKEY"
    wait_until(lambda: f"STS gives no credentials for {ROLE}" in server.output)


def test_without_an_sts_there_are_placeholders_that_open_nothing(start_rie: Any) -> None:
    server = start_rie(auth="iam", access_keys="local=local")
    create(server.client(), "who", WHO, Timeout=20)
    assert ask(server.client(), "key")[0] == "ASIARIESERVERFAKEKEY"
    assert "UnrecognizedClientException" in ask(server.client(), server.url)["errorMessage"]


def test_a_function_s_role_opens_the_lambda_api_of_its_own_account(start_rie: Any) -> None:
    with MotoServer() as moto:
        server: RieServer = start_rie(environ={"AWS_ENDPOINT_URL_STS": moto.url}, auth="iam", access_keys="local=local")
        create(server.client(), "who", WHO, Timeout=20)
        assert ask(server.client(), server.url) == ["who"]


def test_a_role_of_another_account_opens_nothing_here(start_rie: Any) -> None:
    with MotoServer() as moto:
        server: RieServer = start_rie(environ={"AWS_ENDPOINT_URL_STS": moto.url}, auth="iam", access_keys="local=local")
        create(server.client(), "who", WHO, Timeout=20, Role=ROLE.replace("000000000000", "111111111111"))
        answer = ask(server.client(), server.url)
        assert "not authorized to perform: lambda:ListFunctions" in answer["errorMessage"]


def test_a_function_of_another_account_sees_its_own_account(start_rie: Any) -> None:
    server = start_rie()
    neighbour = boto3.client(
        "lambda",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="111111111111",
        aws_secret_access_key="local",
    )
    create(neighbour, "who", WHO, Timeout=20)
    create(server.client(), "hidden", WHO)
    assert ask(neighbour, server.url) == ["who"]
    neighbour.close()
