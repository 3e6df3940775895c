"""Provisioned concurrency with real runtimes: initialized before anybody calls, there again after a restart."""

from typing import Any

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, invoke
from tests.integration.invoke.test_restart import crash

SOURCE = """
    import os, time
    STARTED = time.time()
    def handler(event, context):
        return {"type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "pid": os.getpid(), "age": time.time() - STARTED}
"""


def provision(client: Any, executions: int = 2) -> None:
    client.put_provisioned_concurrency_config(
        FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=executions
    )
    wait_ready(client, executions)


def wait_ready(client: Any, executions: int) -> None:
    def is_ready() -> bool:
        got = client.get_provisioned_concurrency_config(FunctionName="f", Qualifier="live")
        assert got["Status"] != "FAILED", got
        return bool(got["Status"] == "READY" and got["AvailableProvisionedConcurrentExecutions"] == executions)

    wait_until(is_ready, seconds=30, what="the environments to stand")


def publish(client: Any) -> None:
    create(client, "f", SOURCE, Publish=True)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")


def test_the_first_invocation_finds_a_runtime_that_is_there_also_after_a_crash_of_the_server(rie: RieServer) -> None:
    client = rie.client()
    publish(client)
    provision(client)
    first = invoke(client, "f", Qualifier="live", LogType="Tail")
    assert first.payload["type"] == "provisioned-concurrency"
    assert "Init Duration" in first.log
    assert invoke(client, "f").payload["type"] == "on-demand", "$LATEST has environments of its own"
    crash(rie)
    rie.restart()
    client = rie.client()
    wait_ready(client, 2)
    again = invoke(client, "f:live").payload
    assert again["type"] == "provisioned-concurrency"
    assert again["pid"] != first.payload["pid"]


def test_one_whose_initialization_fails_is_told(rie: RieServer) -> None:
    client = rie.client()
    create(client, "f", "raise RuntimeError('no')\n", Publish=True)
    client.put_provisioned_concurrency_config(FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=1)

    def status() -> Any:
        return client.get_provisioned_concurrency_config(FunctionName="f", Qualifier="1")

    wait_until(lambda: status()["Status"] == "FAILED", seconds=20, what="the failure")
    assert status()["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    client.delete_function(FunctionName="f")
