"""The contract of ``polling.QueueSource`` for both engines of Amazon MQ, on real brokers."""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.active_mq_event import ActiveMQEvent
from aws_lambda_powertools.utilities.data_classes.rabbit_mq_event import RabbitMQEvent

from rie_server.clock.system import SystemClock
from rie_server.errors import SourceError
from rie_server.model.event_source import SourceRecord
from rie_server.pollers.event_json import event_json
from rie_server.polling import QueueSource
from tests.contract.brokers import ARN, ActiveMq, Broker, RabbitMq
from tests.servers.activemq import ActiveMqServer
from tests.servers.rabbitmq import RabbitMqServer


@pytest.fixture(scope="module")
def clock() -> Iterator[SystemClock]:
    clock = SystemClock()
    clock.start()
    yield clock
    clock.close()


@pytest.fixture(scope="module")
def rabbitmq_server() -> Iterator[RabbitMqServer]:
    with RabbitMqServer() as server:
        yield server


@pytest.fixture(scope="module")
def activemq_server() -> Iterator[ActiveMqServer]:
    with ActiveMqServer() as server:
        yield server


@pytest.fixture
def rabbitmq(rabbitmq_server: RabbitMqServer, clock: SystemClock) -> RabbitMq:
    return RabbitMq(rabbitmq_server, clock)


@pytest.fixture
def activemq(activemq_server: ActiveMqServer, clock: SystemClock, monkeypatch: pytest.MonkeyPatch) -> ActiveMq:
    return ActiveMq(activemq_server, clock, monkeypatch)


@pytest.fixture(params=["rabbitmq", "activemq"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def queue() -> str:
    return f"orders-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def open_source() -> Iterator[Callable[..., QueueSource]]:
    sources: list[QueueSource] = []

    def make(broker: Broker, queue: str, **options: Any) -> QueueSource:
        sources.append(broker.source(queue, **options))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def taken(source: QueueSource, count: int) -> list[SourceRecord]:
    """``count`` records, or what has come until none comes any more."""
    records: list[SourceRecord] = []
    while len(records) < count and (more := source.receive(count - len(records), 5.0)):
        records += more
    return records


def bodies(records: list[SourceRecord]) -> list[bytes]:
    return [base64.b64decode(record.read_document()["data"]) for record in records]


def refusal(source: QueueSource) -> SourceError:
    with pytest.raises(SourceError) as refused:
        source.receive(1, 1.0)
    return refused.value


def loss(source: QueueSource) -> SourceError:
    """The refusal after what had arrived before."""
    while True:
        try:
            source.receive(50, 1.0)
        except SourceError as lost:
            return lost


def test_messages_come_in_order_as_they_were_sent(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    sent = [f"order {number}".encode() for number in range(50)]
    broker.server.publish(queue, sent)

    records = taken(open_source(broker, queue), len(sent))

    assert bodies(records) == sent
    assert [record.payload for record in records] == sent
    assert not any(record.read_document()["redelivered"] for record in records)


def test_an_acknowledged_message_never_comes_again(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    broker.server.publish(queue, [b"a", b"b"])
    source = open_source(broker, queue)
    assert source.acknowledge(taken(source, 1)) == []
    source.close()

    assert bodies(taken(open_source(broker, queue), 1)) == [b"b"]


def test_messages_may_be_acknowledged_in_any_order_and_others_stay(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    broker.server.publish(queue, [b"a", b"b", b"c", b"d", b"e"])
    source = open_source(broker, queue)
    a, b, c, d, _ = taken(source, 5)
    assert source.acknowledge([d, b]) == []
    assert source.acknowledge([c, a]) == []
    source.close()

    again = open_source(broker, queue)
    assert bodies(taken(again, 1)) == [b"e"]
    assert list(again.receive(1, 0.2)) == []


def test_what_was_not_acknowledged_goes_back_when_the_source_is_closed(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    broker.server.publish(queue, [b"a", b"b"])
    source = open_source(broker, queue)
    assert len(taken(source, 2)) == 2
    source.close()

    again = taken(open_source(broker, queue), 2)
    assert bodies(again) == [b"a", b"b"]
    assert again[0].read_document()["redelivered"]


def test_a_message_that_was_released_comes_again_and_says_so(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    broker.server.publish(queue, [b"a"])
    source = open_source(broker, queue)
    source.release(taken(source, 1))

    (again,) = taken(source, 1)
    assert bodies([again]) == [b"a"]
    assert again.read_document()["redelivered"]


def test_an_empty_queue_is_waited_for_and_then_nothing_comes(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    broker.server.create_queue(queue)
    assert list(open_source(broker, queue).receive(10, 0.05)) == []


def test_a_message_that_comes_meanwhile_ends_the_wait(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    broker.server.create_queue(queue)
    source = open_source(broker, queue)
    assert list(source.receive(1, 0.05)) == []
    sender = threading.Thread(target=broker.server.publish, args=(queue, [b"a"]), name="sender")
    sender.start()
    assert bodies(taken(source, 1)) == [b"a"]
    sender.join()


def test_a_wrong_password_is_told_and_no_reason_to_hurry(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    broker.server.create_queue(queue)
    refused = refusal(open_source(broker, queue, password="wrong"))

    assert str(refused).startswith("EVENT_SOURCE_AUTHN_ERROR: Lambda failed to authenticate the event source.")
    assert not refused.passes


def test_nothing_is_lost_when_the_broker_is_killed(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    sent = [f"order {number}".encode() for number in range(300)]
    broker.server.publish(queue, sent)
    source = open_source(broker, queue, batch_size=50)
    seen = taken(source, 100)
    assert source.acknowledge(seen[:50]) == []

    broker.server.kill()
    assert loss(source).passes
    assert source.acknowledge(seen[50:]) == seen[50:]
    assert refusal(source).passes
    broker.server.start()

    rest = []
    while more := source.receive(50, 2.0):
        rest += more
        assert source.acknowledge(more) == []
    assert set(bodies(seen[:50])) | set(bodies(rest)) == set(sent)
    order = [int(body.split()[1]) for body in bodies(rest)]
    assert order == sorted(order)


# --- RabbitMQ ---------------------------------------------------------------------------------------------------------


def test_a_connection_that_is_given_up_takes_no_messages_once_the_broker_answers_again(
    broker: Broker, queue: str, open_source: Callable[..., QueueSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [str(number).encode() for number in range(20)]
    broker.server.publish(queue, sent)
    source = open_source(broker, queue)
    with monkeypatch.context() as impatient:
        impatient.setattr(f"rie_server.sources.{broker.name}_connection.CONNECT_SECONDS", 0.5)
        broker.server.pause()
        try:
            assert "does not answer" in str(refusal(source))
        finally:
            broker.server.resume()
    time.sleep(0.5)  # in which a connection that was left alone would be opened
    found = taken(source, len(sent))
    assert sorted(bodies(found), key=int) == sent


def test_a_queue_that_could_be_consumed_too_late_is_not(
    rabbitmq: RabbitMq, queue: str, open_source: Callable[..., QueueSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rie_server.sources.rabbitmq_connection import RabbitMqConnection  # noqa: PLC0415 - an extra

    look = RabbitMqConnection._look
    rabbitmq.server.publish(queue, [b"1", b"2"])
    source = open_source(rabbitmq, queue)
    with monkeypatch.context() as slow:
        slow.setattr("rie_server.sources.rabbitmq_connection.CONNECT_SECONDS", 0.5)
        slow.setattr(
            RabbitMqConnection, "_look", lambda self: self._connection.ioloop.call_later(0.8, lambda: look(self))
        )
        assert "does not answer" in str(refusal(source))
    time.sleep(0.5)
    assert bodies(taken(source, 2)) == [b"1", b"2"]


def test_a_missing_queue_is_told_and_found_once_it_is_there(
    rabbitmq: RabbitMq, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    source = open_source(rabbitmq, queue)
    assert f"NOT_FOUND - no queue '{queue}' in vhost '/'" in str(refusal(source))

    rabbitmq.server.publish(queue, [b"a"])
    assert bodies(taken(source, 1)) == [b"a"]


def test_a_queue_that_is_deleted_is_told(
    rabbitmq: RabbitMq, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    rabbitmq.server.create_queue(queue)
    source = open_source(rabbitmq, queue)
    assert list(source.receive(1, 0.05)) == []
    connection = rabbitmq.server.connect()
    connection.channel().queue_delete(queue)
    connection.close()

    assert f"The queue {queue} was deleted." in str(refusal(source))


def test_a_rabbitmq_event_has_awss_shape(
    rabbitmq: RabbitMq, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    rabbitmq.server.publish(
        queue,
        [b'{"id": 1}'],
        content_type="text/plain",
        headers={"header1": "val", "count": 10},
        priority=3,
        expiration="60000",
        timestamp=2021,
        user_id="guest",
    )
    source = open_source(rabbitmq, queue)
    event = json.loads(event_json(source.event(taken(source, 1))))

    parsed = RabbitMQEvent(event)
    assert (parsed.event_source, parsed.event_source_arn) == ("aws:rmq", ARN)
    (message,) = parsed.rmq_messages_by_queue[f"{queue}::/"]
    assert message.json_data == {"id": 1}
    assert event["rmqMessagesByQueue"][f"{queue}::/"][0]["basicProperties"] == {
        "contentType": "text/plain",
        "contentEncoding": None,
        "headers": {"header1": {"bytes": [118, 97, 108]}, "count": 10},
        "deliveryMode": 2,
        "priority": 3,
        "correlationId": None,
        "replyTo": None,
        "expiration": "60000",
        "messageId": None,
        "timestamp": "Jan 1, 1970, 12:33:41 AM",
        "type": None,
        "userId": "guest",
        "appId": None,
        "clusterId": None,
        "bodySize": 9,
    }


def test_messages_of_every_size_come_in_their_order(
    rabbitmq: RabbitMq, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    sizes = [0, 1, 200, 5_000, 131_064, 131_065, 0, 400_000, 200, 1]
    rabbitmq.server.publish(queue, [bytes([number]) * size for number, size in enumerate(sizes)])
    source = open_source(rabbitmq, queue)
    records = taken(source, len(sizes))
    assert bodies(records) == [bytes([number]) * size for number, size in enumerate(sizes)]
    assert not source.acknowledge(records)


# --- ActiveMQ ---------------------------------------------------------------------------------------------------------


def test_an_activemq_event_has_awss_shape(
    activemq: ActiveMq, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    activemq.server.publish(queue, [b'{"id": 1}'], index="1", priority="7", **{"correlation-id": "c-1"})
    activemq.server.publish(queue, [b"\x00\x01"], **{"content-length": 2})
    source = open_source(activemq, queue)
    event = source.event(taken(source, 2))

    parsed = ActiveMQEvent(event)
    assert (parsed.event_source, parsed.event_source_arn) == ("aws:mq", ARN)
    text, binary = parsed.messages
    assert (text.message_type, binary.message_type) == ("jms/text-message", "jms/bytes-message")
    assert text.json_data == {"id": 1}
    assert text.destination_physicalname == queue
    assert (text.delivery_mode, text.priority, text.properties) == (2, 7, {"index": "1"})
    assert event["messages"][0]["correlationId"] == "c-1"


def test_a_message_that_fails_seven_times_goes_to_the_dead_letter_queue(
    activemq: ActiveMq, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    activemq.server.publish(queue, [b"poison"])
    source = open_source(activemq, queue)
    for _ in range(7):
        source.release(taken(source, 1))

    assert list(source.receive(1, 0.2)) == []
    assert bodies(taken(open_source(activemq, "ActiveMQ.DLQ"), 1)) == [b"poison"]


def test_a_message_that_nobody_tried_has_not_failed_however_often_it_is_given_back(
    activemq: ActiveMq, queue: str, open_source: Callable[..., QueueSource]
) -> None:
    activemq.server.publish(queue, [b"a"])
    source = open_source(activemq, queue)
    for _ in range(6):
        source.release(taken(source, 1))
    for _ in range(3):
        source.release(taken(source, 1), failed=False)

    (last,) = taken(source, 1)
    assert bodies([last]) == [b"a"]
    source.release([last])
    assert list(source.receive(1, 0.2)) == []
    dead, found = open_source(activemq, "ActiveMQ.DLQ"), list[bytes]()
    while b"a" not in found and (more := dead.receive(1, 5.0)):
        found += bodies(list(more))
    assert b"a" in found
