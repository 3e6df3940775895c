"""Streams of Kinesis (kinesalite) as event sources of a running server, through boto3 alone."""

import base64
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.stream_records import create_teller, told
from tests.servers.kinesalite import KinesaliteServer
from tests.servers.moto import MotoServer

FIRE_RECORDS = int(os.environ.get("RIE_FIRE_RECORDS", "3000"))


@pytest.fixture(scope="module")
def kinesis() -> Iterator[KinesaliteServer]:
    with KinesaliteServer() as server:
        yield server


@pytest.fixture
def serve(start_rie: Callable[..., RieServer], kinesis: KinesaliteServer) -> Callable[..., RieServer]:
    def start(**settings: Any) -> RieServer:
        environ = {**kinesis.environ, **settings.pop("environ", {})}
        return start_rie(environ=environ, **settings)

    return start


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "told"


def enable(client: Any, function: str, arn: str, **members: Any) -> str:
    """A mapping's UUID, when it is Enabled."""
    arguments = {"StartingPosition": "TRIM_HORIZON", **members}
    uuid = str(client.create_event_source_mapping(FunctionName=function, EventSourceArn=arn, **arguments)["UUID"])
    wait_until(lambda: client.get_event_source_mapping(UUID=uuid)["State"] == "Enabled", what="Enabled")
    return uuid


def put(kinesis: KinesaliteServer, stream: str, records: Sequence[tuple[str, str]]) -> None:
    """``records`` are partition keys and data."""
    for start in range(0, len(records), 500):
        entries = [{"PartitionKey": key, "Data": data.encode()} for key, data in records[start : start + 500]]
        answer = kinesis.client().put_records(StreamName=stream, Records=entries)
        assert answer["FailedRecordCount"] == 0


def data(events: Sequence[Mapping[str, Any]]) -> list[str]:
    records = [record for one in events for record in one["event"]["Records"]]
    return [base64.b64decode(record["kinesis"]["data"]).decode() for record in records]


def test_records_reach_the_function_as_aws_sends_them(
    serve: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    client = serve().client()
    create_teller(client, "teller", path)
    arn = kinesis.create_stream("shape")
    uuid = enable(client, "teller", arn)
    before = time.time()
    put(kinesis, "shape", [("k", "Zoë")])
    wait_until(lambda: told(path), what="the invocation")
    (record,) = told(path)[0]["event"]["Records"]
    arrived_at = record["kinesis"].pop("approximateArrivalTimestamp")
    number = record["kinesis"].pop("sequenceNumber")
    assert before - 1 <= arrived_at <= time.time() + 1
    assert record == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "k",
            "data": base64.b64encode("Zoë".encode()).decode(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/lambda-function",
        "awsRegion": "us-east-1",
        "eventSourceARN": arn,
    }
    wait_until(
        lambda: client.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] == "OK", what="LastProcessingResult"
    )


def test_a_stream_that_does_not_exist_is_refused(serve: Callable[..., RieServer], path: Path) -> None:
    client = serve().client()
    create_teller(client, "teller", path)
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/nowhere"
    with pytest.raises(ClientError) as refused:
        client.create_event_source_mapping(FunctionName="teller", EventSourceArn=arn, StartingPosition="LATEST")
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert refused.value.response["Error"]["Message"] == f"Stream not found: {arn}"


def test_latest_begins_when_the_mapping_is_enabled(
    serve: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    client = serve().client()
    create_teller(client, "teller", path)
    arn = kinesis.create_stream("latest", 2)
    put(kinesis, "latest", [(str(number), "early") for number in range(10)])
    enable(client, "teller", arn, StartingPosition="LATEST")
    put(kinesis, "latest", [(str(number), "late") for number in range(10)])
    wait_until(lambda: len(data(told(path))) >= 10, what="ten records")
    assert set(data(told(path))) == {"late"}


def test_a_time_is_where_a_mapping_begins(
    serve: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    client = serve().client()
    create_teller(client, "teller", path)
    arn = kinesis.create_stream("timed")
    put(kinesis, "timed", [("k", "early")])
    time.sleep(1.1)
    now = time.time()
    put(kinesis, "timed", [("k", "late")])
    enable(client, "teller", arn, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=now)
    wait_until(lambda: told(path), what="the invocation")
    assert data(told(path)) == ["late"]


def test_a_stream_that_goes_and_comes_again_is_read_from_its_beginning(
    start_rie: Callable[..., RieServer], path: Path
) -> None:
    with KinesaliteServer() as first:
        client = start_rie(environ=first.environ).client()
        create_teller(client, "teller", path)
        uuid = enable(client, "teller", first.create_stream("anew"))
        put(first, "anew", [("k", "before")])
        wait_until(lambda: told(path), what="the first record")

    def result() -> str:
        return str(client.get_event_source_mapping(UUID=uuid)["LastProcessingResult"])

    wait_until(lambda: result().startswith("PROBLEM: "), what="the trouble to be reported")
    with KinesaliteServer(port=first.port) as second:
        second.create_stream("anew")
        put(second, "anew", [("k", "after")])
        wait_until(lambda: len(told(path)) == 2, seconds=40, what="the second record")
        assert data(told(path)) == ["before", "after"]
        client.delete_event_source_mapping(UUID=uuid)


def test_a_split_and_a_merge_while_records_flow_lose_nothing_and_keep_the_order(
    serve: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    client = serve().client()
    create_teller(client, "teller", path)
    arn = kinesis.create_stream("reshard", 1)
    enable(client, "teller", arn, BatchSize=10)
    plan = {1: split, 2: merge}
    for step in range(4):
        for number in range(step * 50, step * 50 + 50):
            put(kinesis, "reshard", [(f"k{key}", f"{number}") for key in range(3)])
        if step in plan:
            plan[step](kinesis, "reshard")
    wait_until(lambda: len(data(told(path))) >= 600, seconds=20, what="600 records")
    for key in ("k0", "k1", "k2"):
        assert numbers_of(told(path), key) == list(range(200))


def split(kinesis: KinesaliteServer, stream: str) -> None:
    (shard,) = kinesis.client().list_shards(StreamName=stream)["Shards"]
    middle = str((int(shard["HashKeyRange"]["EndingHashKey"]) + 1) // 2)
    kinesis.client().split_shard(StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
    kinesis.wait_active(stream)


def merge(kinesis: KinesaliteServer, stream: str) -> None:
    one, other = kinesis.client().list_shards(StreamName=stream)["Shards"][-2:]
    kinesis.client().merge_shards(StreamName=stream, ShardToMerge=one["ShardId"], AdjacentShardToMerge=other["ShardId"])
    kinesis.wait_active(stream)


def numbers_of(events: Sequence[Mapping[str, Any]], key: str) -> list[int]:
    records = [record for one in events for record in one["event"]["Records"]]
    mine = [record["kinesis"]["data"] for record in records if record["kinesis"]["partitionKey"] == key]
    return [int(base64.b64decode(one)) for one in mine]


def test_a_restart_goes_on_where_the_last_one_was(
    serve: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    rie = serve()
    create_teller(rie.client(), "teller", path)
    arn = kinesis.create_stream("restart", 2)
    enable(rie.client(), "teller", arn)
    put(kinesis, "restart", [(str(number), "before") for number in range(20)])
    wait_until(lambda: len(data(told(path))) == 20, what="twenty records")
    rie.stop()
    put(kinesis, "restart", [(str(number), "after") for number in range(20)])
    rie.restart()
    wait_until(lambda: len(data(told(path))) >= 40, what="forty records")
    assert sorted(data(told(path))) == ["after"] * 20 + ["before"] * 20


def test_latest_remembers_when_the_mapping_was_made(
    serve: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    rie = serve()
    create_teller(rie.client(), "teller", path)
    arn = kinesis.create_stream("remember", 2)
    put(kinesis, "remember", [(str(number), "early") for number in range(10)])
    uuid = enable(rie.client(), "teller", arn, StartingPosition="LATEST")
    rie.stop()
    rie.restart()
    rie.kill()
    put(kinesis, "remember", [(str(number), "meanwhile") for number in range(10)])
    rie.restart()
    wait_until(lambda: len(data(told(path))) >= 10, what="ten records")
    assert data(told(path)) == ["meanwhile"] * 10
    assert rie.client().get_event_source_mapping(UUID=uuid)["LastProcessingResult"] == "OK"


def test_a_mapping_that_is_disabled_changed_and_enabled_goes_on_where_it_was(
    serve: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    client = serve().client()
    create_teller(client, "teller", path)
    uuid = enable(client, "teller", kinesis.create_stream("paused"))
    put(kinesis, "paused", [("k", "before")])
    wait_until(lambda: data(told(path)) == ["before"], what="the first record")

    def update(state: str, **members: Any) -> None:
        client.update_event_source_mapping(UUID=uuid, **members)
        wait_until(lambda: client.get_event_source_mapping(UUID=uuid)["State"] == state, what=state)

    update("Disabled", Enabled=False)
    put(kinesis, "paused", [("k", "a"), ("k", "b"), ("k", "c")])
    time.sleep(0.6)
    assert data(told(path)) == ["before"]
    update("Disabled", BatchSize=2)
    update("Enabled", Enabled=True)
    wait_until(lambda: len(data(told(path))) == 4, what="the other records")
    assert [data([one]) for one in told(path)] == [["before"], ["a", "b"], ["c"]]


def test_what_is_given_up_goes_to_the_on_failure_queue(
    serve: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    with MotoServer() as moto:
        queue = moto.create_queue("failed")
        environ = {"AWS_ENDPOINT_URL_SQS": moto.url}
        client = serve(environ=environ, clock="manual").client()
        create_teller(client, "teller", path, ALWAYS_FAILS="1")
        arn = kinesis.create_stream("failing")
        put(kinesis, "failing", [("k", "a"), ("k", "b")])
        enable(
            client,
            "teller",
            arn,
            MaximumRetryAttempts=0,
            BisectBatchOnFunctionError=True,
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )
        records: list[dict[str, Any]] = []

        def both() -> bool:
            records.extend(json.loads(message["Body"]) for message in moto.messages("failed"))
            return len(records) == 2

        wait_until(both, what="two failure records")
        assert [record["KinesisBatchInfo"]["batchSize"] for record in records] == [1, 1]
        assert {record["requestContext"]["condition"] for record in records} == {"RetryAttemptsExhausted"}
        assert [len(one["event"]["Records"]) for one in told(path)] == [2, 1, 1]


@pytest.mark.timeout(90 + FIRE_RECORDS / 50)
def test_nothing_is_lost_and_no_key_is_out_of_order_under_failures_and_three_kills(
    serve: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    """Repeats are allowed: without them, every key's numbers come in order."""
    rie = serve(clock_speed=20)
    create_teller(rie.client(), "teller", path, FAILS="0.1")
    # Eight batches would run at a time.
    rie.client().put_function_concurrency(FunctionName="teller", ReservedConcurrentExecutions=3)
    arn = kinesis.create_stream("fire", 4)
    enable(rie.client(), "teller", arn, BatchSize=20, ParallelizationFactor=2, BisectBatchOnFunctionError=True)
    keys = [f"k{number}" for number in range(16)]
    per_key = FIRE_RECORDS // len(keys)
    part = -(-per_key // 4)
    for life in range(4):
        numbers = range(life * part, min(per_key, life * part + part))
        put(kinesis, "fire", [(key, f"{number}") for number in numbers for key in keys])
        if life < 3:
            seen = len(told(path))
            wait_until(lambda seen=seen: len(told(path)) > seen + random.randint(1, 10), what="some batches")  # type: ignore[misc]
            rie.kill()
            rie.restart()
    wait_until(lambda: is_complete(path, keys, per_key), seconds=30 + FIRE_RECORDS / 200, what="every record")
    assert any(one["failed"] for one in told(path))
    for key in keys:
        succeeded = numbers_of([one for one in told(path) if not one["failed"]], key)
        assert firsts(succeeded) == list(range(per_key)), f"{key} is out of order"


def is_complete(path: Path, keys: Sequence[str], per_key: int) -> bool:
    time.sleep(0.2)
    succeeded = [one for one in told(path) if not one["failed"]]
    return len(succeeded) > 0 and all(len(set(numbers_of(succeeded, key))) == per_key for key in keys)


def firsts(numbers: Sequence[int]) -> list[int]:
    """Without repeats."""
    return list(dict.fromkeys(numbers))
