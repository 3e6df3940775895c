"""Traces on their way out: to a daemon's UDP port and to a collector over HTTP, both of the test's own."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rie_server.clock import SystemClock
from rie_server.exporters.traces import DaemonSender, OtlpSender, TraceExporter
from rie_server.model.arn import FunctionArn
from rie_server.model.traced_invocation import Phase, TracedInvocation
from rie_server.model.tracing import InvocationSegments
from tests.conftest import free_port, wait_until


def traced(request_id: str = "r1") -> TracedInvocation:
    return TracedInvocation(
        function=FunctionArn(region="us-east-1", account="000000000000", name="orders"),
        version="$LATEST",
        request_id=request_id,
        segments=InvocationSegments(
            trace_id="1-5759e988-bd862e3fe1be46a994272793", parent_id=None, lambda_id="1" * 16, function_id="2" * 16
        ),
        received_at=1.0,
        ended_at=2.0,
        phases=(Phase(name="Invocation", id="3" * 16, started_at=1.5, ended_at=2.0),),
    )


@pytest.fixture
def clock() -> Iterator[SystemClock]:
    clock = SystemClock()
    clock.start()
    yield clock
    clock.close()


class Collector(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str, Any]] = []
        self.status = 200
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="collector")
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Content-Type"], body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def test_the_daemon_gets_a_datagram_for_each_segment(clock: SystemClock) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(10.0)
        exporter = TraceExporter(senders=[DaemonSender("127.0.0.1", daemon.getsockname()[1])], clock=clock)
        exporter.start()
        exporter.take(traced())
        datagrams = [daemon.recv(65536) for _ in range(2)]
        exporter.close()
    heads, documents = zip(*(datagram.split(b"\n", 1) for datagram in datagrams), strict=True)
    assert set(heads) == {b'{"format":"json","version":1}'}
    assert [json.loads(document)["origin"] for document in documents] == ["AWS::Lambda", "AWS::Lambda::Function"]


def test_the_collector_gets_what_has_gathered_in_one_request(clock: SystemClock, collector: Collector) -> None:
    exporter = TraceExporter(senders=[OtlpSender(f"http://127.0.0.1:{collector.server_port}/otlp/")], clock=clock)
    exporter.start()
    for number in range(5):
        exporter.take(traced(str(number)))
    wait_until(lambda: bool(collector.requests))
    exporter.close()
    [(path, content_type, body)] = collector.requests
    assert (path, content_type) == ("/otlp/v1/traces", "application/json")
    assert len(body["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 5 * 3


def test_what_has_gathered_at_the_end_is_sent(clock: SystemClock, collector: Collector) -> None:
    exporter = TraceExporter(senders=[OtlpSender(f"http://127.0.0.1:{collector.server_port}")], clock=clock)
    exporter.start()
    exporter.take(traced())
    exporter.close()
    assert len(collector.requests) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "traces"]


def test_a_collector_that_is_away_or_unwell_is_said_once_and_costs_only_traces(
    clock: SystemClock, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = 503
    for endpoint in (f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{collector.server_port}"):
        caplog.clear()
        exporter = TraceExporter(senders=[OtlpSender(endpoint)], clock=clock)
        exporter.start()
        for _ in range(2):
            exporter.take(traced())
            wait_until(lambda: not exporter._waiting)  # noqa: B023 - it is waited for here
        exporter.close()
        assert caplog.text.count("Traces are not taken") == 1
