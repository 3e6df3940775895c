"""Telemetry on its way into an environment: real listeners on this machine, over HTTP and TCP."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rie_server.exporters.environment_listeners import EnvironmentListeners
from rie_server.model.telemetry_subscription import ListenerAddress
from rie_server.observing import TelemetryConnection

EVENTS = [b'{"record":1}', b'{"record":2}']


class Agent(ThreadingHTTPServer):
    """An extension's listener.

    Attributes:
        answers: the status of the next requests; 200 when none is left, None closes the connection.
        slow: answers only after this is set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str, str | None, Any]] = []
        self.peers: set[Any] = set()
        self.answers: list[int | None] = []
        self.slow = threading.Event()
        self.slow.set()
        self.asked = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="agent")
        self._thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was broken off is no error here."""

    def close(self) -> None:
        self.slow.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Agent

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.command, self.path, self.headers["Host"], body))
        self.server.peers.add(self.client_address)
        self.server.asked.set()
        self.server.slow.wait()
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_POST  # noqa: N815 - the name that the base class looks for

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent()
    yield agent
    agent.close()


Connect = Callable[..., TelemetryConnection]


@pytest.fixture
def connect() -> Iterator[Connect]:
    made: list[TelemetryConnection] = []
    addresses = {"e1": ["127.8.8.8", "127.0.0.1"]}
    connector = EnvironmentListeners(lambda environment_id: addresses.get(environment_id, ()))

    def make(port: int, environment_id: str = "e1", **changes: Any) -> TelemetryConnection:
        listener = ListenerAddress(**({"protocol": "HTTP", "port": port, "target": "/logs?a=1"} | changes))
        made.append(connector.connect(environment_id, listener))
        return made[-1]

    yield make
    for connection in made:
        connection.close()
        connection._drop()


def test_a_batch_is_an_array_in_one_request(agent: Agent, connect: Connect) -> None:
    connect(agent.server_port).send(EVENTS)
    host = f"sandbox.localdomain:{agent.server_port}"
    assert agent.requests == [("POST", "/logs?a=1", host, [{"record": 1}, {"record": 2}])]


def test_the_method_is_the_subscribers(agent: Agent, connect: Connect) -> None:
    connect(agent.server_port, method="PUT").send(EVENTS)
    assert agent.requests[0][0] == "PUT"


def test_one_connection_is_kept(agent: Agent, connect: Connect) -> None:
    connection = connect(agent.server_port)
    for _ in range(5):
        connection.send(EVENTS)
    assert len(agent.peers) == 1


def test_an_answer_that_is_no_success_counts_as_not_taken(agent: Agent, connect: Connect) -> None:
    agent.answers = [500]
    connection = connect(agent.server_port)
    with pytest.raises(OSError, match="500"):
        connection.send(EVENTS)
    connection.send(EVENTS)
    assert len(agent.requests) == 2


def test_a_connection_that_was_closed_while_idle_is_made_anew(agent: Agent, connect: Connect) -> None:
    connection = connect(agent.server_port)
    connection.send(EVENTS)
    agent.answers = [None]
    connection.send(EVENTS)
    assert len(agent.peers) == 2


def test_an_environment_is_looked_for_at_its_own_address_first(agent: Agent, connect: Connect) -> None:
    try:
        own = socket.create_server(("127.8.8.8", agent.server_port))
    except OSError:
        pytest.skip("this system has one loopback address")
    with own:
        connect(agent.server_port, protocol="TCP").send(EVENTS)
        accepted, _ = own.accept()
        accepted.close()
    connect(agent.server_port).send(EVENTS)
    assert len(agent.requests) == 1


def test_nobody_who_listens_is_a_batch_not_taken(connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for protocol in ("HTTP", "TCP"):
        with pytest.raises(OSError):
            connect(port, protocol=protocol).send(EVENTS)


def test_an_environment_that_has_ended_is_not_connected_to(agent: Agent, connect: Connect) -> None:
    with pytest.raises(OSError, match="ended"):
        connect(agent.server_port, "e2").send(EVENTS)
    assert agent.requests == []


def test_a_request_that_is_under_way_can_be_broken_off(agent: Agent, connect: Connect) -> None:
    agent.slow.clear()
    connection = connect(agent.server_port)
    refused: list[OSError] = []

    def send() -> None:
        try:
            connection.send(EVENTS)
        except OSError as error:
            refused.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    assert agent.asked.wait(5.0)
    connection.close()
    sender.join(5.0)
    assert len(refused) == 1


def test_over_tcp_an_event_is_a_line(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = connect(server.getsockname()[1], protocol="TCP")
        connection.send(EVENTS)
        connection.send(EVENTS[:1])
        accepted, _ = server.accept()
        with accepted, accepted.makefile("rb") as lines:
            assert [lines.readline() for _ in range(3)] == [b'{"record":1}\n', b'{"record":2}\n', b'{"record":1}\n']


def test_a_tcp_listener_that_has_gone_is_noticed_before_a_batch_is_lost(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = connect(server.getsockname()[1], protocol="TCP")
        connection.send(EVENTS)
        first, _ = server.accept()
        first.close()
        threading.Event().wait(0.05)
        connection.send(EVENTS)
        second, _ = server.accept()
        with second, second.makefile("rb") as lines:
            assert lines.readline() == b'{"record":1}\n'
