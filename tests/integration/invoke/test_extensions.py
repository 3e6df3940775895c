"""Extensions as functions bring them: internal ones in a Python handler, against a real server."""

import re
import time
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, invoke

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
