"""Runtimes that do what they must not: AWS's status, type and message for them; their own invocation and everybody
else's unharmed.
"""

import json
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, invoke, marked_processes, zip_of

ACCEPTED = [202, {"status": "OK"}]
INVALID_ID = [400, {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}]
RESPONSE = ["POST", "invocation/ID/response", '"done"']
INIT_ERROR = ["POST", "init/error", '{"errorMessage": "no luck", "errorType": "Runtime.NoLuck"}']
NEXT = ["GET", "invocation/next", None]

# Makes the calls that its variable CALLS_IN_INIT and its events list, and writes down what came back.
UNRULY = """\
    import http.client, json, os

    def call(method, path, body=None, headers=()):
        connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"], timeout=20)
        body = "x" * body if isinstance(body, int) else body
        connection.request(method, "/2018-06-01/runtime/" + path, body, dict(headers))
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, text, reply.headers

    def make(calls, request_id, path):
        history = []
        for method, target, *rest in calls:
            status, text, headers = call(method, target.replace("ID", request_id), *rest)
            history.append([status, json.loads(text) if text else None])
        with open(path + ".part", "w") as file:
            json.dump(history, file)
        os.rename(path + ".part", path)

    if "CALLS_IN_INIT" in os.environ:
        make(json.loads(os.environ["CALLS_IN_INIT"]), "", os.environ["HISTORY"])
        raise SystemExit(1)
    while True:
        status, text, headers = call("GET", "invocation/next")
        event = json.loads(text)
        make(event["calls"], headers["Lambda-Runtime-Aws-Request-Id"], event["history"])
    """


def denied(state: str, target: str) -> list[Any]:
    message = f"State transition from {state} to {target} failed for runtime. Error: State transition is not allowed"
    return [403, {"errorMessage": message, "errorType": "InvalidStateTransition"}]


def create_unruly(client: Any, name: str, **variables: str) -> None:
    code = zip_of({"bootstrap": f"#!{sys.executable}\n{textwrap.dedent(UNRULY)}"})
    create(
        client, name, code, Runtime="provided.al2023", Handler="any", Timeout=20, Environment={"Variables": variables}
    )


@pytest.fixture(scope="module")
def unruly(client: Any) -> Any:
    create_unruly(client, "unruly")
    return client


def history_of(path: Path) -> list[Any]:
    wait_until(path.exists, what="the runtime to write down what came back")
    return json.loads(path.read_text())


def provoke(client: Any, folder: Path, *calls: list[Any], name: str = "unruly") -> tuple[Any, list[Any]]:
    """The caller's answer, and what the runtime was answered."""
    path = folder / "history"
    answer = invoke(client, name, {"calls": calls, "history": str(path)})
    return answer, history_of(path)


@pytest.mark.parametrize(
    ("calls", "replies"),
    [
        ([["POST", "invocation/0000/response", "{}"], RESPONSE], [INVALID_ID, ACCEPTED]),
        ([["POST", "invocation/0000/error", "{}"], RESPONSE], [INVALID_ID, ACCEPTED]),
        ([["POST", "invocation//response", "{}"], RESPONSE], [INVALID_ID, ACCEPTED]),
        ([RESPONSE, RESPONSE], [ACCEPTED, denied("RuntimeResponseSentState", "InvocationResponse")]),
        (
            [RESPONSE, ["POST", "invocation/ID/error", "{}"]],
            [ACCEPTED, denied("RuntimeResponseSentState", "InvocationErrorResponse")],
        ),
        ([INIT_ERROR, RESPONSE], [denied("Running", "InitError"), ACCEPTED]),
        ([RESPONSE, INIT_ERROR], [ACCEPTED, denied("RuntimeResponseSentState", "InitError")]),
    ],
    ids=[
        "response to an unknown id",
        "error to an unknown id",
        "response to no id",
        "two responses",
        "error after response",
        "init/error while running",
        "init/error after response",
    ],
)
def test_what_a_runtime_must_not_do_is_denied_and_its_invocation_goes_on(
    unruly: Any, tmp_path: Path, calls: list[Any], replies: list[Any]
) -> None:
    answer, history = provoke(unruly, tmp_path, *calls)
    assert history == replies
    assert (answer.error, answer.payload) == (None, "done")


def test_next_out_of_turn_brings_the_same_event_again(unruly: Any, tmp_path: Path) -> None:
    answer, (repeated, accepted) = provoke(unruly, tmp_path, NEXT, RESPONSE)
    assert repeated == [200, {"calls": [NEXT, RESPONSE], "history": str(tmp_path / "history")}]
    assert (accepted, answer.payload) == (ACCEPTED, "done")


@pytest.mark.parametrize(
    ("call", "target"), [(NEXT, "Ready"), (INIT_ERROR, "InitError")], ids=["next", "init/error again"]
)
def test_nothing_is_allowed_after_init_error(client: Any, tmp_path: Path, call: list[Any], target: str) -> None:
    path = tmp_path / "history"
    name = f"no-init-{target}"
    create_unruly(client, name, CALLS_IN_INIT=json.dumps([INIT_ERROR, call]), HISTORY=str(path))
    answer = invoke(client, name)
    assert history_of(path) == [ACCEPTED, denied("InitError", target)]
    assert (answer.error, answer.payload) == ("Unhandled", {"errorMessage": "no luck", "errorType": "Runtime.NoLuck"})


def test_a_response_in_init_is_a_response_to_nothing(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "history"
    calls = [["POST", "invocation/0000/response", "{}"]]
    create_unruly(client, "early", CALLS_IN_INIT=json.dumps(calls), HISTORY=str(path))
    answer = invoke(client, "early")
    assert history_of(path) == [INVALID_ID]
    assert answer.payload["errorType"] == "Runtime.ExitError"


def test_an_unknown_response_mode_is_refused(unruly: Any, tmp_path: Path) -> None:
    strange = [*RESPONSE, {"Lambda-Runtime-Function-Response-Mode": "sideways"}]
    _, history = provoke(unruly, tmp_path, strange, RESPONSE)
    refused = {"errorMessage": "Invalid function response mode", "errorType": "InvalidFunctionResponseMode"}
    assert history[0] == [400, refused]


def test_too_large_a_response_is_413_for_the_runtime_and_a_function_error_for_the_caller(
    unruly: Any, tmp_path: Path
) -> None:
    answer, history = provoke(unruly, tmp_path, ["POST", "invocation/ID/response", 6 * 1024 * 1024 + 101])
    words = "Exceeded maximum allowed payload size (6291556 bytes)."
    assert history == [[413, {"errorMessage": words, "errorType": "RequestEntityTooLarge"}]]
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")


@pytest.mark.parametrize("path", ["invocation/next/more", "nothing", "../../2015-03-31/functions"])
def test_paths_that_the_runtime_api_does_not_have_are_404(unruly: Any, tmp_path: Path, path: str) -> None:
    answer, (missing, _) = provoke(unruly, tmp_path, ["GET", path, None], RESPONSE)
    assert (missing[0], missing[1]["errorType"]) == (404, "ResourceNotFound")
    assert answer.payload == "done"


def test_an_environment_cannot_answer_for_another_one(unruly: Any, tmp_path: Path) -> None:
    source = """
        import pathlib, time
        def handler(event, context):
            pathlib.Path(event).write_text(context.aws_request_id)
            time.sleep(1.5)
            return "my own words"
    """
    create(unruly, "victim", source, Timeout=20)
    told = tmp_path / "request-id"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, unruly, "victim", str(told))
        wait_until(lambda: told.exists() and told.read_text(), what="the victim to run")
        victim = told.read_text()
        answer, history = provoke(
            unruly,
            tmp_path,
            ["POST", f"invocation/{victim}/response", '"stolen"'],
            ["POST", f"invocation/{victim}/error", '{"errorType": "Stolen"}'],
            RESPONSE,
        )
        assert history == [INVALID_ID, INVALID_ID, ACCEPTED]
        assert answer.payload == "done"
        assert not running.done()
        assert (running.result(10).error, running.result().payload) == (None, "my own words")


@pytest.mark.parametrize("host", ["", "127.0.0.1", "rie-0123456789abcdef"])
def test_a_stranger_gets_nothing_from_the_runtime_api(shared: RieServer, host: str) -> None:
    headers = {"Host": host} if host else {}
    base = f"{shared.runtime_url}/2018-06-01/runtime"
    for method, path in (("GET", "invocation/next"), ("POST", "invocation/0000/response"), ("POST", "init/error")):
        with requests.request(method, f"{base}/{path}", headers=headers, timeout=10) as reply:
            assert (reply.status_code, reply.json()["errorType"]) == (403, "UnknownEnvironment")
    with requests.get(f"{shared.runtime_url}/2015-03-31/functions", headers=headers, timeout=10) as reply:
        assert (reply.status_code, reply.json()["errorType"]) == (404, "ResourceNotFound")


def test_the_address_of_an_environment_ends_with_it(shared: RieServer, client: Any) -> None:
    tell = """
        import os
        def handler(event, context):
            if event == "exit":
                os._exit(1)
            return [os.environ["AWS_LAMBDA_RUNTIME_API"], os.getpid()]
    """
    create(client, "mortal", tell)
    address, pid = invoke(client, "mortal").payload
    with requests.get(f"http://{address}/2018-06-01/ping", timeout=10) as reply:
        assert reply.text == "pong"
    invoke(client, "mortal", "exit")
    wait_until(lambda: pid not in marked_processes(shared.data_dir), what="the end of the environment")

    def is_gone() -> bool:
        try:
            requests.get(f"http://{address}/2018-06-01/ping", timeout=10).close()
        except requests.ConnectionError:
            return True
        return False

    wait_until(is_gone, seconds=3, what="the address to close")
