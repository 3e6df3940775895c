"""A real server over a real engine: what a user sees, and what is left behind."""

import base64
import io
import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.docker_engine import containers_of, runtime_image

pytestmark = pytest.mark.docker

REPOSITORY = Path(__file__).parents[2]
ROLE = "arn:aws:iam::000000000000:role/lambda"
APP = """
import os, time

ENVIRONMENT = os.urandom(8).hex()

def handler(event, context):
    time.sleep(event.get("sleep", 0))
    print("got", event.get("n"))
    if "exit" in event:
        os._exit(event["exit"])
    if "hog" in event:
        kept = [bytearray(b"x" * 8_000_000) for _ in iter(int, 1)]
    return {"n": event.get("n"), "environment": ENVIRONMENT, "uid": os.getuid()}
"""


def zipped(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", source)
    return buffer.getvalue()


@pytest.fixture
def server(docker_engine: Any, start_rie: Callable[..., RieServer]) -> RieServer:
    return start_rie(executor="docker", runtime_host="", runtime_image=runtime_image(docker_engine))


def containers(server: RieServer) -> list[str]:
    return containers_of((server.data_dir / "server-id").read_text().strip())


def create(client: Any, name: str = "f", **options: Any) -> None:
    code = {"ZipFile": zipped(APP)}
    client.create_function(
        **{"FunctionName": name, "Role": ROLE, "Runtime": "python3.11", "Handler": "app.handler", "Code": code}
        | {"Timeout": 20, "MemorySize": 256}
        | options
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def invoke(client: Any, event: Any, name: str = "f", **options: Any) -> Any:
    return client.invoke(FunctionName=name, Payload=json.dumps(event), **options)


def test_a_zip_function_runs_in_a_container_and_logs_its_figures(server: RieServer) -> None:
    client = server.client()
    create(client)
    answer = invoke(client, {"n": 1})
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) | {"environment": ""} == {"n": 1, "uid": 993, "environment": ""}
    assert len(containers(server)) == 1
    wait_until(lambda: "got 1" in server.output and "Init Duration" in server.output, what="the log")


def test_overlapping_invocations_get_containers_and_answers_of_their_own(server: RieServer) -> None:
    client = server.client()
    create(client)

    def one(n: int) -> Any:
        return json.loads(invoke(client, {"n": n, "sleep": 0.5})["Payload"].read())

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(one, range(4)))
    assert [answer["n"] for answer in answers] == [0, 1, 2, 3]
    assert len({answer["environment"] for answer in answers}) == 4


def test_a_function_image_runs_as_it_is(
    server: RieServer, docker_engine: Any, require: Callable[[str, str], Any]
) -> None:
    image = "rie-server/thumbnail:latest"
    if not docker_engine.images.list(image):
        require("docker", f"there is no image {image}: make images")
    client = server.client()
    client.create_function(
        FunctionName="t", Role=ROLE, PackageType="Image", Code={"ImageUri": image}, Timeout=20, MemorySize=512
    )
    client.get_waiter("function_active_v2").wait(FunctionName="t", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    event = json.loads((REPOSITORY / "functions/thumbnail/event.json").read_text())
    answer = invoke(client, event, "t")
    body = answer["Payload"].read()
    assert "FunctionError" not in answer, body
    assert base64.b64decode(json.loads(body)["image"]).startswith(b"\x89PNG")


@pytest.mark.parametrize(("event", "words"), [({"exit": 3}, "exit status 3"), ({"hog": 1}, "signal: killed")])
def test_a_container_that_ends_answers_its_invocation_in_aws_words(
    server: RieServer, event: dict[str, int], words: str
) -> None:
    client = server.client()
    create(client, MemorySize=128)
    answer = invoke(client, event)
    body = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert body["errorType"] == "Runtime.ExitError"
    assert body["errorMessage"].endswith(f"Error: Runtime exited with error: {words}")
    assert "FunctionError" not in invoke(client, {"n": 2})
    wait_until(lambda: len(containers(server)) == 1, what="the dead container's removal")


def test_a_timeout_destroys_the_container(server: RieServer) -> None:
    client = server.client()
    create(client, Timeout=1)
    answer = invoke(client, {"sleep": 30})
    assert json.loads(answer["Payload"].read())["errorType"] == "Sandbox.Timedout"
    wait_until(lambda: containers(server) == [], what="the container's removal")


def test_an_image_that_does_not_exist_never_becomes_active(server: RieServer) -> None:
    client = server.client()
    code = {"ImageUri": "rie-server/gone:1"}
    client.create_function(FunctionName="gone", Role=ROLE, PackageType="Image", Code=code)
    state = wait_until(
        lambda: (found := client.get_function_configuration(FunctionName="gone"))["State"] != "Pending" and found,
        seconds=30,
        what="the verdict",
    )
    assert (state["State"], state["StateReasonCode"]) == ("Failed", "InvalidImage")
    assert "rie-server/gone:1" in state["StateReason"]


def test_sigterm_leaves_no_container(server: RieServer) -> None:
    client = server.client()
    create(client)
    invoke(client, {"n": 1})
    assert len(containers(server)) == 1
    server.stop()
    assert containers(server) == []


def test_a_server_that_was_killed_leaves_no_container_once_it_is_started_again(server: RieServer) -> None:
    client = server.client()
    create(client)
    invoke(client, {"n": 1})
    before = containers(server)
    server.kill()
    server.restart()
    wait_until(lambda: not set(before) & set(containers(server)), what="the orphan's removal")
    assert json.loads(invoke(server.client(), {"n": 2})["Payload"].read())["n"] == 2
