"""What every StreamSource promises, over Kinesis (kinesalite), DynamoDB Streams (moto) and the fake."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pytest
from aws_lambda_powertools.utilities.parser.models import DynamoDBStreamModel, KinesisDataStreamModel

from rie_server.aws_clients import ServiceClients
from rie_server.errors import InvalidParameterValueException, IteratorExpiredError, ShardGoneError, SourceError
from rie_server.model.event_source import SourceKind, SourceRecord, StreamPosition
from rie_server.polling import StreamSource
from rie_server.sources.dynamodb_streams import DynamoDbStreamSource
from rie_server.sources.kinesis import KinesisSource
from rie_server.sources.stream_inspector import StreamInspector
from tests.conftest import free_port, wait_until
from tests.fakes.streams import MemoryStream, stream_mapping
from tests.servers.kinesalite import KinesaliteServer
from tests.servers.moto import REGION, MotoServer
from tests.unit.event_sources.test_kpl_aggregate import pack

TRIM_HORIZON = StreamPosition(starting_position="TRIM_HORIZON")
LATEST = StreamPosition(starting_position="LATEST")
ROLE = "arn:aws:iam::123456789012:role/role"
KINDS = ["fake", "kinesis", "dynamodb"]


class Stream(Protocol):
    """A stream of one shard, and who writes to it."""

    source: StreamSource

    def put(self, *keys: str) -> None:
        """One record for each."""


class FakeStream:
    def __init__(self) -> None:
        self.source = self._stream = MemoryStream(now=time.time)

    def put(self, *keys: str) -> None:
        for key in keys:
            self._stream.put(key, key=key)


class KinesisStream:
    def __init__(self, kinesis: KinesaliteServer, clients: ServiceClients, name: str) -> None:
        self.arn = kinesis.create_stream(name)
        self.kinesis, self.name = kinesis, name
        self.source = KinesisSource(self.arn, role=lambda: ROLE, clients=clients)

    def put(self, *keys: str) -> None:
        records = [{"PartitionKey": key, "Data": key.encode()} for key in keys]
        self.kinesis.client().put_records(StreamName=self.name, Records=records)


class DynamoDbStream:
    def __init__(self, moto: MotoServer, clients: ServiceClients, name: str) -> None:
        self.dynamodb, self.name = moto.client("dynamodb"), name
        table = create_table(moto, name)
        self.arn = str(table["LatestStreamArn"])
        self.source = DynamoDbStreamSource(self.arn, clients=clients)

    def put(self, *keys: str) -> None:
        for key in keys:
            self.dynamodb.put_item(TableName=self.name, Item={"id": {"S": key}})


def create_table(moto: MotoServer, name: str, view_type: str = "NEW_AND_OLD_IMAGES") -> Any:
    return moto.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view_type},
    )["TableDescription"]


@pytest.fixture(scope="module")
def kinesis() -> Iterator[KinesaliteServer]:
    with KinesaliteServer() as server:
        yield server


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.fixture(params=[True, False], ids=["plain-timestamps", "dates"])
def clients(request: pytest.FixtureRequest) -> Iterator[ServiceClients]:
    with contextlib.closing(ServiceClients(plain_timestamps=request.param)) as made:
        yield made


@pytest.fixture
def stream(
    request: pytest.FixtureRequest, clients: ServiceClients, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stream]:
    """Of the kind that the test is asked for."""
    name = f"stream-{uuid.uuid4()}"
    if request.param == "kinesis":
        server: KinesaliteServer = request.getfixturevalue("kinesis")
        _point(monkeypatch, server.environ)
        yield KinesisStream(server, clients, name)
    elif request.param == "dynamodb":
        moto: MotoServer = request.getfixturevalue("moto")
        _point(monkeypatch, moto.environ)
        yield DynamoDbStream(moto, clients, name)
    else:
        yield FakeStream()


def _point(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


every_kind = pytest.mark.parametrize("stream", KINDS, indirect=True)
kinesis_alone = pytest.mark.parametrize("stream", ["kinesis"], indirect=True)


def shard_of(stream: Stream) -> str:
    return stream.source.shards()[0].shard_id


def read_all(source: StreamSource, iterator: str, count: int, most: int = 100) -> list[SourceRecord]:
    records: list[SourceRecord] = []
    at: str | None = iterator
    deadline = time.monotonic() + 10
    while len(records) < count and at is not None and time.monotonic() < deadline:
        answer = source.read(at, most)
        records += answer.records
        at = answer.next_iterator
    return records


def keys_of(records: Sequence[SourceRecord]) -> list[str]:
    """The keys that ``put`` was given."""
    return [str(record.lane).removeprefix('{"id": {"S": "').removesuffix('"}}') for record in records]


# --- all of them ------------------------------------------------------------------------------------------------------


@every_kind
def test_a_shard_is_read_in_order_from_its_beginning(stream: Stream) -> None:
    stream.put("a", "b", "c")
    records = read_all(stream.source, stream.source.iterator(shard_of(stream), TRIM_HORIZON), 3)
    assert keys_of(records) == ["a", "b", "c"]
    assert len({record.identifier for record in records}) == 3
    assert all(abs(record.arrived_at - time.time()) < 30 for record in records)
    assert all(record.size_bytes > 50 for record in records)


@every_kind
def test_a_read_has_no_more_than_it_was_asked_for(stream: Stream) -> None:
    stream.put("a", "b", "c")
    answer = stream.source.read(stream.source.iterator(shard_of(stream), TRIM_HORIZON), 2)
    assert len(answer.records) <= 2
    assert answer.next_iterator is not None


@every_kind
def test_an_open_shard_without_records_answers_at_once(stream: Stream) -> None:
    answer = stream.source.read(stream.source.iterator(shard_of(stream), TRIM_HORIZON), 10)
    assert answer.records == ()
    assert answer.next_iterator is not None
    assert answer.behind_seconds == 0


@every_kind
def test_reading_goes_on_after_a_record_and_at_one(stream: Stream) -> None:
    stream.put("a", "b", "c")
    source, shard_id = stream.source, shard_of(stream)
    first = read_all(source, source.iterator(shard_id, TRIM_HORIZON), 3)[0]
    after = source.iterator(shard_id, StreamPosition(after_sequence_number=first.identifier))
    at = source.iterator(shard_id, StreamPosition(at_sequence_number=first.identifier))
    assert keys_of(read_all(source, after, 2)) == ["b", "c"]
    assert keys_of(read_all(source, at, 3)) == ["a", "b", "c"]


@every_kind
def test_latest_begins_with_what_comes_later(stream: Stream) -> None:
    stream.put("a")
    iterator = stream.source.iterator(shard_of(stream), LATEST)
    stream.put("b")
    assert keys_of(read_all(stream.source, iterator, 1)) == ["b"]


@every_kind
def test_a_time_begins_no_later_than_with_its_first_record(stream: Stream) -> None:
    stream.put("a")
    iterator = stream.source.iterator(shard_of(stream), StreamPosition(at_timestamp=time.time() - 2))
    assert "a" in keys_of(read_all(stream.source, iterator, 1))


@every_kind
def test_an_event_has_the_records_in_order(stream: Stream) -> None:
    stream.put("a", "b")
    records = read_all(stream.source, stream.source.iterator(shard_of(stream), TRIM_HORIZON), 2)
    assert stream.source.event(records)["Records"] == [record.document for record in records]


@pytest.mark.parametrize("stream", ["fake", "kinesis"], indirect=True)
def test_a_shard_that_does_not_exist_is_gone(stream: Stream) -> None:
    """moto answers with a fault of its own."""
    with pytest.raises(ShardGoneError):
        stream.source.iterator("shardId-000000000099", TRIM_HORIZON)


# --- Kinesis ----------------------------------------------------------------------------------------------------------


@kinesis_alone
def test_a_shard_that_was_split_comes_to_an_end_and_is_the_parent_of_two(stream: KinesisStream) -> None:
    stream.put("a")
    (shard,) = stream.kinesis.client().list_shards(StreamName=stream.name)["Shards"]
    middle = str((int(shard["HashKeyRange"]["EndingHashKey"]) + 1) // 2)
    stream.kinesis.client().split_shard(
        StreamName=stream.name, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle
    )
    stream.kinesis.wait_active(stream.name)
    parent, one, other = stream.source.shards()
    assert parent.parents == ()
    assert one.parents == other.parents == (parent.shard_id,)
    at: str | None = stream.source.iterator(parent.shard_id, TRIM_HORIZON)
    reads = 0
    while at is not None:
        reads += 1
        assert reads < 20
        at = stream.source.read(at, 10).next_iterator


@kinesis_alone
def test_a_sequence_number_of_another_stream_is_an_iterator_that_cannot_be_had(stream: KinesisStream) -> None:
    with pytest.raises(IteratorExpiredError):
        stream.source.iterator(shard_of(stream), StreamPosition(after_sequence_number="123"))


@kinesis_alone
def test_a_stream_that_was_deleted_is_not_a_shard_that_has_gone(stream: KinesisStream) -> None:
    iterator = stream.source.iterator(shard_of(stream), TRIM_HORIZON)
    stream.kinesis.client().delete_stream(StreamName=stream.name)

    wait_until(lambda: not exists(stream), what="the stream to go")
    with pytest.raises(SourceError) as trouble:
        stream.source.read(iterator, 1)
    assert str(trouble.value) == f"Stream not found: {stream.arn}"
    assert not isinstance(trouble.value, ShardGoneError)


def exists(stream: KinesisStream) -> bool:
    client = stream.kinesis.client()
    try:
        client.describe_stream_summary(StreamName=stream.name)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


@kinesis_alone
def test_packed_records_come_apart_for_an_enhanced_fan_out_consumer_alone(
    stream: KinesisStream, clients: ServiceClients
) -> None:
    data = pack(["a", "b"], [(0, b"first"), (1, b"second")])
    stream.kinesis.client().put_records(StreamName=stream.name, Records=[{"PartitionKey": "packed", "Data": data}])
    stream.put("c")
    packed, _ = read_all(stream.source, stream.source.iterator(shard_of(stream), TRIM_HORIZON), 2)
    assert (packed.lane, packed.payload) == ("packed", data)
    arn = f"{stream.arn}/consumer/orders:1700000000"
    consumer = KinesisSource(arn, role=lambda: ROLE, clients=clients)
    records = read_all(consumer, consumer.iterator(shard_of(stream), TRIM_HORIZON), 3)
    assert [(one.lane, one.payload) for one in records] == [("a", b"first"), ("b", b"second"), ("c", b"c")]
    assert records[0].identifier == records[1].identifier == packed.identifier
    event = consumer.event(records)["Records"][1]
    assert event["eventSourceARN"] == arn
    assert event["kinesis"]["partitionKey"] == "b"
    assert event["kinesis"]["data"] == "c2Vjb25k"


@kinesis_alone
def test_powertools_reads_an_event_of_kinesis(stream: KinesisStream) -> None:
    stream.put("a", "b")
    records = read_all(stream.source, stream.source.iterator(shard_of(stream), TRIM_HORIZON), 2)
    parsed = KinesisDataStreamModel.model_validate(stream.source.event(records))
    assert [record.kinesis.data for record in parsed.Records] == [b"a", b"b"]
    assert parsed.Records[0].invokeIdentityArn == ROLE


@kinesis_alone
def test_a_stream_is_looked_at_before_a_mapping_is_made(stream: KinesisStream, clients: ServiceClients) -> None:
    inspector = StreamInspector(lambda mapping: KinesisSource(str(mapping.source_arn), role=str, clients=clients))
    inspector.check(stream_mapping(EventSourceArn=stream.arn))
    missing = stream.arn + "-not"
    with pytest.raises(InvalidParameterValueException) as refused:
        inspector.check(stream_mapping(EventSourceArn=missing))
    assert refused.value.message == f"Stream not found: {missing}"


def test_a_stream_that_cannot_be_reached_is_trouble_that_passes(
    clients: ServiceClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", f"http://127.0.0.1:{free_port()}")
    source = KinesisSource("arn:aws:kinesis:us-east-1:123456789012:stream/x", role=str, clients=clients)
    with pytest.raises(SourceError) as trouble:
        source.shards()
    assert trouble.value.passes


def test_dynamodb_knows_no_position_by_time() -> None:
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-01-01T00:00:00.000"
    inspector = StreamInspector(lambda _mapping: MemoryStream())
    mapping = stream_mapping(SourceKind.DYNAMODB, EventSourceArn=arn, StartingPosition="AT_TIMESTAMP")
    with pytest.raises(InvalidParameterValueException) as refused:
        inspector.check(mapping)
    assert refused.value.message == f"Unsupported starting position for arn type: {arn}"


# --- DynamoDB ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def changes(
    moto: MotoServer, clients: ServiceClients, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Any]]:
    """The event of an item that is made, changed and removed, by the stream's view type."""
    _point(monkeypatch, moto.environ)

    def of(view_type: str) -> dict[str, Any]:
        name = f"changes-{uuid.uuid4()}"
        source = DynamoDbStreamSource(create_table(moto, name, view_type)["LatestStreamArn"], clients=clients)
        dynamodb = moto.client("dynamodb")
        binary = {"B": b"\x00\xff"}
        item = {"id": {"S": "a"}, "binary": binary, "deep": {"M": {"set": {"BS": [b"\x01"]}, "list": {"L": [binary]}}}}
        dynamodb.put_item(TableName=name, Item=item)
        dynamodb.put_item(TableName=name, Item={"id": {"S": "a"}, "n": {"N": "1"}})
        dynamodb.delete_item(TableName=name, Key={"id": {"S": "a"}})
        records = read_all(source, source.iterator(source.shards()[0].shard_id, TRIM_HORIZON), 3)
        return source.event(records)

    return of


def test_binary_values_are_base64_at_any_depth(changes: Callable[[str], dict[str, Any]]) -> None:
    image = changes("NEW_AND_OLD_IMAGES")["Records"][0]["dynamodb"]["NewImage"]
    assert image["binary"] == {"B": "AP8="}
    assert image["deep"] == {"M": {"set": {"BS": ["AQ=="]}, "list": {"L": [{"B": "AP8="}]}}}


@pytest.mark.parametrize(
    ("view_type", "images"),
    [
        ("NEW_IMAGE", [{"NewImage"}, {"NewImage"}, set()]),
        ("OLD_IMAGE", [set(), {"OldImage"}, {"OldImage"}]),
        ("KEYS_ONLY", [set(), set(), set()]),
    ],
)
def test_images_are_there_by_view_type(
    changes: Callable[[str], dict[str, Any]], view_type: str, images: list[set[str]]
) -> None:
    records = changes(view_type)["Records"]
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    assert [set(record["dynamodb"]) & {"NewImage", "OldImage"} for record in records] == images
    assert all(record["dynamodb"]["Keys"] == {"id": {"S": "a"}} for record in records)
    assert all(record["dynamodb"]["StreamViewType"] == view_type for record in records)


def test_powertools_reads_an_event_of_dynamodb(changes: Callable[[str], dict[str, Any]]) -> None:
    event = changes("NEW_AND_OLD_IMAGES")
    # The parser takes binary values for text, and these are none.
    del event["Records"][0], event["Records"][0]["dynamodb"]["OldImage"]
    parsed = DynamoDBStreamModel.model_validate(event)
    assert [str(record.eventName) for record in parsed.Records] == ["MODIFY", "REMOVE"]
    assert parsed.Records[0].eventSourceARN.split(":")[3] == REGION
