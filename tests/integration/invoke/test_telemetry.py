"""The Telemetry and Logs APIs whole: a real function subscribes, is invoked, and is told what happened."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rie_server.executors.layer_mounts import LayerMounts
from tests.conftest import RieServer, free_port, wait_until
from tests.extension_programs import LISTENER
from tests.integration.invoke.deploying import create, invoke, zip_of
from tests.integration.invoke.listening import SUBSCRIBES, environment, events_in

SLEEPS = """
    import os, time
    def handler(event, context):
        time.sleep(event["seconds"])
        return os.getpid()
"""


def of_request(path: Path, request_id: str) -> list[str]:
    """The kinds of platform events about one invocation, in the order in which they came."""
    return [
        event["type"].removeprefix("platform.")
        for event in events_in(path)
        if isinstance(event["record"], dict) and event["record"].get("requestId") == request_id
    ]


def wait_told(path: Path, request_id: str) -> None:
    wait_until(lambda: of_request(path, request_id)[-1:] == ["report"], what="the report")


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_a_subscriber_is_told_of_its_environment(client: Any, tmp_path: Path, protocol: str) -> None:
    path = tmp_path / "events"
    create(client, f"told-{protocol}", SUBSCRIBES, Environment=environment(path, free_port(), protocol=protocol))
    first = invoke(client, f"told-{protocol}")
    assert first.payload == [[200, "OK"]]
    wait_told(path, first.request_id)
    events = events_in(path)
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["platform.initStart", "platform.telemetrySubscription"]
    assert kinds.index("platform.extension") < kinds.index("platform.initReport") < kinds.index("platform.start")
    assert of_request(path, first.request_id) == ["start", "runtimeDone", "report"]
    printed = [event["record"] for event in events if event["type"] == "function"]
    assert "printed" in printed
    assert any(record.endswith("two\nlines") for record in printed), "a record of two lines is one event"
    done = next(event["record"] for event in events if event["type"] == "platform.runtimeDone")
    assert [span["name"] for span in done["spans"]] == ["responseLatency", "responseDuration", "runtimeOverhead"]
    assert done["metrics"]["producedBytes"] == len('[[200, "OK"]]')
    assert done["tracing"]["value"].startswith("Root=1-")


def test_after_initialization_the_subscription_is_closed(client: Any, tmp_path: Path) -> None:
    create(client, "late", SUBSCRIBES, Environment=environment(tmp_path / "events", free_port()))
    assert invoke(client, "late", "again").payload[1] == [
        403,
        {"errorMessage": "Telemetry API subscription is closed", "errorType": "Telemetry.SubscriptionClosed"},
    ]


def test_a_wrong_request_is_refused_and_the_function_runs_all_the_same(client: Any, tmp_path: Path) -> None:
    create(client, "wrong", SUBSCRIBES, Environment=environment(tmp_path / "events", free_port(), types=[]))
    assert invoke(client, "wrong").payload == [
        [400, {"errorMessage": "types should not be empty", "errorType": "Telemetry.ValidationError"}]
    ]


def test_the_logs_api_is_told_in_its_own_words(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "events"
    variables = environment(path, free_port(), api="/2020-08-15/logs", schemaVersion="2021-03-18")
    create(client, "older", SUBSCRIBES, Environment=variables)
    answer = invoke(client, "older")
    wait_told(path, answer.request_id)
    assert of_request(path, answer.request_id) == ["start", "runtimeDone", "end", "report"]
    assert "platform.logsSubscription" in [event["type"] for event in events_in(path)]


def test_two_environments_are_told_apart(client: Any, tmp_path: Path) -> None:
    paths = tmp_path / "one", tmp_path / "two"
    for name, path in zip(("apart-one", "apart-two"), paths, strict=True):
        create(client, name, SUBSCRIBES, Environment=environment(path, free_port()))
    answers = [invoke(client, name) for name in ("apart-one", "apart-two")]
    for answer, own, other in zip(answers, paths, reversed(paths), strict=True):
        wait_told(own, answer.request_id)
        assert of_request(other, answer.request_id) == []


def test_a_runtime_that_exits_is_told_as_an_error(client: Any, tmp_path: Path, shared: RieServer) -> None:
    """The listener goes with the process, so the log tells what it would have been told."""
    create(client, "exits", SUBSCRIBES, Environment=environment(tmp_path / "events", free_port()))
    assert invoke(client, "exits", "exit").error == "Unhandled"
    wait_until(lambda: "Status: error\tError Type: Runtime.ExitError" in shared.output, what="the REPORT line")
    assert invoke(client, "exits").error is None


def test_external_extensions_of_two_environments_listen_on_the_same_port(
    client: Any, tmp_path: Path, shared: RieServer
) -> None:
    if not LayerMounts().prefix(tmp_path, [], hosts=tmp_path):
        pytest.skip("processes have names of their own where the server may mount alone")
    content = zip_of({"extensions/listener": LISTENER}, executable="extensions")
    layer = client.publish_layer_version(LayerName="listener", Content={"ZipFile": content})
    create(client, "layered", SLEEPS, Layers=[layer["LayerVersionArn"]], Timeout=20)
    with ThreadPoolExecutor(2) as callers:
        answers = list(callers.map(lambda _: invoke(client, "layered", {"seconds": 1.5}), range(2)))
    instances = {answer.payload for answer in answers}
    assert len(instances) == 2, "both ran at the same time"

    def told(kind: str, key: str) -> set[str]:
        lines = [line.partition("GOT ")[2] for line in shared.output.splitlines() if "GOT {" in line]
        events = [json.loads(line) for line in lines]
        return {event["record"][key] for event in events if event["type"] == f"platform.{kind}"}

    requests = {answer.request_id for answer in answers}
    wait_until(lambda: told("report", "requestId") >= requests, what="both reports")
    assert len(told("initStart", "instanceId")) == 2


def test_a_thousand_invocations_are_told_exactly_once_each_in_order(
    start_rie: Callable[..., RieServer], tmp_path: Path
) -> None:
    # A caller has its answer before the extension asks for more: a quick one would have another environment started,
    # which has no port to listen on.
    client = start_rie(max_environments=1).client()
    path = tmp_path / "events"
    variables = environment(path, free_port(), types=["platform"])
    create(client, "busy", SUBSCRIBES, Environment=variables, Timeout=60)
    requests = [invoke(client, "busy").request_id for _ in range(1000)]
    wait_told(path, requests[-1])
    told = [
        (event["type"].removeprefix("platform."), event["record"]["requestId"])
        for event in events_in(path)
        if "requestId" in event["record"]
    ]
    assert told == [(kind, request) for request in requests for kind in ("start", "runtimeDone", "report")]
