"""What becomes of an event, through a real server on a clock that the test moves."""

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, wait_updated
from tests.servers.moto import REGION, MotoServer
from tests.written import lines_in

ARN = f"arn:aws:lambda:{REGION}:000000000000:function:"
# Fails as often as the event says, by its own count, and then succeeds.
FLAKY = """
    import os
    def handler(event, context):
        path = event["runs"]
        with open(path, "a") as file:
            file.write(context.aws_request_id + "\\n")
        with open(path) as file:
            runs = len(file.readlines())
        if runs <= event["failures"]:
            raise ValueError(f"failure {runs}")
        return runs
"""
# Runs until somebody removes the file that it makes.
SLEEPY = """
    import os, time
    def handler(event, context):
        open(event["begun"], "w").close()
        while os.path.exists(event["begun"]):
            time.sleep(0.02)
"""
RECORD = """
    import json
    def handler(record, context):
        with open(record["requestPayload"]["records"], "a") as file:
            file.write(json.dumps(record) + "\\n")
"""


def _advance(server: RieServer, seconds: float) -> None:
    body = json.dumps({"advance_seconds": seconds}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}/_rie/clock", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert reply.status == 200


class World:
    """A server whose clock stands still, and the queue that gets dead letters."""

    def __init__(self, server: RieServer, moto: MotoServer) -> None:
        self.server = server
        self.moto = moto
        self.client = server.client()
        self.dead = moto.create_queue("dead")

    def advance(self, seconds: float) -> None:
        _advance(self.server, seconds)


class Case:
    """One function, one event, and what has become of it."""

    def __init__(self, world: World, folder: Path, name: str, *, code: str = FLAKY, **config: Any) -> None:
        self.world = world
        self.name = name
        self._runs, self._records = folder / "runs", folder / "records"
        members = config.pop("members", {})
        create(world.client, name, code, **members)
        destination = {"Destination": f"{ARN}records"}
        self.configure(DestinationConfig={"OnSuccess": destination, "OnFailure": destination}, **config)

    def configure(self, **config: Any) -> None:
        self.world.client.put_function_event_invoke_config(FunctionName=self.name, **config)

    def configure_alias(self, name: str, version: str, **config: Any) -> None:
        self.world.client.create_alias(FunctionName=self.name, Name=name, FunctionVersion=version)
        self.world.client.put_function_event_invoke_config(FunctionName=self.name, Qualifier=name, **config)

    def send(self, *, failures: int, **members: Any) -> str:
        event = {"runs": str(self._runs), "records": str(self._records), "failures": failures}
        reply = self.world.client.invoke(
            FunctionName=self.name, InvocationType="Event", Payload=json.dumps(event), **members
        )
        assert reply["StatusCode"] == 202
        return str(reply["ResponseMetadata"]["RequestId"])

    def runs(self, count: int) -> list[str]:
        """The request ids of the runs, as soon as there are ``count``."""
        wait_until(lambda: len(lines_in(self._runs)) >= count, what=f"run {count}")
        return lines_in(self._runs)

    def forget(self) -> None:
        """What has become of the event is as if it had not been, for the next one."""
        self._runs.unlink()
        self._records.unlink()

    @property
    def has_record(self) -> bool:
        return bool(lines_in(self._records))

    def record(self) -> dict[str, Any]:
        wait_until(lambda: self.has_record, what="the record")
        (line,) = lines_in(self._records)
        record: dict[str, Any] = json.loads(line)
        return record


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with MotoServer() as moto:
        server = RieServer(tmp_path_factory.mktemp("rie"), environ=moto.environ, clock="manual", region=REGION)
        server.wait_ready()
        create(server.client(), "records", RECORD)
        yield World(server, moto)
        server.stop()


def about(record: dict[str, Any]) -> tuple[str, int]:
    return record["requestContext"]["condition"], record["requestContext"]["approximateInvokeCount"]


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_function_that_fails_is_run_again_after_one_and_two_minutes(
    world: World, tmp_path: Path, retries: int
) -> None:
    case = Case(world, tmp_path, f"fails-{retries}", MaximumRetryAttempts=retries)
    request_id = case.send(failures=9)
    case.runs(1)
    for retry in range(1, retries + 1):
        world.advance(60 * retry - 1)
        assert len(case.runs(retry)) == retry, "too early"
        assert not case.has_record
        world.advance(1)
        case.runs(retry + 1)

    record = case.record()
    world.advance(3_600)
    assert case.runs(retries + 1) == [request_id] * (retries + 1)
    assert about(record) == ("RetriesExhausted", retries + 1)
    assert record["requestContext"]["requestId"] == request_id
    assert record["requestContext"]["functionArn"] == f"{ARN}fails-{retries}:$LATEST"
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"]["errorMessage"] == f"failure {retries + 1}"


def test_a_function_that_fails_twice_and_then_succeeds_has_succeeded(world: World, tmp_path: Path) -> None:
    case = Case(world, tmp_path, "recovers")
    request_id = case.send(failures=2)
    case.runs(1)
    world.advance(180)

    assert case.runs(3) == [request_id] * 3
    record = case.record()
    assert about(record) == ("Success", 1)
    assert record["responsePayload"] == 3
    assert "functionError" not in record["responseContext"]


def test_an_event_that_would_be_too_old_for_its_retry_ends_at_once(world: World, tmp_path: Path) -> None:
    case = Case(world, tmp_path, "ages", MaximumEventAgeInSeconds=100)
    case.send(failures=9)
    case.runs(1)
    world.advance(60)

    record = case.record()
    assert len(case.runs(2)) == 2
    assert about(record) == ("EventAgeExceeded", 2)
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorMessage"] == "failure 2"


def test_an_event_of_a_stopped_function_goes_to_destination_and_dead_letter_queue_unrun(
    world: World, tmp_path: Path
) -> None:
    case = Case(world, tmp_path, "stopped", members={"DeadLetterConfig": {"TargetArn": world.dead}})
    world.client.put_function_concurrency(FunctionName="stopped", ReservedConcurrentExecutions=0)
    request_id = case.send(failures=0)

    record = case.record()
    assert about(record) == ("ZeroReservedConcurrency", 0)
    assert "responseContext" not in record
    (letter,) = wait_until(lambda: world.moto.messages("dead"), what="the dead letter")
    assert json.loads(letter["Body"]) == record["requestPayload"]
    assert letter["MessageAttributes"]["RequestID"]["StringValue"] == request_id
    assert "ErrorCode" not in letter["MessageAttributes"]


def test_an_event_of_a_deleted_function_goes_to_destination_and_dead_letter_queue(world: World, tmp_path: Path) -> None:
    case = Case(world, tmp_path, "deleted", members={"DeadLetterConfig": {"TargetArn": world.dead}})
    request_id = case.send(failures=9)
    world.advance(0)
    world.client.delete_function(FunctionName="deleted")
    world.advance(60)

    record = case.record()
    assert case.runs(1) == [request_id]
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responseContext"] == {"statusCode": 404}
    assert "responsePayload" not in record
    (letter,) = wait_until(lambda: world.moto.messages("dead"), what="the dead letter")
    assert json.loads(letter["Body"]) == record["requestPayload"]
    assert letter["MessageAttributes"]["ErrorCode"] == {"StringValue": "404", "DataType": "Number"}
    message = f"Function not found: {ARN}deleted:$LATEST"
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == message


def test_a_throttled_event_is_put_off_until_it_would_be_too_old(world: World, tmp_path: Path) -> None:
    case = Case(world, tmp_path, "busy", code=SLEEPY, members={"Timeout": 60}, MaximumEventAgeInSeconds=60)
    world.client.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=1)
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        # A synchronous one, which the clock does not wait for.
        holding = pool.submit(world.client.invoke, FunctionName="busy", Payload=json.dumps({"begun": str(begun)}))
        wait_until(begun.exists, what="the function to be busy")
        case.send(failures=0)
        world.advance(59)
        record = case.record()
        begun.unlink()
        holding.result()

    assert about(record) == ("EventAgeExceeded", 0)
    assert record["responseContext"] == {"statusCode": 429}
    assert "responsePayload" not in record


def test_a_version_and_the_function_itself_have_configurations_of_their_own(world: World, tmp_path: Path) -> None:
    case = Case(world, tmp_path, "qualified", MaximumRetryAttempts=1)
    world.client.put_function_event_invoke_config(
        FunctionName="qualified",
        Qualifier="$LATEST",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": f"{ARN}records"}},
    )
    case.send(failures=9, Qualifier="$LATEST")

    assert about(case.record()) == ("RetriesExhausted", 1)


def test_events_of_an_alias_and_of_a_version_go_by_their_own_configuration_and_their_versions_dead_letter_queue(
    world: World, tmp_path: Path
) -> None:
    letters = world.moto.create_queue("letters-of-version-1")
    case = Case(world, tmp_path, "aliased", members={"DeadLetterConfig": {"TargetArn": letters}})
    client, records = world.client, {"OnFailure": {"Destination": f"{ARN}records"}}
    client.publish_version(FunctionName="aliased")
    client.create_alias(FunctionName="aliased", Name="live", FunctionVersion="1")
    client.update_function_configuration(FunctionName="aliased", DeadLetterConfig={"TargetArn": ""})
    wait_updated(client, "aliased")
    for qualifier, retries in (("live", 0), ("1", 1)):
        client.put_function_event_invoke_config(
            FunctionName="aliased", Qualifier=qualifier, MaximumRetryAttempts=retries, DestinationConfig=records
        )

    for attempts, qualifier in ((1, "live"), (2, "1"), (3, "$LATEST")):
        request_id = case.send(failures=99, Qualifier=qualifier)
        world.advance(180)
        record = case.record()
        assert about(record) == ("RetriesExhausted", attempts)
        assert record["requestContext"]["functionArn"] == f"{ARN}aliased:{qualifier}"
        executed = "$LATEST" if qualifier == "$LATEST" else "1"
        assert record["responseContext"]["executedVersion"] == executed
        assert case.runs(attempts) == [request_id] * attempts
        case.forget()

    letters_of = [
        message["MessageAttributes"]["ErrorCode"]["StringValue"]
        for message in world.moto.messages("letters-of-version-1")
    ]
    assert letters_of == ["200", "200"], "only version 1 has a dead-letter queue"
