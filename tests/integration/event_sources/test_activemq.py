"""Amazon MQ for ActiveMQ through boto3: a real broker, a real server, a function that writes down what it gets."""

import base64
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.active_mq_event import ActiveMQEvent

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.recording import (
    Recorder,
    create_mapping,
    delete_mapping,
    first_deliveries,
    settled,
    wait_for_result,
)
from tests.integration.events.crashing import crash
from tests.servers.activemq import PASSWORD, USER, ActiveMqServer
from tests.servers.moto import REGION, MotoServer

ARN = f"arn:aws:mq:{REGION}:123456789012:broker:orders:b-5678"
# How many messages survive the crashes; a longer run proves more.
MESSAGES = int(os.environ.get("BROKER_MESSAGES", "2000"))


class Setting:
    """
    Attributes:
        client: of the Lambda API.
    """

    def __init__(self, broker: ActiveMqServer, moto: MotoServer, rie: RieServer, folder: Path) -> None:
        self.broker, self.moto, self.rie, self.folder = broker, moto, rie, folder
        self.client = rie.client()
        self.secret = self.new_secret(PASSWORD)

    def new_secret(self, password: str) -> str:
        text = json.dumps({"username": USER, "password": password})
        made = self.moto.client("secretsmanager").create_secret(Name=f"s-{uuid.uuid4().hex}", SecretString=text)
        return str(made["ARN"])

    def change_secret(self, secret: str, password: str) -> None:
        text = json.dumps({"username": USER, "password": password})
        self.moto.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=text)

    def recorder(self, **options: Any) -> Recorder:
        name = f"orders-{uuid.uuid4().hex[:8]}"
        return Recorder(self.client, name, self.folder / name, **options)

    def members(self, queue: str, **members: Any) -> dict[str, Any]:
        """Of CreateEventSourceMapping, for ``queue``."""
        access = [{"Type": "BASIC_AUTH", "URI": self.secret}]
        return {"EventSourceArn": ARN, "Queues": [queue], "SourceAccessConfigurations": access, **members}

    def publish(self, queue: str, bodies: list[bytes], **headers: Any) -> None:
        """Returns once all are stored: the receipt of a commit comes after that."""
        import stomp  # noqa: PLC0415 - an extra

        stored = threading.Event()

        class Receipts(stomp.ConnectionListener):
            def on_receipt(self, frame: Any) -> None:
                stored.set()

        connection = self.broker.connect()
        connection.set_listener("receipts", Receipts())
        transaction = connection.begin()
        for body in bodies:
            connection.send(f"/queue/{queue}", body, headers={"persistent": "true", **headers}, transaction=transaction)
        connection.commit(transaction, receipt="stored")
        assert stored.wait(30)
        connection.disconnect("bye")
        connection.transport.receiver_thread.join(5)

    def taken(self, queue: str, seconds: float) -> list[bytes]:
        """What a consumer of the test's own gets from ``queue`` in this time."""
        import stomp  # noqa: PLC0415 - an extra

        found: list[bytes] = []
        came = threading.Event()

        class Messages(stomp.ConnectionListener):
            def on_message(self, frame: Any) -> None:
                found.append(str(frame.body).encode())
                came.set()

        connection = self.broker.connect()
        connection.set_listener("messages", Messages())
        connection.subscribe(f"/queue/{queue}", "1", ack="auto")
        came.wait(seconds)
        connection.disconnect("bye")
        connection.transport.receiver_thread.join(5)
        return found


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("activemq")
    with ActiveMqServer() as broker, MotoServer() as moto:
        rie = RieServer(folder, environ=moto.environ, region=REGION, clock_speed=10, mq_endpoints=f"{ARN}={broker.url}")
        rie.wait_ready()
        try:
            yield Setting(broker, moto, rie, folder)
        finally:
            rie.stop()


@pytest.fixture
def mapped(setting: Setting) -> Iterator[Callable[..., str]]:
    """Creates mappings that end with the test."""
    made: list[str] = []

    def create(recorder: Recorder, queue: str, **members: Any) -> str:
        made.append(create_mapping(setting.client, recorder, **setting.members(queue, **members)))
        return made[-1]

    yield create
    for one in made:
        setting.client.delete_event_source_mapping(UUID=one)


@pytest.fixture
def queue() -> str:
    """ActiveMQ makes a queue when somebody asks for it."""
    return f"orders-{uuid.uuid4().hex[:8]}"


def bodies(events: list[dict[str, Any]]) -> list[bytes]:
    return [base64.b64decode(message["data"]) for event in events for message in event["messages"]]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [int(body) for body in bodies(events)]


def test_messages_reach_the_function_as_aws_sends_them(
    setting: Setting, mapped: Callable[..., str], queue: str
) -> None:
    recorder = setting.recorder()
    setting.publish(queue, [b'{"id": 1}'], index="1", priority="7", **{"correlation-id": "c-1"})
    setting.publish(queue, [b"\x00\x01"], **{"content-length": 2})
    name = mapped(recorder, queue)
    wait_until(lambda: len(bodies(recorder.events)) == 2, what="two messages")

    parsed = [ActiveMQEvent(event) for event in recorder.events]
    assert (parsed[0].event_source, parsed[0].event_source_arn) == ("aws:mq", ARN)
    text, binary = (message for event in parsed for message in event.messages)
    assert (text.message_type, binary.message_type) == ("jms/text-message", "jms/bytes-message")
    assert text.json_data == {"id": 1}
    assert text.destination_physicalname == queue
    assert (text.delivery_mode, text.priority, text.properties) == (2, 7, {"index": "1"})
    assert not text.redelivered
    assert wait_for_result(setting.client, name, lambda said: said == "OK")


def test_a_batch_that_fails_comes_again(setting: Setting, mapped: Callable[..., str], queue: str) -> None:
    recorder = setting.recorder()
    recorder.fail()
    setting.publish(queue, [b"1", b"2"])
    name = mapped(recorder, queue)
    wait_until(lambda: len(bodies(recorder.failures)) >= 4, what="the second failure")
    assert wait_for_result(setting.client, name, lambda said: said == "PROBLEM: Function call failed")
    recorder.succeed()
    wait_until(lambda: len(bodies(recorder.events)) == 2, what="success")

    assert sorted(numbers(recorder.events)) == [1, 2]
    assert recorder.events[0]["messages"][0]["redelivered"] is True


def test_what_fails_seven_times_goes_to_the_brokers_dead_letter_queue(
    setting: Setting, mapped: Callable[..., str], queue: str
) -> None:
    recorder = setting.recorder()
    recorder.fail()
    setting.publish(queue, [b"7"])
    mapped(recorder, queue, MaximumBatchingWindowInSeconds=0)

    assert setting.taken("ActiveMQ.DLQ", 20.0) == [b"7"]
    assert len(recorder.failures) == 7
    assert recorder.events == []


def test_a_message_of_a_throttled_function_waits_and_survives_a_pause(
    setting: Setting, mapped: Callable[..., str], queue: str
) -> None:
    recorder = setting.recorder()
    setting.client.put_function_concurrency(FunctionName=recorder.name, ReservedConcurrentExecutions=0)
    name = mapped(recorder, queue)
    setting.publish(queue, [b"1"])
    assert wait_for_result(setting.client, name, lambda said: "Rate Exceeded" in said)
    setting.client.update_event_source_mapping(UUID=name, Enabled=False)
    assert settled(setting.client, name)["State"] == "Disabled"

    setting.client.update_event_source_mapping(UUID=name, Enabled=True)
    assert wait_for_result(setting.client, name, lambda said: "Rate Exceeded" in said)
    setting.client.delete_function_concurrency(FunctionName=recorder.name)
    wait_until(lambda: numbers(recorder.events) == [1], seconds=20, what="the message")


def test_what_no_filter_wants_is_acknowledged_and_never_seen(
    setting: Setting, mapped: Callable[..., str], queue: str
) -> None:
    recorder = setting.recorder()
    pattern = json.dumps({"data": {"price": [{"numeric": [">", 10]}]}})
    name = mapped(recorder, queue, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    setting.publish(queue, [b'{"price": 5}', b'{"price": 50}', b"no JSON", b'{"price": 51}'])
    wait_until(lambda: len(bodies(recorder.events)) == 2, what="two messages")
    assert bodies(recorder.events) == [b'{"price": 50}', b'{"price": 51}']

    setting.client.update_event_source_mapping(UUID=name, Enabled=False)
    assert settled(setting.client, name)["State"] == "Disabled"
    assert setting.taken(queue, 0.2) == []


def test_a_disabled_mapping_takes_nothing_and_goes_on_once_enabled(
    setting: Setting, mapped: Callable[..., str], queue: str
) -> None:
    recorder = setting.recorder()
    name = mapped(recorder, queue)
    setting.publish(queue, [b"1"])
    wait_until(lambda: numbers(recorder.events) == [1], what="the first message")

    setting.client.update_event_source_mapping(UUID=name, Enabled=False)
    assert settled(setting.client, name)["State"] == "Disabled"
    setting.publish(queue, [b"2", b"3"])

    setting.client.update_event_source_mapping(UUID=name, Enabled=True)
    wait_until(lambda: sorted(numbers(recorder.events)) == [1, 2, 3], what="the rest")


def test_a_deleted_mapping_leaves_the_queue_alone(setting: Setting, queue: str) -> None:
    recorder = setting.recorder()
    name = create_mapping(setting.client, recorder, **setting.members(queue))
    delete_mapping(setting.client, name)
    setting.publish(queue, [b"1"])

    assert setting.taken(queue, 5.0) == [b"1"]
    assert recorder.events == []


# --- crashes ----------------------------------------------------------------------------------------------------------


def test_nothing_is_lost_when_the_broker_is_killed(setting: Setting, mapped: Callable[..., str], queue: str) -> None:
    recorder = setting.recorder(seconds=0.05)
    name = mapped(recorder, queue, BatchSize=50)
    setting.publish(queue, [str(number).encode() for number in range(MESSAGES)])
    wait_until(lambda: len(numbers(recorder.events)) >= MESSAGES // 4, seconds=60, what="a quarter")
    setting.broker.kill()
    assert wait_for_result(setting.client, name, lambda said: said.startswith("PROBLEM: The "))
    setting.broker.start()
    wait_until(lambda: len(set(numbers(recorder.events))) == MESSAGES, seconds=60, what="all messages")

    in_order_in_each_event(recorder)


def test_nothing_is_lost_when_the_server_is_killed(setting: Setting, mapped: Callable[..., str], queue: str) -> None:
    recorder = setting.recorder(seconds=0.05)
    mapped(recorder, queue, BatchSize=50)
    setting.publish(queue, [str(number).encode() for number in range(MESSAGES)])
    wait_until(lambda: len(numbers(recorder.events)) >= MESSAGES // 4, seconds=60, what="a quarter")
    crash(setting.rie)
    setting.rie.restart()
    wait_until(lambda: len(set(numbers(recorder.events))) == MESSAGES, seconds=60, what="all messages")

    in_order_in_each_event(recorder)


def in_order_in_each_event(recorder: Recorder) -> None:
    """Five consumers overtake one another; what each of them gets is in the queue's order."""
    for event in recorder.events:
        found = first_deliveries(numbers([event]))
        assert found == sorted(found)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_until_the_secret_is_corrected(
    setting: Setting, mapped: Callable[..., str], queue: str
) -> None:
    recorder, secret = setting.recorder(), setting.new_secret("wrong")
    setting.publish(queue, [b"1"])
    name = mapped(recorder, queue, SourceAccessConfigurations=[{"Type": "BASIC_AUTH", "URI": secret}])
    said = wait_for_result(setting.client, name, lambda said: said.startswith("PROBLEM: "))
    assert "EVENT_SOURCE_AUTHN_ERROR: Lambda failed to authenticate the event source." in said

    setting.change_secret(secret, PASSWORD)
    wait_until(lambda: numbers(recorder.events) == [1], seconds=20, what="the message")
    assert wait_for_result(setting.client, name, lambda said: said == "OK")
