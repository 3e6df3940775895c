"""AWS's own toolkit for handlers, Powertools: its logger, metrics and tracer find what they find in Lambda."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, invoke
from tests.integration.invoke.test_logs import log_of

HANDLER = """
    from aws_lambda_powertools import Logger, Metrics, Tracer
    from aws_lambda_powertools.metrics import MetricUnit

    logger, tracer = Logger(), Tracer(auto_patch=False)
    metrics = Metrics(namespace="shop")

    @tracer.capture_method
    def count(orders):
        tracer.put_annotation("orders", orders)
        return orders

    @metrics.log_metrics(capture_cold_start_metric=True)
    @tracer.capture_lambda_handler
    @logger.inject_lambda_context(log_event=True)
    def handler(event, context):
        metrics.add_metric(name="Orders", unit=MetricUnit.Count, value=count(event["orders"]))
        try:
            raise KeyError("none")
        except KeyError:
            logger.exception("no such order")
        return "done"
"""
VARIABLES = {"POWERTOOLS_SERVICE_NAME": "orders", "POWERTOOLS_LOG_LEVEL": "INFO"}
ROOT = "1-5759e988-bd862e3fe1be46a994272793"


class Daemon:
    """What X-Ray's daemon would get."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(10.0)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.documents: list[Any] = []

    def wait_for(self, count: int) -> None:
        while len(self.documents) < count:
            self.documents.append(json.loads(self._socket.recv(65536).split(b"\n", 1)[1]))

    def named(self, name: str) -> Any:
        return next(one for one in self.documents if one["name"] == name or one.get("origin") == name)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    yield daemon
    daemon.close()


def records(server: RieServer, name: str) -> list[Any]:
    """What the handler has logged in JSON."""
    texts = [line.split(" ", 2)[2] for line in log_of(server, name) if line.split(" ", 2)[2:]]
    return [json.loads(text) for text in texts if text.startswith("{")]


def test_logger_metrics_and_tracer_work_together(start_rie: Callable[..., RieServer], daemon: Daemon) -> None:
    server = start_rie(xray_daemon_address=daemon.address)
    client = server.client()
    create(
        client,
        "orders",
        HANDLER,
        Environment={"Variables": VARIABLES},
        TracingConfig={"Mode": "Active"},
        MemorySize=256,
        Timeout=20,
    )
    answer = invoke(client, "orders", {"orders": 3})
    assert answer.payload == "done"
    wait_until(lambda: any(f"REPORT RequestId: {answer.request_id}" in line for line in log_of(server, "orders")))

    logged = [record for record in records(server, "orders") if "level" in record]
    assert [record["level"] for record in logged] == ["INFO", "ERROR"]
    assert {record["function_request_id"] for record in logged} == {answer.request_id}
    assert {record["cold_start"] for record in logged} == {True}
    assert logged[1]["exception_name"] == "KeyError"
    metrics = [record for record in records(server, "orders") if "_aws" in record]
    assert [record["Orders"] for record in metrics if "Orders" in record] == [[3.0]]
    assert any("ColdStart" in record for record in metrics)

    daemon.wait_for(4)
    own, function = daemon.named("AWS::Lambda"), daemon.named("AWS::Lambda::Function")
    handler = daemon.named("## handler")
    assert {document["trace_id"] for document in daemon.documents} == {own["trace_id"]}
    assert handler["parent_id"] == function["id"]
    assert function["parent_id"] == own["id"]
    assert {record["xray_trace_id"] for record in logged} == {own["trace_id"]}
    captured = daemon.named("## app.count")
    assert captured["annotations"] == {"orders": 3}


def test_a_traced_call_continues_its_callers_trace(
    start_rie: Callable[..., RieServer], daemon: Daemon, tmp_path: Path
) -> None:
    server = start_rie(xray_daemon_address=daemon.address)
    create(
        server.client(),
        "told",
        """
            import os
            def handler(event, context):
                return [os.environ["_X_AMZN_TRACE_ID"], os.environ["AWS_XRAY_DAEMON_ADDRESS"]]
        """,
        TracingConfig={"Mode": "Active"},
    )
    url = f"{server.url}/2015-03-31/functions/told/invocations"
    parent = "53995c3f42cd8ad8"
    header = {"X-Amzn-Trace-Id": f"Root={ROOT};Parent={parent};Sampled=1"}
    reply = requests.post(url, headers=header, json={}, timeout=30)
    told, address = reply.json()
    assert reply.headers["X-Amzn-Trace-Id"] == told
    daemon.wait_for(2)
    assert daemon.named("AWS::Lambda")["parent_id"] == parent
    assert told.startswith(f"Root={ROOT};Parent={daemon.named('AWS::Lambda::Function')['id']};Sampled=1")
    assert address == daemon.address
    unsampled = {"X-Amzn-Trace-Id": f"Root={ROOT};Parent={parent};Sampled=0"}
    told, _ = requests.post(url, headers=unsampled, json={}, timeout=30).json()
    assert told.startswith(f"Root={ROOT};Parent={parent};Sampled=0")
