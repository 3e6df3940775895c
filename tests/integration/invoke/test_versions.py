"""Versions and aliases, invoked: which code runs, what it sees of itself, and what a crash leaves of it."""

import json
import math
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.events.crashing import crash
from tests.integration.invoke.deploying import create, error_of, python_zip, wait_updated

ABOUT = """
    import os
    def handler(event, context):
        return {
            "code": "%s",
            "arn": context.invoked_function_arn,
            "version": [context.function_version, os.environ["AWS_LAMBDA_FUNCTION_VERSION"]],
            "stream": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"].split("/")[-1].split("]")[0] + "]",
            "process": os.getpid(),
        }
"""
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


def publish_two(client: Any, name: str) -> None:
    """Publishes versions 1 (whose code says "one") and 2 ("two"); the function itself goes on with "three"."""
    create(client, name, ABOUT % "one", Publish=True)
    for code in ("two", "three"):
        publish = code == "two"
        client.update_function_code(FunctionName=name, ZipFile=python_zip(ABOUT % code), Publish=publish)
        wait_updated(client, name)


def call(client: Any, name: str, **members: Any) -> tuple[dict[str, Any], str]:
    """What the function says of itself, and the version that the reply names."""
    reply = client.invoke(FunctionName=name, **members)
    return json.loads(reply["Payload"].read()), reply["ExecutedVersion"]


@pytest.fixture(scope="module")
def published(client: Any) -> Any:
    publish_two(client, "f")
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    return client


@pytest.mark.parametrize(
    ("name", "members", "code", "version"),
    [
        ("f", {}, "three", "$LATEST"),
        ("f", {"Qualifier": "$LATEST"}, "three", "$LATEST"),
        ("f", {"Qualifier": "1"}, "one", "1"),
        ("f:2", {}, "two", "2"),
        ("f", {"Qualifier": "live"}, "one", "1"),
        (f"{ARN}f:live", {}, "one", "1"),
        (f"{ARN}f:2", {"Qualifier": "2"}, "two", "2"),
    ],
)
def test_a_qualifier_runs_its_version_which_sees_the_qualifier_as_it_was_asked_for(
    published: Any, name: str, members: dict[str, str], code: str, version: str
) -> None:
    about, executed = call(published, name, **members)
    qualifier = members.get("Qualifier") or (name.rpartition(":")[2] if ":" in name else None)
    assert about["arn"] == (f"{ARN}f" if qualifier is None else f"{ARN}f:{qualifier}")
    assert (about["code"], about["version"], executed) == (code, [version, version], version)
    assert about["stream"] == f"[{version}]"


def test_an_alias_uses_the_environments_of_its_version_and_versions_share_none(published: Any) -> None:
    processes = {one: call(published, "f", Qualifier=one)[0]["process"] for one in ("live", "1", "2", "$LATEST")}
    assert processes["live"] == processes["1"]
    assert len({processes[one] for one in ("1", "2", "$LATEST")}) == 3


def test_what_is_not_there_is_told_with_the_qualifier_that_was_asked_for(published: Any) -> None:
    for members, shown in (
        ({"FunctionName": "f", "Qualifier": "9"}, "f:9"),
        ({"FunctionName": "f:beta"}, "f:beta"),
        ({"FunctionName": "g"}, "g:$LATEST"),
        ({"FunctionName": "g", "Qualifier": "live"}, "g:live"),
    ):
        for kind in ("RequestResponse", "Event", "DryRun"):
            answer = error_of(published.invoke, InvocationType=kind, **members)
            assert answer == (404, "ResourceNotFoundException", f"Function not found: {ARN}{shown}")


def test_an_alias_with_weights_divides_its_invocations(published: Any) -> None:
    weight, invocations = 0.3, int(os.environ.get("ROUTED_INVOCATIONS", "400"))
    published.create_alias(
        FunctionName="f",
        Name="canary",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": weight}},
    )
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: call(published, "f", Qualifier="canary"), range(invocations)))
    assert all(about["arn"] == f"{ARN}f:canary" for about, _ in answers)
    assert {(about["code"], executed) for about, executed in answers} == {("one", "1"), ("two", "2")}
    chosen = Counter(executed for _, executed in answers)["2"]
    # Of five standard deviations one test in two million is wrong; who asks for more invocations gets a stricter one.
    deviations = 5 if invocations < 10_000 else 3
    assert abs(chosen - weight * invocations) <= deviations * math.sqrt(invocations * weight * (1 - weight))


def test_an_alias_that_moves_takes_its_callers_along_at_once(published: Any) -> None:
    published.create_alias(FunctionName="f", Name="moving", FunctionVersion="1")
    for version in ("2", "$LATEST", "1"):
        published.update_alias(FunctionName="f", Name="moving", FunctionVersion=version)
        assert call(published, "f", Qualifier="moving")[1] == version


def test_a_deleted_version_takes_its_environments_along(published: Any) -> None:
    create(published, "g", ABOUT % "one", Publish=True)
    process = call(published, "g:1")[0]["process"]
    published.delete_function(FunctionName="g", Qualifier="1")
    assert error_of(published.invoke, FunctionName="g:1")[0] == 404
    assert call(published, "g")[1] == "$LATEST"
    wait_until(lambda: not Path(f"/proc/{process}").exists(), what="the environment to end")


def test_reserved_concurrency_is_one_pool_for_all_versions(published: Any) -> None:
    create(published, "stopped", ABOUT % "one", Publish=True)
    published.put_function_concurrency(FunctionName="stopped", ReservedConcurrentExecutions=0)
    for qualifier in ("$LATEST", "1"):
        status, code, _ = error_of(published.invoke, FunctionName="stopped", Qualifier=qualifier)
        assert (status, code) == (429, "TooManyRequestsException")


@pytest.mark.parametrize("ending", ["SIGTERM", "kill -9"])
def test_versions_and_aliases_outlive_the_server(start_rie: Callable[..., RieServer], ending: str) -> None:
    server = start_rie()
    client = server.client()
    publish_two(client, "f")
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    before = client.list_versions_by_function(FunctionName="f")["Versions"]
    server.stop() if ending == "SIGTERM" else crash(server)
    server.restart()
    client = server.client()
    assert client.list_versions_by_function(FunctionName="f")["Versions"] == before
    ran = [call(client, "f", Qualifier=one)[0]["code"] for one in ("1", "2", "live", "$LATEST")]
    assert ran == ["one", "two", "one", "three"]
