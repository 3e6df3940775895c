"""Heads that come again byte for byte mean the same again, and nothing else does."""

import pytest

from rie_server.api.exchange import Request
from rie_server.http.limits import LAMBDA_BODIES, RUNTIME_BODIES, BodyLimits
from rie_server.http.reader import Refusal, RequestReader

POST = b"POST /functions/a%20b?x=1 HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n"


class Sink:
    local_address = ("127.0.0.1", 9000)
    peer_address = "127.0.0.1"

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.keep_alive: list[bool] = []
        self.continues = 0

    def is_alive(self) -> bool:
        return True

    def on_request(self, request: Request, keep_alive: bool, http10: bool) -> None:
        assert not http10
        self.requests.append(request)
        self.keep_alive.append(keep_alive)

    def on_expect_continue(self) -> None:
        self.continues += 1


def read(*pieces: bytes, limits: BodyLimits = LAMBDA_BODIES) -> Sink:
    sink = Sink()
    reader = RequestReader(sink, limits)
    for piece in pieces:
        reader.feed(piece)
    assert not reader.in_head
    assert not reader.in_body
    return sink


@pytest.mark.parametrize("limits", [LAMBDA_BODIES, RUNTIME_BODIES])
def test_a_head_that_comes_again_gives_the_same_request_with_the_new_body(limits: BodyLimits) -> None:
    sink = read(POST + b"\r\nfirst", POST + b"\r\nagain", POST + b"\r\nthird", limits=limits)
    assert [request.body for request in sink.requests] == [b"first", b"again", b"third"]
    assert {(request.method, request.path, request.query) for request in sink.requests} == {
        ("POST", "/functions/a b", "x=1")
    }
    assert all(request.headers == {"host": "here", "content-length": "5"} for request in sink.requests)
    assert [request.body_bytes for request in sink.requests] == [5, 5, 5]
    assert sink.keep_alive == [True, True, True]


def test_a_request_without_a_body_comes_again() -> None:
    head = b"GET /next HTTP/1.1\r\nHost: here\r\n\r\n"
    sink = read(head, head, head, limits=RUNTIME_BODIES)
    assert [(request.method, request.path, request.body) for request in sink.requests] == [("GET", "/next", b"")] * 3


def test_a_body_that_comes_later_belongs_to_the_known_head() -> None:
    sink = read(POST + b"\r\nfirst", POST + b"\r\nag", b"ain", POST + b"\r\nthird")
    assert [request.body for request in sink.requests] == [b"first", b"again", b"third"]


def test_requests_that_share_a_packet_are_told_apart() -> None:
    whole = POST + b"\r\nfirst"
    sink = read(whole, whole + whole, whole)
    assert [request.body for request in sink.requests] == [b"first"] * 4


def test_a_connection_that_is_to_end_ends_each_time() -> None:
    closing = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    assert read(closing).keep_alive == [False]
    assert read(closing).keep_alive == [False]


def test_a_client_that_expects_100_continue_gets_it_each_time() -> None:
    expecting = POST + b"Expect: 100-continue\r\n\r\n"
    sink = read(expecting + b"first", expecting + b"again")
    assert sink.continues == 2


def test_chunks_are_counted_anew_each_time() -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    sink = read(chunked + b"2\r\nab\r\n0\r\n\r\n", chunked + b"3\r\nabc\r\n0\r\n\r\n", chunked + b"0\r\n\r\n")
    assert [request.body for request in sink.requests] == [b"ab", b"abc", b""]


def test_a_head_that_was_refused_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(Refusal) as refusal:
            read(b"GET / HTTP/1.1\r\nHost: one\r\nHost: two\r\n\r\n")
        assert refusal.value.status == 400
