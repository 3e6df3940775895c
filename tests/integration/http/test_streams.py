"""Bodies in pieces, byte by byte: both ways, behind every door."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rie_server.api.exchange import Reply, StreamedReply
from rie_server.app import RuntimeListeners, create_app
from rie_server.config import Settings
from tests.integration.http.conftest import RawClient, listening_socket
from tests.integration.http.fake_server import FakeServer, Incoming, Outgoing

STREAM = "/2015-03-31/functions/stream/invocations"
INVOKE = "/2015-03-31/functions/f/invocations"
RESPONSE = "/2018-06-01/runtime/invocation/1/response"
EARLY = "/2018-06-01/runtime/invocation/early/response"
MB = 1024 * 1024


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 5
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return found


def outgoing(server: FakeServer) -> Outgoing:
    return until(lambda: server.outgoing and server.outgoing.pop())


def incoming(server: FakeServer) -> Incoming:
    return until(lambda: server.incoming and server.incoming.pop())


def head(path: str, *headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Lambda-Runtime-Function-Response-Mode: streaming",
        *(headers or ("Transfer-Encoding: chunked",)),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def received(client: RawClient, end: bytes) -> bytes:
    """Everything up to ``end``, which is the last that has come."""
    while not client.received.endswith(end):
        client._receive()
    data, client.received = client.received, b""
    return data


# --- replies ---


def test_a_reply_goes_out_in_the_pieces_in_which_it_is_made(front: Any) -> None:
    client = front.client()
    client.request("POST", STREAM)
    body = outgoing(front.server).body
    lines = received(client, b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked\r\n" in lines
    assert b"Content-Length" not in lines
    body.write(b"one")
    assert received(client, b"\r\n") == b"3\r\none\r\n"
    body.write(b"")
    body.write(b"and two")
    assert received(client, b"\r\n") == b"7\r\nand two\r\n"
    body.finish(last=b"!")
    assert received(client, b"0\r\n\r\n") == b"1\r\n!\r\n0\r\n\r\n"
    client.request("POST", INVOKE, b"the connection goes on")
    assert client.reply()[2] == b"the connection goes on"


def test_what_is_pipelined_behind_a_streamed_reply_waits_for_its_end(front: Any) -> None:
    client = front.client()
    client.request("POST", STREAM)
    client.request("POST", INVOKE, b"second")
    body = outgoing(front.server).body
    body.write(b"one")
    time.sleep(0.05)
    assert b"second" not in received(client, b"3\r\none\r\n")
    body.finish()
    assert b"0\r\n\r\nHTTP/1.1 200" in received(client, b"second")


def test_a_reply_that_is_broken_off_ends_the_connection_without_a_last_chunk(front: Any) -> None:
    client = front.client()
    client.request("POST", STREAM)
    body = outgoing(front.server).body
    body.write(b"half")
    body.break_off()
    assert received(client, b"4\r\nhalf\r\n")
    assert client.is_closed_by_server()


def test_a_client_of_http_1_0_gets_the_bytes_alone_and_the_end_of_the_connection(front: Any) -> None:
    client = front.client()
    client.send(b"POST %b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" % STREAM.encode())
    body = outgoing(front.server).body
    body.write(b"one")
    body.finish(last=b"two")
    data = received(client, b"onetwo")
    assert b"chunked" not in data
    assert b"Connection: close\r\n" in data
    assert client.is_closed_by_server()


def test_a_client_that_does_not_read_holds_the_writer_and_one_that_reads_lets_it_go_on(front: Any) -> None:
    client = front.client()
    client.request("POST", STREAM)
    stream = outgoing(front.server)
    for _ in range(2000):
        stream.body.write(bytes(MB // 8))
        if stream.flow:
            break
        time.sleep(0.001)
    assert stream.flow == [True]
    until(lambda: client._receive() or stream.flow == [True, False])
    stream.body.finish()
    received(client, b"0\r\n\r\n")


def test_a_client_that_leaves_holds_nobody(front: Any) -> None:
    client = front.client()
    client.request("POST", STREAM)
    stream = outgoing(front.server)
    received(client, b"\r\n\r\n")
    client.close()
    for _ in range(50):
        stream.body.write(bytes(MB))
        time.sleep(0.002)
    assert not stream.body.is_held
    stream.body.finish()


def test_a_client_that_has_left_before_its_reply_began_holds_nobody(front: Any) -> None:
    client = front.client()
    client.request("POST", "/2015-03-31/functions/park/invocations")
    parked = front.parked()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    until(lambda: not parked.is_connected())
    time.sleep(0.05)
    stream = Outgoing()
    parked.complete(StreamedReply(200, (), stream.body))
    for _ in range(4):
        stream.body.write(bytes(MB))
    until(lambda: not stream.body.is_held)


def test_a_client_that_never_reads_is_cut_off(quick_front: Any) -> None:
    client = quick_front.client()
    client.request("POST", STREAM)
    stream = outgoing(quick_front.server)
    for _ in range(30):
        stream.body.write(bytes(MB))
    until(lambda: stream.flow == [True, False])


# --- requests ---


def test_a_request_is_handed_over_before_its_body_and_its_pieces_as_they_come(front: Any) -> None:
    client = front.runtime_client()
    client.send(head(RESPONSE))
    got = incoming(front.server)
    assert got.pieces == []
    client.send(chunk(b"one"))
    until(lambda: got.pieces == [b"one"])
    client.send(b"3\r\nt")
    until(lambda: got.pieces == [b"one", b"t"])
    client.send(b"wo\r\n0\r\nLambda-Runtime-Function-Error-Type: Function.X\r\nOther: y\r\n\r\n")
    assert client.reply()[::2] == (202, b"streamed")
    assert got.end == {"lambda-runtime-function-error-type": "Function.X", "other": "y"}
    client.send(head(RESPONSE) + chunk(b"again") + b"0\r\n\r\n")
    assert client.reply()[::2] == (202, b"streamed")


def test_a_body_of_known_length_is_streamed_too_and_may_be_of_any_length(front: Any) -> None:
    client = front.runtime_client()
    client.send(head(RESPONSE, f"Content-Length: {150 * MB}"))
    got = incoming(front.server)
    for _ in range(150):
        client.send(bytes(MB))
    assert client.reply()[0] == 202
    assert sum(len(piece) for piece in got.pieces) == 150 * MB


def test_other_paths_and_modes_get_their_bodies_whole(front: Any) -> None:
    client = front.runtime_client()
    client.send(head("/2018-06-01/other") + chunk(b"one") + b"0\r\n\r\n")
    assert client.reply()[0] == 200
    client.send(head(RESPONSE).replace(b"streaming", b"whole") + chunk(b"one") + b"0\r\n\r\n")
    assert client.reply()[::2] == (202, b"OK")
    assert front.server.requests[-1].body == b"one"


def test_a_connection_that_ends_in_the_middle_breaks_the_body_off(front: Any) -> None:
    client = front.runtime_client()
    client.send(head(RESPONSE) + chunk(b"half"))
    got = incoming(front.server)
    client.close()
    until(lambda: got.end == "broken off")
    assert got.pieces == [b"half"]


def test_a_client_that_shuts_its_writing_side_in_the_middle_is_told(front: Any) -> None:
    client = front.runtime_client()
    client.send(head(RESPONSE) + chunk(b"half"))
    got = incoming(front.server)
    client.socket.shutdown(1)
    status, headers, body = client.reply()
    assert (status, headers["connection"], body) == (400, "close", b"truncated")
    assert got.end == "broken off"
    assert client.is_closed_by_server()


def test_chunks_that_are_none_break_the_body_off(front: Any) -> None:
    client = front.runtime_client()
    client.send(head(RESPONSE) + chunk(b"half") + b"no chunk\r\n")
    assert client.reply()[::2] == (400, b"truncated")
    assert client.is_closed_by_server()
    assert incoming(front.server).pieces == [b"half"]


def test_trailers_without_end_break_the_body_off(front: Any) -> None:
    client = front.runtime_client()
    trailers = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 1000) for number in range(100))
    client.send(head(RESPONSE) + chunk(b"x" * 100_000) + b"0\r\n" + trailers + b"\r\n")
    assert client.reply()[::2] == (400, b"truncated")


def test_a_body_that_is_held_is_not_read(front: Any) -> None:
    client = front.runtime_client()
    client.send(head(RESPONSE))
    got = incoming(front.server)
    got.stream.hold(True)
    client.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.send(chunk(bytes(MB)) * 64)
    assert sum(len(piece) for piece in got.pieces) <= MB
    got.stream.hold(False)
    until(lambda: sum(len(piece) for piece in got.pieces) > MB)


def test_who_answers_before_the_body_has_ended_ends_the_connection(quick_front: Any) -> None:
    client = quick_front.runtime_client()
    client.send(head(EARLY) + chunk(b"half"))
    status, headers, body = client.reply()
    assert (status, headers["connection"], body) == (403, "close", b"early")
    assert client.is_closed_by_server()


def test_a_short_body_that_is_answered_early_is_answered_once(quick_front: Any) -> None:
    client = quick_front.runtime_client()
    client.send(head(EARLY) + chunk(b"whole") + b"0\r\n\r\n" + head(EARLY))
    assert client.reply()[0] == 403
    assert client.is_closed_by_server()


def test_a_runtime_that_is_silent_in_the_middle_is_waited_for(quick_front: Any) -> None:
    client = quick_front.runtime_client()
    client.send(head(RESPONSE) + chunk(b"one"))
    time.sleep(0.6)
    client.send(chunk(b"two") + b"0\r\n\r\n")
    assert client.reply()[0] == 202


# --- an ordinary WSGI server ---


@pytest.fixture
def ordinary(tmp_path: Path) -> Iterator[tuple[FakeServer, RawClient]]:
    """A client of Werkzeug's server, which is one for everything."""
    server = FakeServer(Settings(data_dir=tmp_path), lambda _: lambda: None)
    listeners = RuntimeListeners()
    app = create_app(server=server).wsgi_app

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        del environ["rie.listener"]
        return app(environ, start_response)

    listeners.application = application
    listener = listening_socket()
    address = listener.getsockname()
    listeners.listen(listener)
    with closing(RawClient(address)) as client:
        yield server, client
    listeners.close()


def test_an_ordinary_server_sends_a_streamed_reply_as_it_is_made(ordinary: tuple[FakeServer, RawClient]) -> None:
    server, client = ordinary
    client.request("POST", STREAM, b"x")
    body = outgoing(server).body
    body.write(b"one")
    assert received(client, b"one\r\n")
    body.finish(last=b"two")
    assert received(client, b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


def test_an_ordinary_server_takes_a_streamed_request(ordinary: tuple[FakeServer, RawClient]) -> None:
    server, client = ordinary
    client.send(head(RESPONSE) + chunk(b"one") + chunk(b"two") + b"0\r\n\r\n")
    assert client.reply()[::2] == (202, b"streamed")
    got = incoming(server)
    assert (b"".join(got.pieces), got.end) == (b"onetwo", {})


def test_an_ordinary_server_notices_a_request_that_breaks_off(ordinary: tuple[FakeServer, RawClient]) -> None:
    server, client = ordinary
    client.send(head(RESPONSE) + chunk(b"one"))
    client.socket.shutdown(1)
    got = incoming(server)
    until(lambda: got.end == "broken off")


def test_an_ordinary_server_refuses_before_it_reads(ordinary: tuple[FakeServer, RawClient]) -> None:
    _, client = ordinary
    client.send(head(EARLY) + chunk(bytes(MB)) + b"0\r\n\r\n")
    assert client.reply()[0] == 403


def test_a_browser_gets_its_headers_with_a_streamed_reply(start: Any) -> None:
    front = start(cors_origins=("http://page.example",))
    client = front.client()
    client.request("POST", STREAM, b"", "Origin: http://page.example")
    body = outgoing(front.server).body
    assert b"Access-Control-Allow-Origin: http://page.example\r\n" in received(client, b"\r\n\r\n")
    body.finish(last=json.dumps({}).encode())
    assert received(client, b"0\r\n\r\n") == b"2\r\n{}\r\n0\r\n\r\n"


def test_nothing_that_follows_an_early_answer_in_one_packet_is_a_request(quick_front: Any) -> None:
    for rest in (
        chunk(b"x") + b"0\r\n\r\n",
        chunk(b"x") + b"0\r\n\r\n" + head(EARLY),
        b"no chunk\r\n",
        b"0\r\n\r\nGARBAGE",
    ):
        client = quick_front.runtime_client()
        asked = len(quick_front.server.requests)
        client.send(head(EARLY) + rest)
        assert client.reply()[0] == 403
        assert client.is_closed_by_server()
        assert len(quick_front.server.requests) == asked + 1


def test_a_streamed_request_that_breaks_off_while_it_waits_for_its_turn_is_answered(front: Any) -> None:
    client = front.runtime_client()
    client.send(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: localhost\r\n\r\n")
    parked = front.parked()
    client.send(head(RESPONSE) + chunk(b"half") + b"no chunk\r\n")
    time.sleep(0.05)
    parked.complete(Reply(200, (), b"event"))
    assert client.reply()[2] == b"event"
    assert client.reply()[::2] == (400, b"truncated")
    assert client.is_closed_by_server()


def test_a_connection_whose_body_was_held_to_its_end_is_read_again(front: Any) -> None:
    client = front.runtime_client()
    client.send(head(RESPONSE) + chunk(b"x"))
    got = incoming(front.server)
    until(lambda: got.pieces)
    holding = got.write

    def hold_and_write(data: bytes) -> None:
        got.stream.hold(True)
        holding(data)

    got.write = hold_and_write  # type: ignore[method-assign]
    client.send(chunk(b"y") + b"0\r\n\r\n")
    assert client.reply()[::2] == (202, b"streamed")
    client.send(head(RESPONSE) + chunk(b"again") + b"0\r\n\r\n")
    assert client.reply()[::2] == (202, b"streamed")
