"""Function URLs of InvokeMode RESPONSE_STREAM."""

import json
import time
from typing import Any

import pytest
import requests

from tests.conftest import RieServer
from tests.integration.function_url.test_calling import Url
from tests.integration.invoke.deploying import create
from tests.integration.invoke.streaming_runtime import CLOSE, create_streamer, steps

PRELUDE = "application/vnd.awslambda.http-integration-response"
NUL = "\0" * 8


@pytest.fixture(scope="module")
def url(shared: RieServer, client: Any) -> Url:
    create_streamer(client, "streamer")
    made = client.create_function_url_config(
        FunctionName="streamer", AuthType="NONE", InvokeMode="RESPONSE_STREAM", Cors={"AllowOrigins": ["*"]}
    )
    return Url(shared, made["FunctionUrl"])


def play(url: Url, *played: tuple[str, Any], content_type: str = "text/plain", **arguments: Any) -> requests.Response:
    event = {**steps(*played), "content_type": content_type}
    return url("POST", data=json.dumps(event), **arguments)


def test_pieces_arrive_while_the_handler_still_writes(url: Url) -> None:
    reply = play(url, ("write", "one"), ("sleep", 0.5), ("write", "two"), stream=True)
    came = [(piece, time.monotonic()) for piece in reply.iter_content(None)]
    assert [piece for piece, _ in came] == [b"one", b"two"]
    assert came[1][1] - came[0][1] > 0.3
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/plain")
    assert reply.headers["Transfer-Encoding"] == "chunked"


def test_a_prelude_has_status_headers_and_cookies(url: Url) -> None:
    head = json.dumps({"statusCode": 418, "headers": {"X-Pot": "tea"}, "cookies": ["a=1", "b=2"]})
    # The delimiter lies across two pieces.
    reply = play(url, ("write", head + NUL[:3]), ("write", NUL[3:] + "short"), content_type=PRELUDE)
    assert (reply.status_code, reply.text, reply.headers["X-Pot"]) == (418, "short", "tea")
    assert reply.raw.headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_cors_goes_by_the_url_here_too(url: Url) -> None:
    head = json.dumps({"headers": {"Access-Control-Allow-Origin": "https://own.example"}})
    reply = play(url, ("write", head + NUL + "x"), content_type=PRELUDE, headers={"Origin": "https://page.example"})
    assert (reply.text, reply.headers["Access-Control-Allow-Origin"]) == ("x", "*")


def test_what_breaks_off_in_the_middle_does_not_look_whole(url: Url) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        play(url, ("write", "half"), CLOSE)
    assert play(url, ("write", "whole")).text == "whole"


@pytest.mark.parametrize("head", ["no json" + NUL, '{"statusCode": "many"}' + NUL, '{"statusCode": 200}'])
def test_a_prelude_that_is_none_is_502(url: Url, head: str) -> None:
    reply = play(url, ("write", head), content_type=PRELUDE)
    assert (reply.status_code, reply.text) == (502, "Internal Server Error")


def test_an_error_before_the_first_byte_is_502(url: Url) -> None:
    assert play(url, ("exit", 3)).status_code == 502


def test_a_buffered_result_is_the_body_as_it_is(shared: RieServer, client: Any) -> None:
    create(client, "plain", "def handler(event, context): return {'statusCode': 201, 'body': 'x'}")
    made = client.create_function_url_config(FunctionName="plain", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    reply = Url(shared, made["FunctionUrl"])("GET")
    assert (reply.status_code, reply.json()) == (200, {"statusCode": 201, "body": "x"})


def test_a_runtime_that_streams_behind_a_buffered_url_is_collected(shared: RieServer, client: Any) -> None:
    create_streamer(client, "collected")
    made = client.create_function_url_config(FunctionName="collected", AuthType="NONE")
    url = Url(shared, made["FunctionUrl"])
    head = json.dumps({"statusCode": 202, "headers": {"Content-Type": "text/x"}})
    reply = play(url, ("write", head + NUL + "a"), ("write", "b"), content_type=PRELUDE)
    assert (reply.status_code, reply.text, reply.headers["Content-Type"]) == (202, "ab", "text/x")


def test_a_client_that_leaves_does_not_disturb_the_next(url: Url) -> None:
    reply = play(url, ("write", "one"), ("sleep", 0.3), ("bytes", 1_000_000), stream=True)
    assert next(reply.iter_content(3)) == b"one"
    reply.close()
    assert play(url, ("write", "two")).text == "two"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none_and_the_connection_goes_on(shared: RieServer, url: Url, status: int) -> None:
    forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    event = steps(("write", json.dumps({"statusCode": status}) + NUL), ("write", forged))
    with requests.Session() as session:
        headers = {"Host": url.host}
        body = json.dumps({**event, "content_type": PRELUDE})
        first = session.post(shared.url, data=body, headers=headers, timeout=20)
        assert (first.status_code, first.content) == (status, b"")
        body = json.dumps({**steps(("write", "second")), "content_type": "text/plain"})
        assert session.post(shared.url, data=body, headers=headers, timeout=20).text == "second"
