"""Containers that stand ready, are paused between invocations, run several at a time, and are gone after a crash."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.docker_engine import runtime_image
from tests.integration.invoke.deploying import create, invoke
from tests.integration.invoke.test_managed_instances import provider
from tests.integration.invoke.test_restart import crash

pytestmark = pytest.mark.docker

SOURCE = """
    import os, time
    def handler(event, context):
        time.sleep((event or {}).get("sleep", 0))
        return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], os.environ["HOSTNAME"]]
"""


@pytest.fixture
def rie(start_rie: Callable[..., RieServer], docker_engine: Any) -> RieServer:
    image = runtime_image(docker_engine)
    return start_rie(executor="docker", runtime_host="", runtime_image=image, freeze="1")


def states(docker_engine: Any, name: str) -> list[str]:
    """Of every container of a function."""
    return [box.status for box in docker_engine.containers.list(all=True, filters={"label": f"rie.function={name}"})]


def wait_ready(client: Any, name: str) -> None:
    def is_ready() -> bool:
        got = client.get_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
        return bool(got["Status"] == "READY")

    wait_until(is_ready, seconds=30, what="the containers to stand")


def test_provisioned_containers_are_paused_until_they_are_needed_and_leave_with_their_server(
    rie: RieServer, docker_engine: Any
) -> None:
    client, name = rie.client(), "ahead-in-docker"
    create(client, name, SOURCE, Publish=True)
    client.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=2)
    wait_ready(client, name)
    wait_until(lambda: states(docker_engine, name) == ["paused"] * 2, what="both to be paused")
    assert invoke(client, name, Qualifier="1").payload[0] == "provisioned-concurrency"
    wait_until(lambda: states(docker_engine, name) == ["paused"] * 2, what="both to be paused again")
    crash(rie)
    rie.restart()
    client = rie.client()
    wait_ready(client, name)
    assert len(states(docker_engine, name)) == 2
    assert invoke(client, name, Qualifier="1").payload[0] == "provisioned-concurrency"


def test_several_invocations_run_in_one_container(rie: RieServer) -> None:
    client, name = rie.client(), "shared-in-docker"
    create(client, name, SOURCE, CapacityProviderConfig=provider(3), MemorySize=2048, Timeout=10)
    invoke(client, name)
    time.sleep(1)  # every worker has initialized by then
    began = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        answers = [one.payload for one in pool.map(lambda _: invoke(client, name, {"sleep": 1}), range(3))]
    assert time.monotonic() - began < 2.5
    assert len({host for _, host in answers}) == 1
    assert {kind for kind, _ in answers} == {"lambda-managed-instances"}
