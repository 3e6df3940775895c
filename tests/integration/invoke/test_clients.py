"""The clients and runtimes that people use work unchanged: boto3 new and old, the AWS CLI, plain HTTP; awslambdaric new
and old, and a custom runtime of a few lines of shell.
"""

import base64
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import boto3
import botocore
import pytest
import requests

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import ROLE, create, error_of, invoke, python_zip, zip_of
from tests.integration.invoke.other_clients import client_bin

GREETING = """
    def handler(event, context):
        print("greeting", event.get("name"))
        if event.get("fail"):
            raise ValueError("as asked")
        return {"message": "WORD, " + event["name"]}
"""
Require = Callable[[str, str], NoReturn]

# The first time, other versions are installed.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def zips(tmp_path: Path) -> tuple[Path, Path]:
    """Two versions of a function, as files."""
    paths = tmp_path / "one.zip", tmp_path / "two.zip"
    for path, word in zip(paths, ("Hello", "Welcome"), strict=True):
        path.write_bytes(python_zip(GREETING.replace("WORD", word)))
    return paths


@pytest.fixture
def environ(shared: RieServer, tmp_path: Path) -> dict[str, str]:
    """What a user of this server exports."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL_LAMBDA": shared.url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


# --- clients ---


@pytest.mark.parametrize("requirement", [None, "boto3==1.35.*"], ids=["newest", "1.35"])
def test_boto3_leads_a_function_through_its_life(
    requirement: str | None, zips: tuple[Path, Path], environ: dict[str, str], require: Require
) -> None:
    python = Path(sys.executable) if requirement is None else client_bin("boto3-1.35", requirement, require) / "python"
    story = Path(__file__).with_name("boto3_story.py")
    ended = subprocess.run([python, story, *zips], env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    seen = json.loads(ended.stdout)
    assert seen.pop("version").startswith("1.35." if requirement else botocore.__version__)
    tail = seen.pop("tail")
    assert [line.split()[0] for line in tail] == ["START", "greeting", "END", "REPORT"]
    assert seen == {
        "created": [201, "Pending"],
        "first": {"message": "Hello, Ada"},
        "executed_version": "$LATEST",
        "failed": [200, "Unhandled", "ValueError"],
        "second": {"message": "Welcome, Ada"},
        "listed": [["story", 9]],
        "refused": "ResourceNotFoundException",
    }


class Cli:
    """The AWS CLI, version 1."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._command = folder / "aws"
        self._environ = environ

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [self._command, "lambda", *arguments]
        return subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False, timeout=60)

    def __call__(self, *arguments: str) -> Any:
        ended = self.run(*arguments)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return json.loads(ended.stdout) if ended.stdout else None


def test_the_aws_cli_leads_a_function_through_its_life(
    zips: tuple[Path, Path], environ: dict[str, str], require: Require, tmp_path: Path
) -> None:
    aws = Cli(client_bin("awscli-1", "awscli<2", require), environ)
    out = tmp_path / "out.json"
    target = ("--function-name", "cli")
    members = {"runtime": "python3.11", "handler": "app.handler", "role": ROLE, "zip-file": f"fileb://{zips[0]}"}
    options = [word for name, value in members.items() for word in (f"--{name}", value)]
    created = aws("create-function", *target, *options)
    assert created["State"] == "Pending"
    aws("wait", "function-active-v2", *target)
    reply = aws("invoke", *target, "--payload", '{"name": "Ada"}', "--log-type", "Tail", str(out))
    assert json.loads(out.read_text()) == {"message": "Hello, Ada"}
    assert (reply["StatusCode"], reply["ExecutedVersion"]) == (200, "$LATEST")
    tail = base64.b64decode(reply["LogResult"]).decode().splitlines()
    assert [line.split()[0] for line in tail] == ["START", "greeting", "END", "REPORT"]
    assert aws("invoke", *target, "--payload", '{"fail": true}', str(out))["FunctionError"] == "Unhandled"
    assert json.loads(out.read_text())["errorMessage"] == "as asked"
    assert aws("invoke", *target, "--invocation-type", "DryRun", str(out)) == {"StatusCode": 204}
    aws("update-function-code", *target, "--zip-file", f"fileb://{zips[1]}")
    aws("wait", "function-updated-v2", *target)
    aws("invoke", *target, "--payload", '{"name": "Ada"}', str(out))
    assert json.loads(out.read_text()) == {"message": "Welcome, Ada"}
    assert "cli" in [function["FunctionName"] for function in aws("list-functions")["Functions"]]
    aws("delete-function", *target)
    refused = aws.run("invoke", *target, str(out))
    assert refused.returncode != 0
    assert "(ResourceNotFoundException) when calling the Invoke operation: Function not found: arn:" in refused.stderr


def test_plain_http_without_a_signature_leads_a_function_through_its_life(
    shared: RieServer, zips: tuple[Path, Path]
) -> None:
    base = f"{shared.url}/2015-03-31/functions"
    code = {path.stem: base64.b64encode(path.read_bytes()).decode() for path in zips}
    members = {"FunctionName": "plain", "Runtime": "python3.11", "Handler": "app.handler", "Role": ROLE}
    with requests.Session() as http:
        created = http.post(base, json={**members, "Code": {"ZipFile": code["one"]}})
        assert (created.status_code, created.json()["State"]) == (201, "Pending")

        def is_settled() -> bool:
            configuration = http.get(f"{base}/plain/configuration").json()
            return (configuration["State"], configuration.get("LastUpdateStatus")) == ("Active", "Successful")

        wait_until(is_settled, what="Active")
        url = f"{base}/plain/invocations"
        first = http.post(url, json={"name": "Ada"}, headers={"X-Amz-Log-Type": "Tail"})
        assert (first.status_code, first.json()) == (200, {"message": "Hello, Ada"})
        assert first.headers["X-Amz-Executed-Version"] == "$LATEST"
        assert first.headers["Content-Type"] == "application/json"
        assert "X-Amz-Function-Error" not in first.headers
        tail = base64.b64decode(first.headers["X-Amz-Log-Result"]).decode()
        assert first.headers["x-amzn-RequestId"] in tail
        failed = http.post(url, json={"fail": True})
        assert (failed.status_code, failed.headers["X-Amz-Function-Error"]) == (200, "Unhandled")
        assert failed.json()["requestId"] == failed.headers["x-amzn-RequestId"]
        assert http.put(f"{base}/plain/code", json={"ZipFile": code["two"]}).status_code == 200
        wait_until(is_settled, what="the update")
        assert http.post(url, json={"name": "Ada"}).json() == {"message": "Welcome, Ada"}
        assert "plain" in [function["FunctionName"] for function in http.get(f"{base}/").json()["Functions"]]
        deleted = http.delete(f"{base}/plain")
        assert (deleted.status_code, deleted.content) == (204, b"")
        gone = http.post(url, json={})
        assert (gone.status_code, gone.headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")


# --- runtimes ---

ABOUT = """
    import os
    from importlib.metadata import version
    print("initialized")
    def handler(event, context):
        print("called")
        if event == "fail":
            raise ValueError("as asked")
        if event == "exit":
            os._exit(9)
        return {
            "version": version("awslambdaric"),
            "event": event,
            "request": context.aws_request_id,
            "arn": context.invoked_function_arn,
            "function": [context.function_name, context.function_version, context.memory_limit_in_mb],
            "remaining": context.get_remaining_time_in_millis(),
            "client": context.client_context and context.client_context.custom,
            "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        }
"""


@pytest.mark.parametrize("version", ["4.2", "3"])
def test_awslambdaric_runs_functions(client: Any, require: Require, version: str) -> None:
    name = f"ric-{version[0]}"
    if version == "3":
        python = client_bin("awslambdaric-3", "awslambdaric>=3,<4", require) / "python"
        bootstrap = f'#!/bin/sh\nexec {python} -m awslambdaric "$_HANDLER"\n'
        code = zip_of({"app.py": textwrap.dedent(ABOUT), "bootstrap": bootstrap})
        create(client, name, code, Runtime="provided.al2023", Timeout=20)
    else:
        create(client, name, ABOUT, Timeout=20)
    context = base64.b64encode(b'{"custom": {"from": "a test"}}').decode()
    answer = invoke(client, name, {"text": "Grüße"}, ClientContext=context, LogType="Tail")
    seen = answer.payload
    assert answer.error is None
    assert seen.pop("version").startswith(f"{version}.")
    assert 15_000 < seen.pop("remaining") <= 20_000
    assert seen.pop("trace").startswith("Root=1-")
    assert seen == {
        "event": {"text": "Grüße"},
        "request": answer.request_id,
        "arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
        "function": [name, "$LATEST", "128"],
        "client": {"from": "a test"},
    }
    assert "called" in answer.log.splitlines()
    failed = invoke(client, name, "fail")
    assert (failed.error, failed.payload["errorType"]) == ("Unhandled", "ValueError")
    assert invoke(client, name, "exit").payload["errorType"] == "Runtime.ExitError"
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda number: invoke(client, name, number), range(40))
        assert [one.payload["event"] for one in answers] == list(range(40))


SHELL_RUNTIME = """\
    #!/bin/sh
    # A runtime of a few lines: fetch an event, answer with what came.
    set -eu
    api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
    cd "$TMPDIR"
    while :; do
        curl -sSf -D headers -o event "$api/next"
        id=$(tr -d '\\r' < headers | sed -n 's/^lambda-runtime-aws-request-id: *//Ip')
        echo "shell has $(wc -c < event) bytes for $id"
        if grep -q '^"fail' event; then
            curl -sSf -o /dev/null -d '{"errorMessage": "as asked", "errorType": "Shell.Error"}' "$api/$id/error"
        else
            curl -sSf -o /dev/null --data-binary @event "$api/$id/response"
        fi
    done
    """
SHELL_INIT_ERROR = """\
    #!/bin/sh
    curl -sSf -o /dev/null -H 'Lambda-Runtime-Function-Error-Type: Runtime.NoSuchHandler' \\
        -d '{"errorMessage": "no handler here", "errorType": "Runtime.NoSuchHandler", "stackTrace": []}' \\
        "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/init/error"
    exit 1
    """


def shell_function(client: Any, name: str, bootstrap: str) -> None:
    code = zip_of({"bootstrap": textwrap.dedent(bootstrap)})
    create(client, name, code, Runtime="provided.al2023", Handler="any", MemorySize=256, Timeout=20)


def test_a_custom_runtime_in_shell_runs_functions(client: Any) -> None:
    shell_function(client, "shell", SHELL_RUNTIME)
    answer = invoke(client, "shell", {"text": "Grüße"}, LogType="Tail")
    assert (answer.error, answer.payload) == (None, {"text": "Grüße"})
    assert f"bytes for {answer.request_id}" in answer.log
    failed = invoke(client, "shell", "fail")
    assert (failed.error, failed.payload) == ("Unhandled", {"errorMessage": "as asked", "errorType": "Shell.Error"})
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda number: invoke(client, "shell", {"n": number}), range(40))
        assert [one.payload["n"] for one in answers] == list(range(40))


def test_a_runtime_that_expects_100_continue_gets_megabytes_through(client: Any) -> None:
    # curl asks for leave before it sends a body above 1 MB.
    shell_function(client, "shell-large", SHELL_RUNTIME)
    large = "x" * 5_000_000
    assert invoke(client, "shell-large", large).payload == large


def test_a_custom_runtime_reports_that_its_init_failed(client: Any) -> None:
    shell_function(client, "shell-init", SHELL_INIT_ERROR)
    answer = invoke(client, "shell-init")
    assert (answer.error, answer.payload) == (
        "Unhandled",
        {"errorMessage": "no handler here", "errorType": "Runtime.NoSuchHandler", "stackTrace": []},
    )


def test_a_package_without_a_bootstrap_is_told_so(client: Any) -> None:
    create(client, "empty", zip_of({"readme": "nothing to run"}), Runtime="provided.al2023", Handler="any")
    payload = invoke(client, "empty").payload
    assert payload["errorType"] == "Runtime.InvalidEntrypoint"
    assert "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]" in payload["errorMessage"]


def test_two_regions_are_two_worlds(shared: RieServer, request: pytest.FixtureRequest) -> None:
    credentials = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    virginia, europe = (
        boto3.client("lambda", endpoint_url=shared.url, region_name=region, **credentials)
        for region in ("us-east-1", "eu-west-1")
    )
    request.addfinalizer(virginia.close)
    request.addfinalizer(europe.close)
    create(europe, "regional", "import os\ndef handler(event, context):\n    return os.environ['AWS_REGION']\n")
    assert invoke(europe, "regional").payload == "eu-west-1"
    assert error_of(virginia.invoke, FunctionName="regional")[:2] == (404, "ResourceNotFoundException")
