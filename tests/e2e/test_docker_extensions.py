"""Function images that bring external extensions, on a real server over a real engine."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.docker_engine import build_image, containers_of, runtime_image
from tests.extension_programs import BASH, PYTHON
from tests.integration.invoke.deploying import zip_of
from tests.integration.invoke.test_restart import crash

pytestmark = pytest.mark.docker

ROLE = "arn:aws:iam::000000000000:role/lambda"
APP = """
import os, signal, time

def handler(event, context):
    print("handler", context.aws_request_id)
    time.sleep(event.get("sleep", 0))
    if "signal" in event:
        os.kill(os.getpid(), event["signal"])
    return "done"
"""


@pytest.fixture
def image(docker_engine: Any) -> Iterator[str]:
    base = runtime_image(docker_engine)
    files = {
        "extensions/watcher": (PYTHON, 0o755),
        "extensions/shell": (BASH, 0o755),
        "app.py": (APP, 0o644),
        "Dockerfile": (
            f'FROM {base}\nCOPY extensions /opt/extensions\nCOPY app.py /var/task/\nCMD ["app.handler"]',
            0o644,
        ),
    }
    tag = build_image(files)
    yield tag
    docker_engine.images.remove(tag, force=True)


@pytest.fixture
def server(docker_engine: Any, start_rie: Callable[..., RieServer]) -> RieServer:
    return start_rie(executor="docker", runtime_host="", runtime_image=runtime_image(docker_engine))


def create(client: Any, image: str, **options: Any) -> None:
    client.create_function(
        **{"FunctionName": "f", "Role": ROLE, "PackageType": "Image", "Code": {"ImageUri": image}}
        | {"Timeout": 20, "MemorySize": 256}
        | options
    )
    client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def invoke(client: Any, event: Any) -> tuple[Any, str | None, str]:
    """Payload, function error and request id."""
    answer = client.invoke(FunctionName="f", Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read())
    return payload, answer.get("FunctionError"), answer["ResponseMetadata"]["RequestId"]


def containers(server: RieServer) -> list[str]:
    return containers_of((server.data_dir / "server-id").read_text().strip())


def test_extensions_of_an_image_see_every_invocation_and_the_end_of_their_environment(
    server: RieServer, image: str
) -> None:
    client = server.client()
    create(client, image)
    for _ in range(3):
        payload, error, request_id = invoke(client, {})
        assert (payload, error) == ("done", None)
        wait_until(lambda at=request_id: f"watcher INVOKE {at}" in server.output, what="the event in Python")
        wait_until(lambda at=request_id: f'"requestId":"{at}"' in server.output, what="the event in bash")
    assert "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]" in server.output
    assert "EXTENSION\tName: shell\tState: Ready\tEvents: [INVOKE, SHUTDOWN]" in server.output
    client.delete_function(FunctionName="f")
    wait_until(lambda: "watcher SHUTDOWN spindown" in server.output, what="the farewell in Python")
    wait_until(lambda: '"shutdownReason":"spindown"' in server.output, what="the farewell in bash")
    wait_until(lambda: containers(server) == [], what="the container's removal")


def test_a_timeout_is_told_to_extensions(server: RieServer, image: str) -> None:
    client = server.client()
    create(client, image, Timeout=2)
    invoke(client, {})
    payload, error, _ = invoke(client, {"sleep": 10})
    assert (payload["errorType"], error) == ("Sandbox.Timedout", "Unhandled")
    wait_until(lambda: "watcher SHUTDOWN timeout" in server.output, what="the reason")
    wait_until(lambda: containers(server) == [], what="the container's removal")


@pytest.mark.parametrize(("number", "words"), [(9, "signal: killed"), (15, "signal: terminated")])
def test_a_runtime_that_ends_by_a_signal_is_told_to_its_caller_and_to_extensions(
    server: RieServer, image: str, number: int, words: str
) -> None:
    client = server.client()
    create(client, image)
    payload, _, request_id = invoke(client, {"signal": number})
    assert payload == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request_id} Error: Runtime exited with error: {words}",
    }
    wait_until(lambda: "watcher SHUTDOWN failure" in server.output, what="the reason")


def test_an_extension_that_crashes_fails_the_invocation(server: RieServer, image: str) -> None:
    client = server.client()
    create(client, image, Environment={"Variables": {"crash": "1"}})
    payload, error, request_id = invoke(client, {"sleep": 5})
    assert (payload, error) == (
        {"errorType": "Extension.Crash", "errorMessage": f"RequestId: {request_id} Error: exit status 4"},
        "Unhandled",
    )


def test_a_server_that_stops_lets_extensions_end_and_leaves_nothing(server: RieServer, image: str) -> None:
    client = server.client()
    create(client, image)
    invoke(client, {})
    server_id = (server.data_dir / "server-id").read_text().strip()
    server.stop()
    assert "watcher SHUTDOWN spindown" in server.output
    assert containers_of(server_id) == []


def test_extensions_of_a_layer_run_beside_a_zip_function(server: RieServer) -> None:
    client = server.client()
    layer = zip_of({"extensions/watcher": PYTHON}, executable="extensions/")
    arn = client.publish_layer_version(LayerName="watcher", Content={"ZipFile": layer})["LayerVersionArn"]
    client.create_function(
        FunctionName="f",
        Role=ROLE,
        Runtime="python3.11",
        Handler="app.handler",
        Code={"ZipFile": zip_of({"app.py": APP})},
        Layers=[arn],
        Timeout=20,
        MemorySize=256,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    payload, error, request_id = invoke(client, {})
    assert (payload, error) == ("done", None)
    wait_until(lambda: f"watcher INVOKE {request_id}" in server.output, what="the event")


def test_a_container_that_is_paused_between_invocations_goes_on_for_events_and_for_its_end(
    docker_engine: Any, start_rie: Callable[..., RieServer], image: str
) -> None:
    server = start_rie(executor="docker", runtime_host="", runtime_image=runtime_image(docker_engine), freeze="1")
    client = server.client()
    create(client, image)

    def is_paused() -> bool:
        (name,) = containers(server)
        return bool(docker_engine.containers.get(name).status == "paused")

    for _ in range(2):
        payload, error, request_id = invoke(client, {})
        assert (payload, error) == ("done", None)
        wait_until(lambda at=request_id: f"watcher INVOKE {at}" in server.output, what="the event")
        wait_until(is_paused, what="the pause")
    server_id = (server.data_dir / "server-id").read_text().strip()
    server.stop()
    assert "watcher SHUTDOWN spindown" in server.output
    assert containers_of(server_id) == []


def test_a_killed_server_leaves_no_paused_container_with_extensions(
    docker_engine: Any, start_rie: Callable[..., RieServer], image: str
) -> None:
    server = start_rie(executor="docker", runtime_host="", runtime_image=runtime_image(docker_engine), freeze="1")
    create(server.client(), image)
    invoke(server.client(), {})
    (name,) = containers(server)
    wait_until(lambda: docker_engine.containers.get(name).status == "paused", what="the pause")
    crash(server)
    server.restart()
    wait_until(lambda: name not in containers(server), what="the orphan's removal")
    assert invoke(server.client(), {})[:2] == ("done", None)
