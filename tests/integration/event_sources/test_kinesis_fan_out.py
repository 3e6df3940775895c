"""Enhanced fan-out consumers of Kinesis as event sources of a running server: on kinesis-local, and on kinesalite
behind a proxy that does what kinesis-local does not (subscriptions that end, shards that end, refusals).
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser.models import KinesisDataStreamModel
from botocore.exceptions import ClientError

from rie_server.aws_clients import ServiceClients
from rie_server.errors import ShardGoneError, SourceError
from rie_server.model.event_source import ShardRead, StreamPosition
from rie_server.sources.kinesis import KinesisSource
from rie_server.sources.kinesis_fan_out import FanOutSource
from rie_server.sources.stream_answers import StreamMissingError
from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.recording import wait_for_result
from tests.integration.event_sources.stream_records import create_teller, told
from tests.integration.event_sources.test_kinesis import data, enable, firsts, merge, numbers_of, put, split
from tests.servers.fan_out import FanOutProxy
from tests.servers.kinesalite import KinesaliteServer
from tests.servers.kinesis_local import KinesisLocalServer
from tests.servers.moto import MotoServer

SHARD = "shardId-000000000000"


@pytest.fixture(scope="module")
def kinesis() -> Iterator[KinesaliteServer]:
    with KinesaliteServer() as server:
        yield server


@pytest.fixture
def fan_out(kinesis: KinesaliteServer) -> Iterator[FanOutProxy]:
    with FanOutProxy(kinesis) as proxy:
        yield proxy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "told"


def test_records_are_pushed_to_the_function_within_a_moment(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, fan_out: FanOutProxy, path: Path
) -> None:
    client = start_rie(environ=fan_out.environ).client()
    create_teller(client, "teller", path)
    arn = fan_out.create_consumer(kinesis.create_stream("pushed"))
    uuid = enable(client, "teller", arn, StartingPosition="LATEST")
    put(kinesis, "pushed", [("k", "a")])
    wait_until(lambda: data(told(path)) == ["a"], what="the record")
    (record,) = told(path)[0]["event"]["Records"]
    assert record["eventSourceARN"] == arn
    KinesisDataStreamModel.model_validate(told(path)[0]["event"])
    assert [one["Type"] for one in fan_out.subscribed] == ["AT_TIMESTAMP"]
    assert wait_for_result(client, uuid, lambda result: result == "OK")


def test_subscriptions_that_end_are_renewed_and_lose_nothing(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, fan_out: FanOutProxy, path: Path
) -> None:
    fan_out.subscription_seconds = 0.3
    client = start_rie(environ=fan_out.environ).client()
    create_teller(client, "teller", path)
    arn = fan_out.create_consumer(kinesis.create_stream("renewed"))
    enable(client, "teller", arn)
    for number in range(60):
        put(kinesis, "renewed", [("k", str(number))])
        time.sleep(0.03)
    wait_until(lambda: len(data(told(path))) >= 60, what="sixty records")
    assert numbers_of(told(path), "k") == list(range(60))
    assert {one["Type"] for one in fan_out.subscribed[1:]} == {"AFTER_SEQUENCE_NUMBER"}


def test_shards_are_split_and_merged_and_the_order_is_kept(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, fan_out: FanOutProxy, path: Path
) -> None:
    client = start_rie(environ=fan_out.environ).client()
    create_teller(client, "teller", path)
    enable(client, "teller", fan_out.create_consumer(kinesis.create_stream("family")), BatchSize=10)
    plan = {1: split, 2: merge}
    for step in range(4):
        for number in range(step * 20, step * 20 + 20):
            put(kinesis, "family", [(f"k{key}", f"{number}") for key in range(3)])
        if step in plan:
            plan[step](kinesis, "family")
    wait_until(lambda: len(data(told(path))) >= 240, seconds=20, what="240 records")
    for key in ("k0", "k1", "k2"):
        assert numbers_of(told(path), key) == list(range(80))


def test_a_restart_goes_on_where_the_last_one_was(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, fan_out: FanOutProxy, path: Path
) -> None:
    rie = start_rie(environ=fan_out.environ)
    create_teller(rie.client(), "teller", path)
    enable(rie.client(), "teller", fan_out.create_consumer(kinesis.create_stream("again")))
    put(kinesis, "again", [("k", "0"), ("k", "1")])
    wait_until(lambda: len(data(told(path))) == 2, what="two records")
    begun = time.monotonic()
    rie.stop()
    assert time.monotonic() - begun < 5, "a subscription has kept the server from ending"
    put(kinesis, "again", [("k", "2")])
    rie.restart()
    wait_until(lambda: len(data(told(path))) >= 3, what="the third record")
    assert data(told(path)) == ["0", "1", "2"]


def test_a_kill_loses_nothing_and_no_key_is_out_of_order(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, fan_out: FanOutProxy, path: Path
) -> None:
    """Repeats are allowed: without them, every key's numbers come in order."""
    keys = [f"k{number}" for number in range(8)]
    fan_out.subscription_seconds = 1.0
    rie = start_rie(environ=fan_out.environ)
    create_teller(rie.client(), "teller", path)
    enable(rie.client(), "teller", fan_out.create_consumer(kinesis.create_stream("fire", 2)), BatchSize=10)
    for life in range(3):
        put(kinesis, "fire", [(key, str(number)) for number in range(life * 30, life * 30 + 30) for key in keys])
        if life < 2:
            seen = len(told(path))
            wait_until(lambda seen=seen: len(told(path)) > seen, what="a batch")  # type: ignore[misc]
            rie.kill()
            rie.restart()
    wait_until(
        lambda: all(set(numbers_of(told(path), key)) == set(range(90)) for key in keys), seconds=40, what="every record"
    )
    for key in keys:
        assert firsts(numbers_of(told(path), key)) == list(range(90)), f"{key} is out of order"


def test_a_shard_that_is_in_use_is_asked_for_again_and_the_reason_told(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, fan_out: FanOutProxy, path: Path
) -> None:
    fan_out.refusals = ["ResourceInUseException"] * 4
    client = start_rie(environ=fan_out.environ).client()
    create_teller(client, "teller", path)
    uuid = enable(client, "teller", fan_out.create_consumer(kinesis.create_stream("taken")))
    wait_for_result(client, uuid, lambda result: result == "PROBLEM: ResourceInUseException: Not now.")
    put(kinesis, "taken", [("k", "a")])
    wait_until(lambda: data(told(path)) == ["a"], what="the record")
    assert wait_for_result(client, uuid, lambda result: result == "OK")


def test_an_endpoint_that_goes_away_is_told_and_subscribed_to_again(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    stream = kinesis.create_stream("absent")
    with FanOutProxy(kinesis) as first:
        client = start_rie(environ=first.environ).client()
        create_teller(client, "teller", path)
        arn = first.create_consumer(stream)
        uuid = enable(client, "teller", arn)
        put(kinesis, "absent", [("k", "a")])
        wait_until(lambda: data(told(path)) == ["a"], what="the record")
    wait_for_result(client, uuid, lambda result: result.startswith("PROBLEM: ") and "Connect" in result)
    put(kinesis, "absent", [("k", "b")])
    with FanOutProxy(kinesis, first.port) as second:
        second.consumers[arn] = stream
        wait_until(lambda: data(told(path)) == ["a", "b"], seconds=40, what="the second record")
        wait_for_result(client, uuid, lambda result: result == "OK")
        client.delete_event_source_mapping(UUID=uuid)


def test_a_consumer_that_goes_away_is_told_and_takes_no_shard_with_it(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, fan_out: FanOutProxy, path: Path
) -> None:
    fan_out.subscription_seconds = 0.5
    client = start_rie(environ=fan_out.environ).client()
    create_teller(client, "teller", path)
    stream = kinesis.create_stream("leaving")
    arn = fan_out.create_consumer(stream)
    uuid = enable(client, "teller", arn)
    put(kinesis, "leaving", [("k", "a")])
    wait_until(lambda: data(told(path)) == ["a"], what="the record")
    fan_out.delete_consumer(arn)
    wait_for_result(client, uuid, lambda result: result == f"PROBLEM: Stream not found: {arn}")
    put(kinesis, "leaving", [("k", "b")])
    fan_out.consumers[arn] = stream
    wait_until(lambda: data(told(path)) == ["a", "b"], seconds=40, what="the second record")


def test_a_mapping_to_a_consumer_that_does_not_exist_is_refused(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, fan_out: FanOutProxy, path: Path
) -> None:
    client = start_rie(environ=fan_out.environ).client()
    create_teller(client, "teller", path)
    arn = f"{kinesis.create_stream('lonely')}/consumer/nobody:1"
    with pytest.raises(ClientError) as refused:
        client.create_event_source_mapping(FunctionName="teller", EventSourceArn=arn, StartingPosition="LATEST")
    assert refused.value.response["Error"]["Message"] == f"Stream not found: {arn}"


def test_where_nobody_pushes_the_stream_is_polled_and_every_result_says_so(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, path: Path
) -> None:
    client = start_rie(environ=kinesis.environ).client()
    create_teller(client, "teller", path)
    arn = f"{kinesis.create_stream('polled')}/consumer/fan-out:1"
    uuid = enable(client, "teller", arn)
    note = f"({kinesis.url} does not offer SubscribeToShard, so the stream is polled)"
    wait_for_result(client, uuid, lambda result: result == f"No records processed {note}")
    put(kinesis, "polled", [("k", "a")])
    wait_until(lambda: data(told(path)) == ["a"], what="the record")
    wait_for_result(client, uuid, lambda result: result == f"OK {note}")


@pytest.fixture
def consumer(fan_out: FanOutProxy, kinesis: KinesaliteServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes the source of a new stream's consumer; gives source, stream and consumer ARN."""
    for name, value in fan_out.environ.items():
        monkeypatch.setenv(name, value)
    with contextlib.ExitStack() as stack:
        clients = ServiceClients(long_poll_seconds=30, plain_timestamps=True)
        stack.callback(clients.close)

        def make(name: str) -> tuple[FanOutSource, str]:
            arn = fan_out.create_consumer(kinesis.create_stream(name))
            source = FanOutSource(arn, polled=KinesisSource(arn, role=lambda: "", clients=clients), clients=clients)
            stack.callback(source.close)
            return source, arn

        yield make


def next_event(source: FanOutSource, iterator: str) -> ShardRead:
    found: list[ShardRead] = []

    def look() -> bool:
        found.append(source.read(iterator, 100))
        return bool(found[-1].records or found[-1].next_iterator is None)

    wait_until(look, what="an event")
    return found[-1]


def test_a_position_is_one_record_or_what_comes_after_it(consumer: Any, kinesis: KinesaliteServer) -> None:
    source, _ = consumer("positions")
    put(kinesis, "positions", [("k", "a"), ("k", "b"), ("k", "c")])
    records = next_event(source, source.iterator(SHARD, StreamPosition(starting_position="TRIM_HORIZON"))).records
    assert [record.payload for record in records] == [b"a", b"b", b"c"]
    for position, expected in (
        (StreamPosition(at_sequence_number=records[1].identifier), [b"b", b"c"]),
        (StreamPosition(after_sequence_number=records[1].identifier), [b"c"]),
        (StreamPosition(at_timestamp=0.0), [b"a", b"b", b"c"]),
    ):
        found = next_event(source, source.iterator(SHARD, position)).records
        assert [record.payload for record in found] == expected


def test_what_is_not_found_is_told_apart(consumer: Any, fan_out: FanOutProxy) -> None:
    source, arn = consumer("apart")
    with pytest.raises(ShardGoneError):
        source.iterator("shardId-000000000007", StreamPosition(starting_position="TRIM_HORIZON"))
    fan_out.delete_consumer(arn)
    with pytest.raises(StreamMissingError):
        source.iterator(SHARD, StreamPosition(starting_position="TRIM_HORIZON"))


def test_whoever_watches_is_told_of_each_event(consumer: Any, kinesis: KinesaliteServer) -> None:
    source, _ = consumer("watched")
    heard: list[str] = []
    source.watch(heard.append)
    iterator = source.iterator(SHARD, StreamPosition(starting_position="TRIM_HORIZON"))
    put(kinesis, "watched", [("k", "a")])
    wait_until(lambda: heard, what="a call")
    assert set(heard) == {SHARD}
    assert [record.payload for record in next_event(source, iterator).records] == [b"a"]


def test_a_connection_that_cannot_be_had_is_trouble_that_passes(consumer: Any, fan_out: FanOutProxy) -> None:
    source, _ = consumer("throttled")
    fan_out.refusals = ["LimitExceededException"]
    with pytest.raises(SourceError, match="LimitExceededException") as refused:
        source.iterator(SHARD, StreamPosition(starting_position="TRIM_HORIZON"))
    assert refused.value.passes


def test_moto_falls_over_a_subscription_and_is_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    with MotoServer() as moto, contextlib.closing(ServiceClients(plain_timestamps=True)) as clients:
        for name, value in moto.environ.items():
            monkeypatch.setenv(name, value)
        client = moto.client("kinesis")
        client.create_stream(StreamName="polled", ShardCount=1)
        stream = client.describe_stream_summary(StreamName="polled")["StreamDescriptionSummary"]["StreamARN"]
        made = client.register_stream_consumer(StreamARN=stream, ConsumerName="fan-out")
        arn = made["Consumer"]["ConsumerARN"]
        source = FanOutSource(arn, polled=KinesisSource(arn, role=lambda: "", clients=clients), clients=clients)
        client.put_record(StreamName="polled", PartitionKey="k", Data=b"a")
        iterator = source.iterator(source.shards()[0].shard_id, StreamPosition(starting_position="TRIM_HORIZON"))
        assert [record.payload for record in source.read(iterator, 10).records] == [b"a"]
        assert source.note() == f"{moto.url} does not offer SubscribeToShard, so the stream is polled"
        source.close()


def test_kinesis_local_pushes_and_its_shards_come_to_their_ends(
    start_rie: Callable[..., RieServer], path: Path
) -> None:
    with KinesisLocalServer() as local:
        client = start_rie(environ=local.environ).client()
        create_teller(client, "teller", path)
        uuid = enable(client, "teller", local.create_consumer(local.create_stream("local")))

        def put_numbers(numbers: range) -> None:
            for number in numbers:
                local.client().put_record(StreamName="local", PartitionKey="k", Data=str(number).encode())

        put_numbers(range(5))
        wait_until(lambda: len(data(told(path))) == 5, what="five records")
        middle = str(2**127)
        local.client().split_shard(StreamName="local", ShardToSplit=SHARD, NewStartingHashKey=middle)
        local.wait_active("local")
        put_numbers(range(5, 10))
        wait_until(lambda: len(data(told(path))) >= 10, seconds=40, what="ten records")
        assert numbers_of(told(path), "k") == list(range(10))
        assert client.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] == "OK"
