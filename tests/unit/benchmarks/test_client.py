"""The client understands replies in any shape, and takes no wrong one."""

import socket
import threading

import pytest

from benchmarks.client import (
    Expectation,
    ReplyReader,
    WrongReply,
    build_request,
    carry_out,
    exchange,
    many_clients,
    one_client,
)

BODY = b'{"message": "hello"}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + BODY
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"
    + BODY[:5]
    + b"\r\nf;x=y\r\n"
    + BODY[5:]
    + b"\r\n0\r\n\r\n"
)
REQUEST = build_request("127.0.0.1", 9000, "/f", b"{}")


def answering(reply, *, pieces=1):
    """A socket whose other end answers every request, in as many pieces; ends when ours is closed."""
    ours, theirs = socket.socketpair()

    def serve():
        size = -(-len(reply) // pieces)
        with theirs:
            while theirs.recv(len(REQUEST), socket.MSG_WAITALL):
                for start in range(0, len(reply), size):
                    theirs.sendall(reply[start : start + size])

    thread = threading.Thread(target=serve, name="answering")
    thread.start()
    return ours, thread


@pytest.fixture
def connect():
    opened = []

    def connected(reply, **options):
        ours, thread = answering(reply, **options)
        ours.settimeout(5)
        opened.append((ours, thread))
        return ours

    yield connected
    for ours, thread in opened:
        ours.close()
        thread.join()


@pytest.mark.parametrize("reply", [PLAIN, CHUNKED], ids=["by length", "in chunks"])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_reply_is_whole_only_at_its_last_byte(reply, step):
    reader = ReplyReader()
    pieces = [reply[at : at + step] for at in range(0, len(reply), step)]
    assert [reader.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert reader.body() == BODY
    assert reader.status_line == b"HTTP/1.1 200 OK"


def test_a_request_says_its_length_and_where_it_goes():
    assert REQUEST == (
        b"POST /f HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_a_request_carries_the_headers_of_its_load():
    request = build_request("127.0.0.1", 9000, "/f", b"{}", {"X-Amz-Invocation-Type": "Event"})
    assert request.endswith(b"Content-Length: 2\r\nX-Amz-Invocation-Type: Event\r\n\r\n{}")


def test_an_accepted_event_is_an_empty_202_and_nothing_else(connect):
    accepted = Expectation(b"", 202)
    exchange(connect(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"), REQUEST, accepted)
    for wrong in (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", PLAIN.replace(b"200 OK", b"202 Accepted")):
        with pytest.raises(WrongReply):
            exchange(connect(wrong), REQUEST, accepted)


@pytest.mark.parametrize("pieces", [1, 5])
def test_one_client_sends_as_many_requests_as_planned(connect, pieces):
    latencies = one_client(connect(PLAIN, pieces=pieces), REQUEST, Expectation(BODY), requests=10, seconds=30)
    assert len(latencies) == 10
    assert min(latencies) > 0


def test_one_client_stops_when_its_time_is_over(connect):
    assert one_client(connect(PLAIN), REQUEST, Expectation(BODY), requests=10**9, seconds=0.0) == []


@pytest.mark.parametrize("reply", [PLAIN, CHUNKED], ids=["by length", "in chunks"])
def test_many_clients_share_the_planned_requests(connect, reply):
    connections = [connect(reply, pieces=1 + number) for number in range(4)]
    latencies = many_clients(connections, REQUEST, Expectation(BODY), requests=50, seconds=30)
    assert len(latencies) == 50


WRONG = {
    "an error": PLAIN.replace(b"200 OK", b"502 OK"),
    "another body": PLAIN.replace(b"hello", b"hallo"),
    "an error in chunks": CHUNKED.replace(b"200 OK", b"429 OK"),
}


@pytest.mark.parametrize("reply", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_reply_ends_the_run(connect, reply):
    with pytest.raises(WrongReply):
        exchange(connect(reply), REQUEST, Expectation(BODY))
    with pytest.raises(WrongReply):
        many_clients([connect(reply)], REQUEST, Expectation(BODY), requests=5, seconds=5)


def test_a_connection_that_closes_in_the_middle_of_a_reply_ends_the_run():
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(PLAIN[:-3])
        with pytest.raises((WrongReply, OSError)):
            exchange(ours, REQUEST, Expectation(BODY))


@pytest.fixture
def closing_server():
    """The port of a server that closes each connection after its reply, and how many connections it has had."""
    served = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    if connection.recv(4096):
                        served.append(1)
                        connection.sendall(PLAIN)

        thread = threading.Thread(target=serve, name="closing-server")
        thread.start()
        yield listener.getsockname()[1], served
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("clients", [1, 3])
def test_a_server_that_closes_its_connections_gets_a_new_one_for_each_request(closing_server, clients):
    port, served = closing_server
    plan = {"host": "127.0.0.1", "port": port, "path": "/f", "body": "{}", "headers": {}, "expected": BODY.decode()}
    bounds = {"clients": clients, "requests": 12, "seconds": 30.0, "warmup_requests": 2}
    outcome = carry_out(plan | bounds | {"status": 200, "closes": True})
    assert len(outcome["latencies_ns"]) == 12
    assert len(served) == 14
