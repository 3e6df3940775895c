"""Streams of DynamoDB tables (moto) as event sources of a running server, through boto3 alone.

moto has one shard for each table, and never closes it; what is said about shards is tested with Kinesis.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser.models import DynamoDBStreamModel
from botocore.exceptions import ClientError

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.stream_records import create_teller, told
from tests.servers.moto import MotoServer


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.fixture
def serve(start_rie: Callable[..., RieServer], moto: MotoServer) -> Callable[..., RieServer]:
    def start(**settings: Any) -> RieServer:
        return start_rie(environ=moto.environ, region="eu-west-1", **settings)

    return start


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "told"


def create_table(moto: MotoServer, name: str) -> str:
    """The ARN of its stream."""
    description = moto.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return str(description["TableDescription"]["LatestStreamArn"])


def put(moto: MotoServer, table: str, *ids: str, **attributes: Any) -> None:
    for one in ids:
        moto.client("dynamodb").put_item(TableName=table, Item={"id": {"S": one}, **attributes})


def enable(client: Any, function: str, arn: str, **members: Any) -> str:
    """A mapping's UUID, when it is Enabled."""
    arguments = {"StartingPosition": "TRIM_HORIZON", **members}
    uuid = str(client.create_event_source_mapping(FunctionName=function, EventSourceArn=arn, **arguments)["UUID"])
    wait_until(lambda: client.get_event_source_mapping(UUID=uuid)["State"] == "Enabled", what="Enabled")
    return uuid


def ids(events: Sequence[Mapping[str, Any]]) -> list[str]:
    return [record["dynamodb"]["Keys"]["id"]["S"] for one in events for record in one["event"]["Records"]]


def test_changes_reach_the_function_as_aws_sends_them(
    serve: Callable[..., RieServer], moto: MotoServer, path: Path
) -> None:
    client = serve().client()
    create_teller(client, "teller", path)
    arn = create_table(moto, "shape")
    enable(client, "teller", arn)
    put(moto, "shape", "a", n={"N": "101"})
    wait_until(lambda: told(path), what="the invocation")
    event = told(path)[0]["event"]
    (record,) = event["Records"]
    assert record["eventName"] == "INSERT"
    assert record["eventSource"] == "aws:dynamodb"
    assert record["eventSourceARN"] == arn
    assert record["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "n": {"N": "101"}}
    assert "OldImage" not in record["dynamodb"]
    DynamoDBStreamModel.model_validate(event)


def test_filters_look_at_names_and_images(serve: Callable[..., RieServer], moto: MotoServer, path: Path) -> None:
    client = serve().client()
    create_teller(client, "teller", path)
    arn = create_table(moto, "filtered")
    pattern = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": ["order"]}}}}
    enable(client, "teller", arn, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]})
    put(moto, "filtered", "a", kind={"S": "offer"})
    put(moto, "filtered", "b", kind={"S": "order"})
    put(moto, "filtered", "a", kind={"S": "order"})
    put(moto, "filtered", "c", kind={"S": "order"})
    wait_until(lambda: len(ids(told(path))) >= 2, what="two records")
    assert ids(told(path)) == ["b", "c"]


def test_a_restart_goes_on_and_latest_remembers_when_the_mapping_was_made(
    serve: Callable[..., RieServer], moto: MotoServer, path: Path
) -> None:
    rie = serve()
    create_teller(rie.client(), "teller", path)
    arn = create_table(moto, "restart")
    enable(rie.client(), "teller", arn, StartingPosition="LATEST")
    rie.stop()
    put(moto, "restart", "a")
    rie.restart()
    wait_until(lambda: ids(told(path)) == ["a"], what="what came while the server was down")
    rie.kill()
    put(moto, "restart", "b")
    rie.restart()
    wait_until(lambda: "b" in ids(told(path)), what="what came after the kill")


def test_what_is_given_up_goes_to_the_on_failure_queue(
    serve: Callable[..., RieServer], moto: MotoServer, path: Path
) -> None:
    client = serve().client()
    create_teller(client, "teller", path, ALWAYS_FAILS="1")
    arn = create_table(moto, "failing")
    destination = {"OnFailure": {"Destination": moto.create_queue("given-up")}}
    enable(client, "teller", arn, MaximumRetryAttempts=0, DestinationConfig=destination)
    put(moto, "failing", "a")
    messages: list[dict[str, Any]] = []
    wait_until(lambda: messages.extend(moto.messages("given-up")) or messages, what="the failure record")
    record = json.loads(messages[0]["Body"])
    assert record["DDBStreamBatchInfo"]["batchSize"] == 1
    assert record["DDBStreamBatchInfo"]["streamArn"] == arn
    assert len(record["DDBStreamBatchInfo"]["approximateArrivalOfFirstRecord"]) == len("2022-07-13T13:48:01Z")


def test_a_time_is_no_starting_position(serve: Callable[..., RieServer], moto: MotoServer, path: Path) -> None:
    client = serve().client()
    create_teller(client, "teller", path)
    arn = create_table(moto, "timed")
    with pytest.raises(ClientError) as refused:
        client.create_event_source_mapping(
            FunctionName="teller", EventSourceArn=arn, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1.0
        )
    assert refused.value.response["Error"]["Message"] == f"Unsupported starting position for arn type: {arn}"
