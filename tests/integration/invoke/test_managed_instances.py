"""Several invocations in one environment, with awslambdaric's own workers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.invoke.deploying import create, error_of, invoke

PROVIDER = "arn:aws:lambda:us-east-1:000000000000:capacity-provider:mine"
SOURCE = """
    import os, time
    def handler(event, context):
        event = event or {}
        if "sleep" in event:
            time.sleep(event["sleep"])
        if event.get("exit"):
            os.kill(os.getppid(), 9)
            time.sleep(5)
        return {"parent": os.getppid(), "pid": os.getpid(), "id": context.aws_request_id,
                "most": os.environ["AWS_LAMBDA_MAX_CONCURRENCY"]}
"""


def provider(most: int = 4) -> dict[str, Any]:
    config = {"CapacityProviderArn": PROVIDER, "PerExecutionEnvironmentMaxConcurrency": most}
    return {"LambdaManagedInstancesCapacityProviderConfig": config}


@pytest.fixture(scope="module")
def crowd(client: Any) -> Any:
    create(client, "crowd", SOURCE, CapacityProviderConfig=provider(), MemorySize=2048, Timeout=5)
    return client


def at_once(client: Any, number: int, event: dict[str, Any], name: str = "crowd") -> list[Any]:
    together = threading.Barrier(number)

    def call(_: int) -> Any:
        together.wait()
        return invoke(client, name, event)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(call, range(number)))


def test_the_workers_of_one_environment_run_invocations_at_the_same_time(crowd: Any) -> None:
    at_once(crowd, 4, {"sleep": 0.3})
    time.sleep(0.5)  # every worker has initialized by now
    began = time.monotonic()
    answers = at_once(crowd, 4, {"sleep": 0.5})
    assert time.monotonic() - began < 1.5
    assert all(one.error is None for one in answers)
    assert len({one.payload["pid"] for one in answers}) == 4
    assert len({one.payload["parent"] for one in answers}) == 1
    assert [one.payload["id"] for one in answers] == [one.request_id for one in answers]
    assert {one.payload["most"] for one in answers} == {"4"}


def test_one_that_is_late_fails_alone_and_its_worker_serves_again(crowd: Any) -> None:
    create(crowd, "late", SOURCE, CapacityProviderConfig=provider(2), MemorySize=2048, Timeout=1)
    parent = invoke(crowd, "late").payload["parent"]
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(invoke, crowd, "late", {"sleep": 1.6})
        time.sleep(0.2)
        assert invoke(crowd, "late").payload["parent"] == parent
        assert late.result().payload["errorType"] == "Sandbox.Timedout"
    time.sleep(1)
    answers = at_once(crowd, 2, {"sleep": 0.3}, "late")
    assert {one.payload["parent"] for one in answers} == {parent}


def test_a_crash_of_the_environment_fails_what_runs_there_and_a_new_one_is_started(crowd: Any) -> None:
    parent = invoke(crowd, "crowd").payload["parent"]
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(invoke, crowd, "crowd", {"sleep": 3})
        time.sleep(0.3)
        assert invoke(crowd, "crowd", {"exit": True}).payload["errorType"] == "Runtime.ExitError"
        assert other.result().payload["errorType"] == "Runtime.ExitError"
    assert invoke(crowd, "crowd").payload["parent"] != parent


def test_the_configuration_is_shown_and_excludes_what_aws_does_not_offer_with_it(crowd: Any) -> None:
    shown = crowd.get_function_configuration(FunctionName="crowd")["CapacityProviderConfig"]
    assert shown == provider()
    reserved = error_of(crowd.put_function_concurrency, FunctionName="crowd", ReservedConcurrentExecutions=1)
    assert reserved[:2] == (400, "InvalidParameterValueException")
    crowd.publish_version(FunctionName="crowd")
    ahead = error_of(
        crowd.put_provisioned_concurrency_config,
        FunctionName="crowd",
        Qualifier="1",
        ProvisionedConcurrentExecutions=1,
    )
    assert ahead[:2] == (400, "InvalidParameterValueException")
