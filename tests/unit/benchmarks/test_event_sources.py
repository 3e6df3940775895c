"""Event sources in the benchmarks: bare loops that read all there is, and looks at a queue that are rare."""

from types import SimpleNamespace

import pytest

from benchmarks import bare_records
from benchmarks.bare_records import carry_out
from benchmarks.contenders import queues
from benchmarks.contenders.queues import Queues
from benchmarks.processes import ContenderFailed
from benchmarks.scenarios import sqs
from benchmarks.streams import BATCHES, curve, metric


class FakeStreams:
    """A stream of two shards, as boto's client shows it."""

    def __init__(self):
        self.shards = {"s-0": list(range(25)), "s-1": list(range(7))}
        self.asked = []

    def describe_stream(self, **stream):
        self.asked.append(stream)
        return {"StreamDescription": {"Shards": [{"ShardId": name} for name in self.shards]}}

    def get_shard_iterator(self, *, ShardId, **_stream):  # noqa: N803 - AWS's word
        return {"ShardIterator": (ShardId, 0)}

    def get_records(self, *, ShardIterator, Limit):  # noqa: N803 - AWS's words
        shard, at = ShardIterator
        found = self.shards[shard][at : at + Limit]
        return {"Records": found, "NextShardIterator": (shard, at + len(found))}

    def close(self):
        pass


@pytest.fixture
def streams(monkeypatch):
    fake = FakeStreams()
    monkeypatch.setattr(bare_records, "aws_client", lambda _service, _url: fake)
    return fake


def plan(service, arn, records):
    return {"service": service, "url": "http://127.0.0.1:1", "arn": arn, "batch": 10, "records": records}


@pytest.mark.parametrize(
    ("service", "arn", "named"),
    [
        ("kinesis", "arn:aws:kinesis:us-east-1:0:stream/orders", {"StreamName": "orders"}),
        (
            "dynamodbstreams",
            "arn:a:dynamodb:r:0:table/t/stream/x",
            {"StreamArn": "arn:a:dynamodb:r:0:table/t/stream/x"},
        ),
    ],
)
def test_the_bare_loop_reads_every_shard_to_its_end(streams, service, arn, named):
    outcome = carry_out(plan(service, arn, 32))
    assert streams.asked == [named]
    assert len(outcome["latencies_ns"]) == 4 + 2


def test_a_bare_loop_that_misses_records_has_failed(streams):
    with pytest.raises(RuntimeError, match="32 records of 33"):
        carry_out(plan("kinesis", "arn:aws:kinesis:us-east-1:0:stream/orders", 33))


class FakeSqs:
    def __init__(self, *left):
        self.left = list(left)
        self.received = []

    def get_queue_attributes(self, **_arguments):
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return {"Attributes": dict(zip(names, (str(self.left.pop(0)), "1"), strict=True))}

    def receive_message(self, *, MaxNumberOfMessages, **_arguments):  # noqa: N803 - AWS's word
        self.received.append(MaxNumberOfMessages)
        return {"Messages": [{"ReceiptHandle": "r"}] * MaxNumberOfMessages} if len(self.received) < 3 else {}

    def delete_message_batch(self, **_arguments):
        pass


def test_who_waits_for_a_queue_looks_at_it_rarely(monkeypatch):
    pauses = []
    monkeypatch.setattr(queues, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=pauses.append))
    Queues(url="", sqs=FakeSqs(5, 3, 1)).wait_below("q", 3)
    assert pauses == [queues.LOOK_SECONDS] * 2
    assert queues.LOOK_SECONDS >= 0.05


def test_a_queue_that_does_not_become_empty_is_told(monkeypatch):
    moments = iter((0.0, 1.0, 1000.0))
    monkeypatch.setattr(queues, "time", SimpleNamespace(monotonic=lambda: next(moments), sleep=lambda _seconds: None))
    with pytest.raises(ContenderFailed, match="are still in q"):
        Queues(url="", sqs=FakeSqs(5, 5)).wait_below("q", 1)


@pytest.mark.parametrize("at_once", [1, 10])
def test_the_bare_loop_of_a_queue_takes_as_many_at_once_as_it_is_told(at_once):
    fake = FakeSqs()
    assert Queues(url="", sqs=fake).drain_by_hand("q", at_once=at_once) == 2 * at_once
    assert set(fake.received) == {at_once}


def test_each_size_of_a_batch_is_a_point_of_a_curve_next_to_the_bare_loop():
    for one, sizes in ((curve(), BATCHES), (sqs._curve(), sqs.BATCH_SIZES)):
        assert all([point.at for point in line.points] == list(sizes) for line in one.lines)
        assert {line.name for line in one.lines} == {"server", "bare loop"}
    assert {point.metric for line in curve().lines for point in line.points} == {metric(batch) for batch in BATCHES}
