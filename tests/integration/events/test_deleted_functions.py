"""Events that a deleted function has left in the queue end where it said, also when the server ends meanwhile."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.events.crashing import crash
from tests.integration.events.test_semantics import ARN, FLAKY, RECORD, Case, World, about
from tests.integration.invoke.deploying import create
from tests.servers.moto import REGION, MotoServer


@pytest.fixture
def moto() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.mark.parametrize("end", [RieServer.stop, crash])
def test_the_last_settings_of_a_deleted_function_outlive_the_server(
    tmp_path: Path, moto: MotoServer, end: Callable[[RieServer], None]
) -> None:
    server = RieServer(tmp_path, environ=moto.environ, clock="manual", region=REGION)
    server.wait_ready()
    world = World(server, moto)
    create(world.client, "records", RECORD)
    case = Case(world, tmp_path, "deleted", code=FLAKY, members={"DeadLetterConfig": {"TargetArn": world.dead}})
    world.client.publish_version(FunctionName="deleted")
    world.client.create_alias(FunctionName="deleted", Name="live", FunctionVersion="1")
    world.client.put_function_event_invoke_config(
        FunctionName="deleted",
        Qualifier="live",
        DestinationConfig={"OnFailure": {"Destination": f"{ARN}records"}},
    )
    case.send(failures=9, Qualifier="live")
    world.advance(0)
    world.client.delete_function(FunctionName="deleted")

    end(server)
    server.restart()
    world.client = server.client()
    world.advance(60)

    record = case.record()
    assert about(record) == ("RetriesExhausted", 1)
    assert record["requestContext"]["functionArn"] == f"{ARN}deleted:live"
    assert record["responseContext"] == {"statusCode": 404}
    (letter,) = wait_until(lambda: moto.messages("dead"), what="the dead letter")
    assert json.loads(letter["Body"]) == record["requestPayload"]
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == f"Function not found: {ARN}deleted:live"
    server.stop()
