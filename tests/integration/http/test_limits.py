"""What a client may not do: too much, too slowly, or not HTTP at all. Every refusal is JSON and ends the connection."""

import json
import socket
import time
from typing import Any

import pytest

from rie_server.api.exchange import Reply

INVOKE = "/2015-03-31/functions/f/invocations"
RESPONSE = "/2018-06-01/runtime/invocation/1/response"
NEXT = "/2018-06-01/runtime/invocation/next"

GARBAGE = {
    "words": b"this is not HTTP\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100b8010000b40303") + bytes(60),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown version": b"GET / HTTP/3.0\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: localhost\r\nnonsense\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is no number": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "a chunk size that is none": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "NUL bytes": bytes(100),
}


def assert_refused(client: Any, status: int, listener: str = "lambda") -> dict[str, Any]:
    got, headers, body = client.reply()
    document = json.loads(body)
    assert got == status
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert set(document) == ({"message"} if listener == "lambda" else {"errorMessage", "errorType"})
    assert client.is_closed_by_server()
    return document


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("listener", ["lambda", "runtime"])
def test_garbage_gets_a_400_and_the_server_goes_on(
    front: Any, listener: str, garbage: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    address = front.lambda_address if listener == "lambda" else front.runtime_address
    client = front.client(address)
    client.send(garbage)
    assert_refused(client, 400, listener)
    after = front.client(address)
    after.request("POST", INVOKE if listener == "lambda" else RESPONSE, b"x")
    assert after.reply()[0] in (200, 202)
    assert capfd.readouterr().err == ""


def test_garbage_after_a_good_request_lets_its_reply_out_first(front: Any) -> None:
    client = front.client()
    client.request("POST", "/2015-03-31/functions/slow/invocations", b"0.1")
    client.send(b"garbage\r\n\r\n")
    assert client.reply()[2] == b"slow"
    assert_refused(client, 400)


def test_connect_is_refused(front: Any) -> None:
    client = front.client()
    client.send(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n")
    assert_refused(client, 405)


@pytest.mark.parametrize("cut_bytes", [1000, 20_000, 1_000_000])
def test_headers_of_more_than_64_kb_are_refused(front: Any, cut_bytes: int) -> None:
    raw = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"x" * 500) for i in range(140))
    client = front.client()
    for start in range(0, len(raw), cut_bytes):
        client.send(raw[start : start + cut_bytes])
        time.sleep(0.001)
    client.send(b"\r\n")
    assert_refused(client, 431)


def test_headers_just_under_64_kb_pass(front: Any) -> None:
    client = front.client()
    client.request("GET", "/x", b"", *(f"X-{i}: {'x' * 500}" for i in range(120)))
    assert client.reply()[0] == 200


@pytest.mark.parametrize(
    "flood",
    [
        b"GET /" + b"a" * 400_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-" + b"a" * 400_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 400_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A:\r\n" * 10_000,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: " + b"a" * 400_000,
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 400_000,
    ],
    ids=["target", "header name", "header value", "repeated header", "trailer", "chunk extension"],
)
def test_a_head_or_trailer_without_end_is_refused_before_it_fills_memory(front: Any, flood: bytes) -> None:
    client = front.client()
    client.socket.settimeout(5)
    for start in range(0, len(flood), 50_000):
        try:
            client.send(flood[start : start + 50_000])
        except OSError:
            break
        time.sleep(0.002)
    assert client.reply()[0] == 431


def test_tiny_chunks_are_no_attack(front: Any) -> None:
    client = front.client()
    body = b"1\r\nx\r\n" * 50_000
    client.send(f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for start in range(0, len(body), 10_000):
        client.send(body[start : start + 10_000])
    client.send(b"0\r\n\r\n")
    assert client.reply()[2] == b"x" * 50_000


def test_the_lambda_api_refuses_a_body_by_its_length_without_reading_it(front: Any) -> None:
    client = front.client()
    client.send(
        b"POST /2015-03-31/functions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Length: 70167212\r\n\r\n"
    )
    document = assert_refused(client, 413)
    assert document["message"] == "Request must be smaller than 70167211 bytes for the CreateFunction operation"


def test_a_refused_client_that_goes_on_sending_can_still_read_why(front: Any) -> None:
    client = front.client()
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000000\r\n\r\n")
    for _ in range(20):
        client.send(b"x" * 100_000)
        time.sleep(0.001)
    assert client.reply()[0] == 413


def test_a_runtime_with_too_large_a_result_is_answered_by_the_operation(front: Any) -> None:
    """Its connection lives on: the runtime gets to read the 413."""
    client = front.runtime_client()
    client.request("POST", RESPONSE, b"x" * (20 * 1024 * 1024))
    assert client.reply()[::2] == (413, str(20 * 1024 * 1024).encode())
    kept = front.server.requests[-1]
    assert len(kept.body) < 7 * 1024 * 1024
    client.request("POST", RESPONSE, b"y" * (6 * 1024 * 1024 + 100))
    assert client.reply()[0] == 202
    assert front.server.requests[-1].body == b"y" * (6 * 1024 * 1024 + 100)


def test_a_runtime_cannot_send_without_end(front: Any) -> None:
    client = front.runtime_client()
    client.send(f"POST {RESPONSE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {101 * 2**20}\r\n\r\n".encode())
    assert assert_refused(client, 413, "runtime")["errorType"] == "RequestEntityTooLarge"


def test_a_body_that_is_cut_off_is_told_as_aws_tells_it(front: Any) -> None:
    client = front.runtime_client()
    client.send(f"POST {RESPONSE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc".encode())
    client.socket.shutdown(socket.SHUT_WR)
    document = assert_refused(client, 400, "runtime")
    assert document == {"errorMessage": "HTTP request detected as truncated", "errorType": "TruncatedHTTPRequest"}


def test_headers_that_never_end_time_out_even_when_they_trickle(quick_front: Any) -> None:
    client = quick_front.client()
    started = time.monotonic()
    client.send(b"GET / HTTP/1.1\r\n")
    client.socket.settimeout(0.05)
    while time.monotonic() - started < 3:
        try:
            client.send(b"X: y\r\n")
            client._receive()
            break
        except TimeoutError:
            continue
    client.socket.settimeout(5)
    assert_refused(client, 408)
    assert 0.25 < time.monotonic() - started < 2


def test_a_body_times_out_only_when_nothing_comes(quick_front: Any) -> None:
    client = quick_front.client()
    client.send(f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n".encode())
    for _ in range(8):
        client.send(b"x")
        time.sleep(0.1)
    assert_refused(client, 408)


def test_an_idle_connection_is_closed_on_the_lambda_api_alone(quick_front: Any) -> None:
    idle, runtime = quick_front.client(), quick_front.runtime_client()
    idle.request("POST", INVOKE, b"x")
    assert idle.reply()[0] == 200
    runtime.request("POST", RESPONSE, b"x")
    assert runtime.reply()[0] == 202
    assert idle.is_closed_by_server()
    time.sleep(0.6)
    runtime.request("POST", RESPONSE, b"x")
    assert runtime.reply()[0] == 202


def test_a_parked_request_has_no_timeout(quick_front: Any) -> None:
    client, caller = quick_front.runtime_client(), quick_front.client()
    client.request("GET", NEXT)
    polling = quick_front.parked()
    caller.request("POST", "/2015-03-31/functions/park/invocations", b"x")
    calling = quick_front.parked()
    time.sleep(1.2)
    polling.complete(Reply(200, (), b"event"))
    calling.complete(Reply(200, (), b"result"))
    assert client.reply()[2] == b"event"
    assert caller.reply()[2] == b"result"


def test_a_client_that_takes_nothing_of_its_reply_is_cut_off(quick_front: Any) -> None:
    client = quick_front.client()
    client.request("POST", "/2015-03-31/functions/big/invocations", b"50000000")
    connections = quick_front.front._lambda.connections
    deadline = time.monotonic() + 5
    while not connections and time.monotonic() < deadline:
        time.sleep(0.01)
    started = time.monotonic()
    while connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 0.4 < time.monotonic() - started < 3
