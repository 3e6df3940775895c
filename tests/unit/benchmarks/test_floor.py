"""The floor gives every caller its own answer, whoever comes first."""

import pytest

from benchmarks.floor import ACCEPTED, JOINED_BODY_BYTES, Exchange, FloorProtocol


class FakeTransport:
    def __init__(self):
        self.written = b""
        self.writes = 0

    def write(self, data):
        self.written += data
        self.writes += 1

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    def take(self):
        written, self.written, self.writes = self.written, b"", 0
        return written


class Peer:
    def __init__(self, exchange):
        self.transport = FakeTransport()
        self.protocol = FloorProtocol(exchange)
        self.protocol.connection_made(self.transport)

    def send(self, method, path, body=b""):
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self.protocol.data_received(head.encode() + body)

    def invoke(self, body):
        self.send("POST", "/2015-03-31/functions/f/invocations", body)

    def next(self):
        self.send("GET", "/2018-06-01/runtime/invocation/next")

    def respond_to(self, next_reply, body):
        head = next_reply.split(b"\r\n\r\n")[0].decode()
        request_id = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Lambda-Runtime-Aws"))
        self.send("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", body)


@pytest.fixture
def exchange():
    return Exchange()


def body_of(reply):
    return reply.split(b"\r\n\r\n", 1)[1]


def test_a_waiting_runtime_gets_the_event_and_the_caller_its_answer_in_one_write_each(exchange):
    runtime, caller = Peer(exchange), Peer(exchange)
    runtime.next()
    caller.invoke(b'{"a": 1}')
    assert runtime.transport.writes == 1
    event = runtime.transport.take()
    assert b"Content-Type: application/json" in event
    assert body_of(event) == b'{"a": 1}'
    runtime.respond_to(event, b"answer")
    assert runtime.transport.take() == ACCEPTED
    assert caller.transport.writes == 1
    assert body_of(caller.transport.take()) == b"answer"


def test_callers_wait_for_runtimes_and_each_gets_its_own_answer(exchange):
    callers = [Peer(exchange) for _ in range(3)]
    for number, caller in enumerate(callers):
        caller.invoke(b"%d" % number)
    runtimes = [Peer(exchange) for _ in range(3)]
    for runtime in runtimes:
        runtime.next()
    for runtime in reversed(runtimes):
        event = runtime.transport.take()
        runtime.respond_to(event, b"answer to " + body_of(event))
    assert [body_of(caller.transport.take()) for caller in callers] == [b"answer to 0", b"answer to 1", b"answer to 2"]


def test_a_large_body_passes_unchanged(exchange):
    runtime, caller = Peer(exchange), Peer(exchange)
    large = b"x" * (JOINED_BODY_BYTES * 3)
    runtime.next()
    caller.invoke(large)
    event = runtime.transport.take()
    assert body_of(event) == large
    runtime.respond_to(event, large)
    assert body_of(caller.transport.take()) == large
