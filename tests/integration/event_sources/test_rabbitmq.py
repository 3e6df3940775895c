"""Amazon MQ for RabbitMQ through boto3: a real broker, a real server, a function that writes down what it gets."""

import base64
import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.rabbit_mq_event import RabbitMQEvent

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
from tests.integration.invoke.deploying import error_of
from tests.servers.moto import REGION, MotoServer
from tests.servers.rabbitmq import PASSWORD, USER, RabbitMqServer

ARN = f"arn:aws:mq:{REGION}:123456789012:broker:orders:b-1234"
# How many messages survive the crashes; a longer run proves more.
MESSAGES = int(os.environ.get("BROKER_MESSAGES", "2000"))


class Setting:
    """
    Attributes:
        client: of the Lambda API.
    """

    def __init__(self, broker: RabbitMqServer, moto: MotoServer, rie: RieServer, folder: Path) -> None:
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

    def new_queue(self) -> str:
        name = f"orders-{uuid.uuid4().hex[:8]}"
        self.publish(name, [])
        return name

    def publish(self, queue: str, bodies: list[bytes], **properties: Any) -> None:
        """Returns once all are stored."""
        import pika  # noqa: PLC0415 - an extra

        connection = self.broker.connect()
        channel = connection.channel()
        channel.queue_declare(queue, durable=True)
        channel.tx_select()
        for body in bodies:
            channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties))
        channel.tx_commit()
        connection.close()

    def waiting(self, queue: str) -> int:
        """Messages that the broker holds and has given to nobody."""
        connection = self.broker.connect()
        count = connection.channel().queue_declare(queue, passive=True).method.message_count
        connection.close()
        return int(count)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("rabbitmq")
    with RabbitMqServer() as broker, MotoServer() as moto:
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


def bodies(events: list[dict[str, Any]]) -> list[bytes]:
    return [
        base64.b64decode(message["data"])
        for event in events
        for messages in event["rmqMessagesByQueue"].values()
        for message in messages
    ]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [int(body) for body in bodies(events)]


def test_messages_reach_the_function_as_aws_sends_them(setting: Setting, mapped: Callable[..., str]) -> None:
    queue, recorder = setting.new_queue(), setting.recorder()
    setting.publish(
        queue, [b'{"id": 1}', b'{"id": 2}'], content_type="application/json", headers={"kind": "new"}, timestamp=2021
    )
    name = mapped(recorder, queue)
    wait_until(lambda: len(bodies(recorder.events)) == 2, what="two messages")

    event = recorder.events[0]
    parsed = RabbitMQEvent(event)
    assert (parsed.event_source, parsed.event_source_arn) == ("aws:rmq", ARN)
    assert list(parsed.rmq_messages_by_queue) == [f"{queue}::/"]
    messages = [one for each in recorder.events for one in RabbitMQEvent(each).rmq_messages_by_queue[f"{queue}::/"]]
    assert [one.json_data for one in messages] == [{"id": 1}, {"id": 2}]
    assert messages[0].basic_properties.headers == {"kind": {"bytes": [110, 101, 119]}}
    assert not messages[0].redelivered
    assert wait_for_result(setting.client, name, lambda said: said == "OK")
    wait_until(lambda: setting.waiting(queue) == 0, what="the queue to be empty")


def test_a_batch_that_fails_goes_back_and_comes_again(setting: Setting, mapped: Callable[..., str]) -> None:
    queue, recorder = setting.new_queue(), setting.recorder()
    recorder.fail()
    setting.publish(queue, [b"1", b"2"])
    name = mapped(recorder, queue)
    wait_until(lambda: len(bodies(recorder.failures)) >= 4, what="the second failure")
    assert wait_for_result(setting.client, name, lambda said: said == "PROBLEM: Function call failed")
    recorder.succeed()
    wait_until(lambda: len(bodies(recorder.events)) == 2, what="success")

    assert numbers(recorder.events) == [1, 2]
    assert recorder.events[0]["rmqMessagesByQueue"][f"{queue}::/"][0]["redelivered"] is True


def test_what_no_filter_wants_is_acknowledged_and_never_seen(setting: Setting, mapped: Callable[..., str]) -> None:
    queue, recorder = setting.new_queue(), setting.recorder()
    pattern = json.dumps({"data": {"price": [{"numeric": [">", 10]}]}})
    mapped(recorder, queue, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    setting.publish(queue, [b'{"price": 5}', b'{"price": 50}', b"no JSON", b'{"price": 51}'])
    wait_until(lambda: len(bodies(recorder.events)) == 2, what="two messages")

    assert bodies(recorder.events) == [b'{"price": 50}', b'{"price": 51}']
    wait_until(lambda: setting.waiting(queue) == 0, what="the queue to be empty")


def test_a_disabled_mapping_takes_nothing_and_goes_on_once_enabled(
    setting: Setting, mapped: Callable[..., str]
) -> None:
    queue, recorder = setting.new_queue(), setting.recorder()
    name = mapped(recorder, queue)
    setting.publish(queue, [b"1"])
    wait_until(lambda: numbers(recorder.events) == [1], what="the first message")

    setting.client.update_event_source_mapping(UUID=name, Enabled=False)
    assert settled(setting.client, name)["State"] == "Disabled"
    setting.publish(queue, [b"2", b"3"])
    assert setting.waiting(queue) == 2

    setting.client.update_event_source_mapping(UUID=name, Enabled=True)
    wait_until(lambda: numbers(recorder.events) == [1, 2, 3], what="the rest")


def test_a_deleted_mapping_leaves_the_queue_alone(setting: Setting) -> None:
    queue, recorder = setting.new_queue(), setting.recorder()
    name = create_mapping(setting.client, recorder, **setting.members(queue))
    delete_mapping(setting.client, name)
    setting.publish(queue, [b"1"])

    assert setting.waiting(queue) == 1
    assert recorder.events == []


def test_a_message_that_no_event_can_hold_is_dropped_and_stands_in_nobodys_way(
    setting: Setting, mapped: Callable[..., str]
) -> None:
    queue, recorder = setting.new_queue(), setting.recorder()
    setting.publish(queue, [b"1", b"x" * 5_000_000])
    name = mapped(recorder, queue)
    said = wait_for_result(setting.client, name, lambda said: "dropped" in said or said == "OK")
    setting.publish(queue, [b"2"])
    wait_until(lambda: numbers(recorder.events) == [1, 2], what="the small ones")

    assert said in ("OK", "PROBLEM: A message that is larger than 6 MB as an event was dropped.")
    assert "larger than 6 MB as an event was dropped" in setting.rie.output
    wait_until(lambda: setting.waiting(queue) == 0, what="the queue to be empty")


# --- crashes ----------------------------------------------------------------------------------------------------------


def test_nothing_is_lost_when_the_broker_is_killed(setting: Setting, mapped: Callable[..., str]) -> None:
    queue, recorder = setting.new_queue(), setting.recorder(seconds=0.02)
    name = mapped(recorder, queue, BatchSize=50)
    setting.publish(queue, [str(number).encode() for number in range(MESSAGES)])
    wait_until(lambda: len(numbers(recorder.events)) >= MESSAGES // 4, seconds=60, what="a quarter")
    setting.broker.kill()
    assert wait_for_result(setting.client, name, lambda said: said.startswith("PROBLEM: The "))
    setting.broker.start()
    wait_until(lambda: len(set(numbers(recorder.events))) == MESSAGES, seconds=60, what="all messages")

    assert first_deliveries(numbers(recorder.events)) == list(range(MESSAGES))


def test_nothing_is_lost_when_the_server_is_killed(setting: Setting, mapped: Callable[..., str]) -> None:
    queue, recorder = setting.new_queue(), setting.recorder(seconds=0.02)
    mapped(recorder, queue, BatchSize=50)
    setting.publish(queue, [str(number).encode() for number in range(MESSAGES)])
    wait_until(lambda: len(numbers(recorder.events)) >= MESSAGES // 4, seconds=60, what="a quarter")
    crash(setting.rie)
    setting.rie.restart()
    wait_until(lambda: len(set(numbers(recorder.events))) == MESSAGES, seconds=60, what="all messages")

    assert first_deliveries(numbers(recorder.events)) == list(range(MESSAGES))


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_until_the_secret_is_corrected(setting: Setting, mapped: Callable[..., str]) -> None:
    queue, recorder, secret = setting.new_queue(), setting.recorder(), setting.new_secret("wrong")
    setting.publish(queue, [b"1"])
    name = mapped(recorder, queue, SourceAccessConfigurations=[{"Type": "BASIC_AUTH", "URI": secret}])
    said = wait_for_result(setting.client, name, lambda said: said.startswith("PROBLEM: "))
    assert "EVENT_SOURCE_AUTHN_ERROR: Lambda failed to authenticate the event source." in said
    assert "wrong" not in said

    setting.change_secret(secret, PASSWORD)
    wait_until(lambda: numbers(recorder.events) == [1], seconds=20, what="the message")
    assert wait_for_result(setting.client, name, lambda said: said == "OK")


def test_a_missing_queue_is_told_until_it_is_there(setting: Setting, mapped: Callable[..., str]) -> None:
    queue, recorder = f"later-{uuid.uuid4().hex[:8]}", setting.recorder()
    name = mapped(recorder, queue)
    said = wait_for_result(setting.client, name, lambda said: said.startswith("PROBLEM: "))
    assert f"NOT_FOUND - no queue '{queue}' in vhost '/'" in said

    setting.publish(queue, [b"1"])
    wait_until(lambda: numbers(recorder.events) == [1], seconds=20, what="the message")


def test_what_amazon_mq_does_not_know_is_refused(setting: Setting) -> None:
    recorder = setting.recorder()

    def refused(**changes: Any) -> tuple[int, str, str]:
        members = {**setting.members("orders"), "FunctionName": recorder.name, **changes}
        given = {name: value for name, value in members.items() if value is not None}
        return error_of(setting.client.create_event_source_mapping, **given)

    wrong = (400, "InvalidParameterValueException")
    status, code, message = refused(Queues=["a", "b"])
    assert (status, code) == (400, "ValidationException")
    assert "Value '[a, b]' at 'queues' failed to satisfy constraint: Member must have length less than or" in message
    for changes, words in [
        ({"Queues": None}, "Required 'queues' parameter is missing."),
        ({"SourceAccessConfigurations": None}, "Required 'sourceAccessConfigurations' parameter is missing."),
        ({"SourceAccessConfigurations": [{"Type": "VIRTUAL_HOST", "URI": "/"}]}, "BASIC_AUTH"),
        ({"StartingPosition": "LATEST"}, "Unsupported 'startingPosition' parameter"),
        ({"SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": f"{setting.secret}x"}]}, "GetSecretValue"),
        ({"EventSourceArn": f"{ARN}-gone"}, "DescribeBroker"),
    ]:
        status, code, message = refused(**changes)
        assert (status, code) == wrong, (changes, message)
        assert words in message, message
