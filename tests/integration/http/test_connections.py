"""HTTP/1.1 as clients speak it, byte by byte."""

import contextlib
import socket
import struct
import time
from typing import Any

import pytest

from rie_server.api.exchange import Reply

INVOKE = "/2015-03-31/functions/f/invocations"
NEXT = "/2018-06-01/runtime/invocation/next"
RESPONSE = "/2018-06-01/runtime/invocation/1/response"


def invoke(name: str) -> str:
    return f"/2015-03-31/functions/{name}/invocations"


def test_a_connection_serves_one_request_after_another(front: Any) -> None:
    client = front.client()
    for body in (b"1", b"22", b"333"):
        client.request("POST", INVOKE, body)
        status, headers, got = client.reply()
        assert (status, got) == (200, body)
        assert headers["x-amz-executed-version"] == "$LATEST"
        assert headers["date"].endswith("GMT")
        assert "connection" not in headers


def test_headers_and_body_leave_in_one_segment(front: Any) -> None:
    client = front.client()
    for _ in range(20):
        client.request("POST", INVOKE, b'{"some": "event"}')
        first_segment = client.socket.recv(65536)
        assert first_segment.endswith(b'\r\n\r\n{"some": "event"}')


def test_pipelined_requests_are_answered_in_order_even_when_the_first_takes_longest(front: Any) -> None:
    client = front.client()
    client.request("POST", invoke("slow"), b"0.2")
    client.request("POST", INVOKE, b"second")
    client.request("GET", "/third")
    client.request("POST", INVOKE, b"fourth")
    assert [client.reply()[2] for _ in range(4)] == [b"slow", b"second", b"GET /third? 0", b"fourth"]


def test_ten_thousand_requests_in_one_write_are_all_answered(front: Any) -> None:
    client = front.client()
    one = b"POST %s HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 1\r\n\r\nx" % INVOKE.encode()
    client.socket.settimeout(20)
    client.send(b"GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for _ in range(100):
        client.send(one * 100)
        if _ == 0:
            assert client.reply()[2] == b"GET /first? 0"
        for _reply in range(100):
            assert client.reply()[2] == b"x"


def test_a_client_that_pipelines_without_end_is_not_read_from(front: Any) -> None:
    client = front.client()
    client.request("POST", invoke("park"), b"{}")
    deferred = front.parked()
    client.socket.settimeout(0.3)
    one = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n" % INVOKE.encode() + b"x" * 65536
    sent = 0
    with contextlib.suppress(TimeoutError):
        for _ in range(1000):
            client.send(one)
            sent += 1
    assert sent < 300, "the kernel's buffers and one megabyte are all that fits"
    client.socket.settimeout(5)
    deferred.complete(Reply(200, (), b"first"))
    assert client.reply()[2] == b"first"
    for _ in range(sent):
        assert len(client.reply()[2]) == 65536


@pytest.mark.parametrize("pieces", [1, 7, 50])
def test_a_chunked_body_arrives_whole_however_it_is_cut(front: Any, pieces: int) -> None:
    client = front.client()
    raw = (
        f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
        "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n"
    ).encode()
    size = -(-len(raw) // pieces)
    for start in range(0, len(raw), size):
        client.send(raw[start : start + size])
        time.sleep(0.002)
    assert client.reply()[2] == b"abc0123456789"
    assert "x-t" not in front.server.requests[-1].headers


def test_a_client_that_expects_100_continue_is_told_to_go_on(front: Any) -> None:
    client = front.client()
    client.send(
        f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n".encode()
    )
    assert client.reply()[0] == 100
    client.send(b"abc")
    assert client.reply()[::2] == (200, b"abc")


def test_100_continue_does_not_overtake_the_reply_before_it(front: Any) -> None:
    client = front.client()
    client.request("POST", invoke("slow"), b"0.1")
    client.send(
        f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n".encode()
    )
    assert client.reply()[2] == b"slow"
    assert client.reply()[0] == 100
    client.send(b"abc")
    assert client.reply()[2] == b"abc"


def test_an_unknown_expectation_fails(front: Any) -> None:
    client = front.client()
    client.request("POST", INVOKE, b"x", "Expect: a-miracle")
    assert client.reply()[0] == 417
    assert client.is_closed_by_server()


def test_http_1_0_closes_unless_the_client_asks_to_keep_the_connection(front: Any) -> None:
    keeping = front.client()
    keeping.send(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert keeping.reply()[1]["connection"] == "keep-alive"
    keeping.send(b"GET /x HTTP/1.0\r\n\r\n")
    assert keeping.reply()[1]["connection"] == "close"
    assert keeping.is_closed_by_server()


def test_connection_close_is_kept(front: Any) -> None:
    client = front.client()
    client.request("POST", INVOKE, b"x", "Connection: close")
    assert client.reply()[1]["connection"] == "close"
    assert client.is_closed_by_server()


def test_head_gets_the_length_and_no_body(front: Any) -> None:
    client = front.client()
    client.request("HEAD", "/some")
    status, headers, _ = client.reply(to_head=True)
    assert (status, headers["content-length"]) == (200, "13")
    client.request("GET", "/some")
    assert client.reply()[2] == b"GET /some? 0"


def test_methods_that_no_operation_has_reach_the_lambda_api(front: Any) -> None:
    client = front.client()
    for method in ("PROPFIND", "OPTIONS", "PATCH", "TRACE"):
        client.request(method, "/p")
        assert client.reply()[2] == f"{method} /p? 0".encode()


def test_an_offer_to_upgrade_is_ignored_and_the_body_read(front: Any) -> None:
    client = front.client()
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    client.request("POST", INVOKE, b"body", *offer)
    client.request("POST", INVOKE, b"second")
    assert client.reply()[::2] == (200, b"body")
    assert client.reply()[::2] == (200, b"second")
    client.send(
        f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: x\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nab".encode()
    )
    time.sleep(0.05)
    client.send(b"c\r\n0\r\n\r\n")
    assert client.reply()[::2] == (200, b"abc")
    assert front.server.requests[-1].headers["upgrade"] == "x"


def test_an_absolute_request_target_names_the_host(front: Any) -> None:
    client = front.client()
    client.send(b"GET http://evil.example/p?q=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.reply()[0] == 403
    client.send(b"GET http://localhost:1/p?q=1 HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert client.reply()[2] == b"GET /p?q=1 0"


def test_paths_are_decoded_and_queries_are_not(front: Any) -> None:
    client = front.client()
    client.request("GET", "/a%20b/%C3%A4?x=%20y")
    assert client.reply()[2].decode() == "GET /a b/ä?x=%20y 0"
    assert front.server.requests[-1].path == "/a b/ä"


def test_repeated_headers_are_joined(front: Any) -> None:
    client = front.client()
    client.request("POST", INVOKE, b"x", "X-Many: a", "X-Many: b")
    client.reply()
    assert front.server.requests[-1].headers["x-many"] == "a, b"


def test_a_client_that_has_shut_down_its_writing_side_still_gets_its_replies(front: Any) -> None:
    client = front.client()
    client.request("POST", invoke("slow"), b"0.1")
    client.request("POST", INVOKE, b"second")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.reply()[2] == b"slow"
    assert client.reply()[2] == b"second"
    assert client.is_closed_by_server()


def test_a_reset_connection_is_dead_before_anybody_has_read_from_it(front: Any) -> None:
    client = front.client()
    client.request("POST", invoke("park"), b"{}")
    deferred = front.parked()
    assert deferred.is_connected()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    deadline = time.monotonic() + 2
    while deferred.is_connected() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not deferred.is_connected()


def test_a_half_closed_caller_is_still_connected_but_a_half_closed_poller_is_not(front: Any) -> None:
    caller = front.client()
    caller.request("POST", invoke("park"), b"{}")
    waiting = front.parked()
    caller.socket.shutdown(socket.SHUT_WR)
    time.sleep(0.05)
    assert waiting.is_connected()
    poller = front.runtime_client()
    poller.request("GET", NEXT)
    polling = front.parked()
    assert polling.is_connected()
    poller.socket.shutdown(socket.SHUT_WR)
    assert poller.is_closed_by_server()
    assert not polling.is_connected()


def test_a_poller_that_closes_is_dead_at_once_in_the_eyes_of_the_loop(front: Any) -> None:
    """The loop is kept from reading the close: the kernel alone knows of it."""
    poller = front.runtime_client()
    poller.request("GET", NEXT)
    polling = front.parked()
    seen: list[bool] = []

    def look() -> None:
        seen.append(polling.is_connected())
        poller.close()
        time.sleep(0.02)
        seen.append(polling.is_connected())

    front.loop.call_soon_threadsafe(look)
    deadline = time.monotonic() + 2
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seen == [True, False]


def test_a_slow_reader_gets_a_big_reply_whole(front: Any) -> None:
    client = front.client()
    size = 20 * 1024 * 1024
    client.request("POST", invoke("big"), str(size).encode())
    client.request("POST", INVOKE, b"after")
    time.sleep(0.3)
    assert len(client.reply()[2]) == size
    assert client.reply()[2] == b"after"


def test_local_and_peer_address_are_those_of_the_connection(front: Any) -> None:
    client = front.runtime_client()
    client.request("POST", RESPONSE, b"{}")
    client.reply()
    connection = front.server.requests[-1].connection
    assert connection.local_address == front.runtime_address
    assert connection.peer_address == "127.0.0.1"
