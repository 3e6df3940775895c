"""Extensions as functions bring them: internal ones in a Python handler, external ones in layers; a real server."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.extension_programs import CURL, PYTHON
from tests.integration.invoke.deploying import create, invoke, marked_processes, zip_of

INTERNAL = """
    import json, os, threading, time, urllib.request

    BASE = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2020-01-01/extension"
    seen = []
    pause_seconds = float(os.environ.get("PAUSE_SECONDS", "0"))

    def call(method, path, body=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{BASE}/{path}", body, names, method=method)
        with urllib.request.urlopen(request) as reply:
            return dict(reply.headers), json.load(reply)

    headers, facts = call(
        "POST", "register", b'{"events":["INVOKE"]}',
        Lambda_Extension_Name="inside", Lambda_Extension_Accept_Feature="accountId",
    )
    identifier = headers["Lambda-Extension-Identifier"]

    def listen():
        while True:
            _, event = call("GET", "event/next", Lambda_Extension_Identifier=identifier)
            seen.append(event)
            time.sleep(pause_seconds)

    threading.Thread(target=listen, daemon=True).start()

    def handler(event, context):
        return {"facts": facts, "seen": seen, "request_id": context.aws_request_id}
"""


@pytest.fixture(scope="module")
def function(client: Any) -> str:
    create(client, "watched", INTERNAL, Timeout=5)
    return "watched"


def test_an_internal_extension_learns_the_function_and_every_invocation(client: Any, function: str) -> None:
    answer = invoke(client, function).payload
    assert answer["facts"] == {
        "functionName": "watched",
        "functionVersion": "$LATEST",
        "handler": "app.handler",
        "accountId": "000000000000",
    }
    following = invoke(client, function).payload
    seen = [event["requestId"] for event in following["seen"]]
    assert seen[-1] in (answer["request_id"], following["request_id"])
    assert len(seen) == len(set(seen))


def test_who_wants_the_answer_does_not_wait_for_an_extension_and_who_wants_the_log_does(client: Any) -> None:
    create(client, "dawdles", INTERNAL, Timeout=5, Environment={"Variables": {"PAUSE_SECONDS": "1.5"}})
    log = invoke(client, "dawdles", LogType="Tail").log
    begun = time.monotonic()
    invoke(client, "dawdles")
    assert time.monotonic() - begun < 1.0
    duration_ms = re.search(r"REPORT .*?\tDuration: ([0-9.]+) ms", log)
    assert duration_ms is not None
    assert float(duration_ms[1]) >= 1500


def test_the_log_of_an_extension_shows_it(client: Any, function: str, shared: RieServer) -> None:
    invoke(client, function)
    wait_until(
        lambda: "EXTENSION\tName: inside\tState: Ready\tEvents: [INVOKE]" in shared.output, what="the extension's line"
    )


# --- external extensions, in layers -----------------------------------------------------------------------------------

HANDLER = """
    import os, signal, time

    def handler(event, context):
        time.sleep((event or {}).get("sleep", 0))
        if "signal" in (event or {}):
            os.kill(os.getpid(), event["signal"])
        return "done"
"""


def layer_of(client: Any, name: str, programs: dict[str, str]) -> str:
    """Publishes executables for ``/opt/extensions``; returns the layer version's ARN."""
    content = zip_of({f"extensions/{file}": text for file, text in programs.items()}, executable="extensions/")
    return str(client.publish_layer_version(LayerName=name, Content={"ZipFile": content})["LayerVersionArn"])


def test_extensions_in_python_and_in_shell_see_invocations_and_the_end(start_rie: Callable[..., RieServer]) -> None:
    server = start_rie(executor="process")
    client = server.client()
    layers = [layer_of(client, "python", {"watcher": PYTHON}), layer_of(client, "shell", {"curler": CURL})]
    create(client, "watched", HANDLER, Layers=layers)
    for _ in range(3):
        answer = invoke(client, "watched")
        assert (answer.payload, answer.error) == ("done", None)
        wait_until(lambda at=answer.request_id: f"watcher INVOKE {at}" in server.output, what="the event in Python")
        wait_until(lambda at=answer.request_id: f'"requestId":"{at}"' in server.output, what="the event in the shell")
    assert "EXTENSION\tName: curler\tState: Ready\tEvents: [INVOKE, SHUTDOWN]" in server.output
    server.stop()
    assert "watcher SHUTDOWN spindown" in server.output
    assert '"shutdownReason":"spindown"' in server.output


def test_of_many_invocations_at_once_each_is_told_and_reported_once_and_every_extension_is_bidden_farewell(
    start_rie: Callable[..., RieServer],
) -> None:
    server = start_rie(executor="process", max_environments=4)
    client = server.client(max_pool_connections=8)
    create(client, "busy", INTERNAL, Timeout=20, Layers=[layer_of(client, "python", {"watcher": PYTHON})])

    def one(number: int) -> str:
        answer = invoke(client, "busy", LogType="Tail" if number % 5 == 0 else "None")
        assert answer.error is None
        return answer.request_id

    with ThreadPoolExecutor(8) as threads:
        invoked = sorted(threads.map(one, range(200)))
    server.stop()
    assert sorted(re.findall(r"watcher INVOKE (\S+)", server.output)) == invoked
    assert sorted(re.findall(r"REPORT RequestId: (\S+)", server.output)) == invoked
    begun = server.output.count("EXTENSION\tName: watcher")
    assert server.output.count("watcher SHUTDOWN spindown") == begun > 0


def test_a_timeout_and_a_crash_of_the_runtime_are_told_to_extensions(start_rie: Callable[..., RieServer]) -> None:
    server = start_rie(executor="process")
    client = server.client()
    create(client, "watched", HANDLER, Timeout=1, Layers=[layer_of(client, "python", {"watcher": PYTHON})])
    assert invoke(client, "watched", {"sleep": 5}).payload["errorType"] == "Sandbox.Timedout"
    wait_until(lambda: "watcher SHUTDOWN timeout" in server.output, what="the timeout")
    assert invoke(client, "watched", {"signal": 9}).payload["errorMessage"].endswith("signal: killed")
    wait_until(lambda: "watcher SHUTDOWN failure" in server.output, what="the failure")


def test_an_extension_that_ends_fails_what_runs_and_one_that_cannot_start_fails_initialization(
    start_rie: Callable[..., RieServer],
) -> None:
    client = start_rie(executor="process").client()
    crashing = layer_of(client, "crashing", {"watcher": PYTHON.replace('"crash" in os.environ', "True")})
    create(client, "crashes", HANDLER, Layers=[crashing])
    answer = invoke(client, "crashes", {"sleep": 2})
    assert answer.payload == {
        "errorType": "Extension.Crash",
        "errorMessage": f"RequestId: {answer.request_id} Error: exit status 4",
    }
    broken = zip_of({"extensions/broken": "#!/bin/sh\n"})
    arn = client.publish_layer_version(LayerName="broken", Content={"ZipFile": broken})["LayerVersionArn"]
    create(client, "breaks", HANDLER, Layers=[arn])
    answer = invoke(client, "breaks")
    assert answer.payload == {
        "errorType": "Extension.LaunchError",
        "errorMessage": f"RequestId: {answer.request_id} Error: fork/exec /opt/extensions/broken: permission denied",
    }


def test_a_killed_server_leaves_no_extension_behind(start_rie: Callable[..., RieServer]) -> None:
    server = start_rie(executor="process")
    client = server.client()
    create(client, "watched", HANDLER, Layers=[layer_of(client, "python", {"watcher": PYTHON})])
    invoke(client, "watched")
    assert any("watcher" in command for command in marked_processes(server.data_dir).values())
    server.kill()
    wait_until(lambda: not marked_processes(server.data_dir), what="the end of every process")
