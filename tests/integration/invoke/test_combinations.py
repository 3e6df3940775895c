"""What an environment is for at the same time: a stream, extensions, the log's tail, frost, provisioned concurrency."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.extension_programs import CURL, PYTHON
from tests.integration.invoke.deploying import marked_processes, wait_updated
from tests.integration.invoke.streaming_runtime import create_streamer, steps, stream
from tests.integration.invoke.test_extensions import layer_of
from tests.integration.invoke.test_restart import crash


def watched_streamer(client: Any, name: str, **members: Any) -> None:
    layers = [layer_of(client, "python", {"watcher": PYTHON}), layer_of(client, "shell", {"curler": CURL})]
    create_streamer(client, name, Layers=layers, **members)


def test_a_frozen_environment_with_extensions_streams_with_the_tail_of_its_log(
    start_rie: Callable[..., RieServer],
) -> None:
    server = start_rie(executor="process", freeze="1")
    client = server.client()
    watched_streamer(client, "f", Timeout=2)
    for number in range(5):
        got = stream(client, "f", steps(("write", "one"), ("print", "middle"), ("write", "two")), LogType="Tail")
        assert got.text == "onetwo"
        assert got.complete is not None
        assert "ErrorCode" not in got.complete
        request_id = got.headers["x-amzn-requestid"]
        lines = re.findall(r"^(START|END|REPORT) RequestId: (\S+)", got.log, re.MULTILINE)
        assert lines == [(word, request_id) for word in ("START", "END", "REPORT")]
        assert got.log.count("middle") == 1
        wait_until(lambda at=request_id: f"watcher INVOKE {at}" in server.output, what="the event")
        assert server.output.count("watcher is there for") == 1, number
    late = stream(client, "f", steps(("write", "one"), ("sleep", 9)), LogType="Tail")
    assert late.text == "one"
    assert late.error["errorType"] == "Sandbox.Timedout"
    assert late.log.count("Task timed out") == 1
    wait_until(lambda: "watcher SHUTDOWN timeout" in server.output, what="the end that extensions are told")
    assert server.output.count(f"REPORT RequestId: {late.headers['x-amzn-requestid']}") == 1
    assert stream(client, "f", steps(("write", "again"))).text == "again"
    crash(server)
    server.restart()
    wait_until(lambda: not marked_processes(server.data_dir), what="the end of every process")


def test_provisioned_environments_with_extensions_are_bidden_farewell_when_their_alias_moves(
    start_rie: Callable[..., RieServer],
) -> None:
    server = start_rie(executor="process")
    client = server.client()
    watched_streamer(client, "f", Timeout=5)
    wait_updated(client, "f")
    client.publish_version(FunctionName="f")
    client.update_function_configuration(FunctionName="f", Description="second")
    wait_updated(client, "f")
    client.publish_version(FunctionName="f")
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    client.put_provisioned_concurrency_config(FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=2)

    def is_ready() -> bool:
        found = client.get_provisioned_concurrency_config(FunctionName="f", Qualifier="live")
        return found["Status"] == "READY" and found["AvailableProvisionedConcurrentExecutions"] == 2

    wait_until(is_ready, what="two environments")
    assert stream(client, "f", steps(("write", "x")), Qualifier="live").headers["x-amz-executed-version"] == "1"
    wait_until(is_ready, what="the end of the invocation: one that works would go on as an ordinary one")
    client.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    wait_until(lambda: server.output.count("watcher SHUTDOWN spindown") == 2, what="both farewells")
    wait_until(is_ready, what="two environments of the other version")
    assert stream(client, "f", steps(("write", "x")), Qualifier="live").headers["x-amz-executed-version"] == "2"
    server.stop()
    assert server.output.count("watcher is there for") == 4
    assert server.output.count("watcher SHUTDOWN spindown") == 4


def test_a_stream_is_for_one_tenant_whose_environment_serves_nobody_else(start_rie: Callable[..., RieServer]) -> None:
    server = start_rie(executor="process")
    client = server.client()
    create_streamer(client, "f", TenancyConfig={"TenantIsolationMode": "PER_TENANT"})
    for tenant in ("a", "a", "b", "a"):
        got = stream(client, "f", steps(("write", tenant)), TenantId=tenant)
        assert got.text == tenant
        assert got.complete == {}
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        stream(client, "f", steps(("write", "x")))
    server.stop()
    assert server.output.count("INIT_START") == 2
    assert server.output.count("REPORT RequestId") == 4
