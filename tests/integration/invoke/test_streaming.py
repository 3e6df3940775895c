"""InvokeWithResponseStream, with boto3 as its client: pieces as they come, and the ways in which a stream ends."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, error_of, invoke
from tests.integration.invoke.streaming_runtime import CLOSE, create_streamer, steps, stream

MB = 1024 * 1024
FIRST_BYTE_SECONDS = 0.020
INVOKE = "/2021-11-15/functions/{}/response-streaming-invocations"


@pytest.fixture(scope="module")
def client(shared: RieServer) -> Any:
    """A client of a server that has one streaming function."""
    client = shared.client()
    create_streamer(client, "streamer")
    return client


def test_a_response_comes_in_the_pieces_in_which_it_was_written(client: Any) -> None:
    event = steps(("write", "one"), ("sleep", 0.1), ("write", "two"), ("sleep", 0.1), ("write", "three"))
    got = stream(client, "streamer", event)
    assert got.pieces == [b"one", b"two", b"three"]
    assert got.complete == {}
    assert got.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert got.headers["transfer-encoding"] == "chunked"
    assert got.headers["x-amzn-remapped-content-type"] == "text/plain"
    assert got.headers["x-amz-executed-version"] == "$LATEST"
    assert got.headers["x-amzn-trace-id"].startswith("Root=1-")
    assert got.headers["x-amzn-requestid"]


def test_the_first_byte_reaches_the_caller_while_the_handler_still_runs(client: Any) -> None:
    stream(client, "streamer", steps(("write", "warm")))
    late = []
    for _ in range(10):
        got = stream(client, "streamer", steps(("write", "@now"), ("sleep", 0.05), ("write", "@now")))
        late += [came - float(written) for written, came in zip(got.pieces, got.came_at, strict=True)]
        assert got.came_at[0] < float(got.pieces[1]), "the first piece waited for the second"
    assert min(late) > 0
    assert sorted(late)[len(late) // 2] < FIRST_BYTE_SECONDS


def test_a_buffered_function_answers_with_one_stream(client: Any) -> None:
    create(client, "buffered", "def handler(event, context):\n    return {'n': event['n'], 's': 'x' * event['n']}\n")
    small = stream(client, "buffered", {"n": 3})
    assert json.loads(small.text) == {"n": 3, "s": "xxx"}
    assert small.headers["x-amzn-remapped-content-type"] == "application/json"
    large = stream(client, "buffered", {"n": 5 * MB})
    assert json.loads(large.text)["s"] == "x" * (5 * MB)


def test_a_function_that_fails_ends_the_stream_with_its_error(client: Any) -> None:
    create(client, "failing", "def handler(event, context):\n    raise ValueError('no luck')\n")
    got = stream(client, "failing")
    assert got.pieces == []
    assert got.error["errorType"] == "ValueError"
    assert got.error["errorMessage"] == "no luck"


def test_a_streaming_function_answers_a_plain_invoke_with_the_whole_payload(client: Any) -> None:
    event = steps(("write", '{"a":'), ("sleep", 0.02), ("write", " 1}"))
    answer = invoke(client, "streamer", event)
    assert answer.payload == {"a": 1}
    assert answer.error is None


def test_a_plain_invoke_takes_six_megabytes_of_a_stream_and_no_more(client: Any) -> None:
    def invoked(size_bytes: int) -> tuple[int, str | None]:
        reply = client.invoke(FunctionName="streamer", Payload=json.dumps(steps(("bytes", size_bytes))).encode())
        return len(reply["Payload"].read()), reply.get("FunctionError")

    assert invoked(6 * MB + 100) == (6 * MB + 100, None)
    answer = invoke(client, "streamer", steps(("bytes", 6 * MB + 101)))
    assert answer.error == "Unhandled"
    assert answer.payload == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert stream(client, "streamer", {"steps": [], "tell": True}).text == "413"


def test_an_error_in_the_middle_comes_after_what_was_written_before_it(client: Any) -> None:
    body = json.dumps({"errorType": "Function.Broken", "errorMessage": "half way"}).encode()
    trailers = {
        "Lambda-Runtime-Function-Error-Type": "Function.Broken",
        "Lambda-Runtime-Function-Error-Body": base64.b64encode(body).decode(),
    }
    event = steps(("write", "half"), ("trailers", trailers))
    got = stream(client, "streamer", event)
    assert got.text == "half"
    assert got.error == {"errorType": "Function.Broken", "errorMessage": "half way"}
    answer = invoke(client, "streamer", event)
    assert (answer.error, answer.payload) == ("Unhandled", {"errorType": "Function.Broken", "errorMessage": "half way"})
    assert stream(client, "streamer", {"steps": [], "tell": True}).text == "202"


def test_a_runtime_that_breaks_its_connection_has_truncated_the_response(client: Any) -> None:
    got = stream(client, "streamer", steps(("write", "half"), CLOSE))
    assert got.text == "half"
    assert got.error["errorType"] == "Runtime.TruncatedResponse"
    answer = invoke(client, "streamer", steps(("write", "half"), CLOSE))
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.TruncatedResponse"
    assert stream(client, "streamer", steps(("write", "again"))).text == "again"


def test_a_chunk_that_is_none_has_truncated_the_response(client: Any) -> None:
    got = stream(client, "streamer", steps(("write", "half"), ("raw", "no chunk\r\n"), ("sleep", 0.2), CLOSE))
    assert got.text == "half"
    assert got.error["errorType"] == "Runtime.TruncatedResponse"


def test_a_runtime_that_exits_in_the_middle_ends_the_stream(client: Any) -> None:
    got = stream(client, "streamer", steps(("write", "half"), ("sleep", 0.05), ("exit", 3)))
    assert got.text == "half"
    assert got.error["errorType"] in ("Runtime.ExitError", "Runtime.TruncatedResponse")
    assert stream(client, "streamer", steps(("write", "anew"))).text == "anew"


def test_a_timeout_in_the_middle_ends_the_stream(client: Any) -> None:
    create_streamer(client, "brief", Timeout=1)
    got = stream(client, "brief", steps(("write", "half"), ("sleep", 20)), LogType="Tail")
    assert got.text == "half"
    assert got.error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in got.error["errorMessage"]
    assert "Status: timeout" in got.log
    assert stream(client, "brief", steps(("write", "anew"))).text == "anew"


def test_the_log_tail_comes_with_the_end(client: Any) -> None:
    got = stream(client, "streamer", steps(("print", "hello"), ("write", "x")), LogType="Tail")
    assert re.match(r"START RequestId: \S+ Version: \$LATEST\nhello\n", got.log)
    assert "REPORT RequestId" in got.log
    assert got.complete is not None
    assert set(got.complete) == {"LogResult"}


def test_a_caller_who_leaves_does_not_end_the_function(shared: RieServer, client: Any, tmp_path: Path) -> None:
    done = tmp_path / "done"
    event = steps(("write", "x"), ("sleep", 0.1), ("bytes", 30 * MB), ("touch", str(done)))
    with requests.post(shared.url + INVOKE.format("streamer"), json=event, stream=True, timeout=10) as reply:
        assert next(reply.iter_content(10))
    wait_until(done.exists, what="the handler to go on")
    assert stream(client, "streamer", {"steps": [], "tell": True}).text == "202"


def test_a_caller_who_leaves_before_the_first_byte_does_not_end_the_function_either(
    shared: RieServer, client: Any, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    stream(client, "streamer", steps(("write", "warm")))
    event = steps(("bytes", 30 * MB), ("touch", str(done)), late=0.3)
    with pytest.raises(requests.Timeout):
        requests.post(shared.url + INVOKE.format("streamer"), json=event, timeout=0.1)
    wait_until(done.exists, what="the handler to go on")


def test_a_caller_who_is_slow_holds_the_function_back(shared: RieServer, client: Any, tmp_path: Path) -> None:
    done = tmp_path / "done"
    event = steps(("bytes", 64 * MB), ("touch", str(done)))
    with requests.post(shared.url + INVOKE.format("streamer"), json=event, stream=True, timeout=10) as reply:
        pieces = reply.iter_content(MB)
        size_bytes = len(next(pieces))
        with pytest.raises(pytest.fail.Exception):
            wait_until(done.exists, seconds=0.5)
        size_bytes += sum(len(piece) for piece in pieces)
    assert size_bytes > 64 * MB
    wait_until(done.exists)


def test_streams_side_by_side_do_not_mix(client: Any) -> None:
    def one(number: int) -> str:
        letters = [("write", f"{number}-{piece};") for piece in range(20)]
        return stream(client, "streamer", steps(*letters, ("bytes", MB), ("write", str(number)))).text

    with ThreadPoolExecutor(8) as threads:
        for number, text in enumerate(threads.map(one, range(16))):
            written = "".join(f"{number}-{piece};" for piece in range(20))
            assert text == written + "x" * MB + str(number)


def test_a_server_that_stops_lets_a_stream_end(start_rie: Callable[..., RieServer]) -> None:
    server = start_rie()
    client = server.client()
    create_streamer(client, "streamer")
    payload = json.dumps(steps(("write", "one"), ("sleep", 1.0), ("write", "two"))).encode()
    events = iter(client.invoke_with_response_stream(FunctionName="streamer", Payload=payload)["EventStream"])
    assert next(events) == {"PayloadChunk": {"Payload": b"one"}}
    server.process.terminate()
    assert list(events) == [{"PayloadChunk": {"Payload": b"two"}}, {"InvokeComplete": {}}]
    assert server.process.wait(20) == 0


def test_two_hundred_megabytes_are_the_most(client: Any) -> None:
    reply = client.invoke_with_response_stream(
        FunctionName="streamer", Payload=json.dumps(steps(("bytes", 200 * MB), ("write", "beyond"))).encode()
    )
    size_bytes, complete = 0, None
    for part in reply["EventStream"]:
        size_bytes += len(part["PayloadChunk"]["Payload"]) if "PayloadChunk" in part else 0
        complete = part.get("InvokeComplete")
    assert size_bytes == 200 * MB
    assert complete is not None
    assert json.loads(complete["ErrorDetails"])["errorType"] == "Function.ResponseSizeTooLarge"


def test_what_is_streamed_arrives_as_it_was_written(client: Any) -> None:
    got = stream(client, "streamer", steps(("bytes", 7 * MB + 1)))
    assert hashlib.sha256(got.text.encode()).digest() == hashlib.sha256(b"x" * (7 * MB + 1)).digest()


def test_a_prelude_for_http_is_passed_on_untouched(client: Any) -> None:
    content_type = "application/vnd.awslambda.http-integration-response"
    event = steps(("write", '{"statusCode":201}' + "\0" * 8 + "body"), content_type=content_type)
    got = stream(client, "streamer", event)
    assert got.pieces == [b'{"statusCode":201}\0\0\0\0\0\0\0\0body']
    assert got.headers["x-amzn-remapped-content-type"] == content_type


def test_an_empty_response_is_a_stream_without_pieces(client: Any) -> None:
    got = stream(client, "streamer", steps())
    assert (got.pieces, got.complete) == ([], {})


def test_a_dry_run_runs_nothing_and_an_event_is_run_as_in_aws(shared: RieServer, client: Any) -> None:
    def post(name: str, invocation_type: str) -> requests.Response:
        headers = {"X-Amz-Invocation-Type": invocation_type}
        event = steps(("write", "ran"))
        return requests.post(shared.url + INVOKE.format(name), json=event, headers=headers, timeout=10)

    assert (post("streamer", "DryRun").status_code, post("streamer", "DryRun").content) == (204, b"")
    assert post("missing", "DryRun").status_code == 404
    assert b"ran" in post("streamer", "Event").content


def test_requests_that_cannot_be_are_refused_before_anything_streams(client: Any) -> None:
    call = client.invoke_with_response_stream
    assert error_of(call, FunctionName="missing")[:2] == (404, "ResourceNotFoundException")
    assert error_of(call, FunctionName="streamer", Payload=b"{")[:2] == (400, "InvalidRequestContentException")
    assert error_of(call, FunctionName="streamer", LogType="Whole")[:2] == (400, "ValidationException")
    too_large = b'"' + b"x" * (6 * MB) + b'"'
    assert error_of(call, FunctionName="streamer", Payload=too_large)[:2] == (413, "RequestTooLargeException")
