"""Amazon MQ for RabbitMQ through boto3: a real broker, a real server, a function that writes down what it gets."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.rabbit_mq_event import RabbitMQEvent

from tests.conftest import wait_until
from tests.integration.event_sources.broker_story import ARN, BrokerStory, bodies, broker_story, numbers
from tests.integration.event_sources.recording import wait_for_result
from tests.servers.rabbitmq import USER, RabbitMqServer

Mapped = Callable[..., str]


@pytest.fixture(scope="module")
def broker() -> RabbitMqServer:
    return RabbitMqServer()


@pytest.fixture(scope="module")
def story(broker: RabbitMqServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerStory]:
    with broker_story(broker, tmp_path_factory.mktemp("rabbitmq")) as story:
        yield story


@pytest.fixture
def mapped(story: BrokerStory) -> Iterator[Mapped]:
    """Creates mappings that end with the test."""
    with story.mappings() as create:
        yield lambda recorder, queue, *access, **members: create(recorder, **story.members(queue, *access, **members))


def test_messages_reach_the_function_as_aws_sends_them(
    broker: RabbitMqServer, story: BrokerStory, mapped: Mapped
) -> None:
    queue, recorder = story.new_queue(), story.recorder()
    properties: dict[str, Any] = {"content_type": "application/json", "headers": {"kind": "new"}, "timestamp": 2021}
    broker.publish(queue, [b'{"id": 1}', b'{"id": 2}'], **properties)
    name = mapped(recorder, queue)
    wait_until(lambda: len(bodies(recorder.events)) == 2, what="two messages")

    event = recorder.events[0]
    parsed = RabbitMQEvent(event)
    assert (parsed.event_source, parsed.event_source_arn) == ("aws:rmq", ARN)
    assert list(parsed.rmq_messages_by_queue) == [f"{queue}::/"]
    messages = [one for each in recorder.events for one in RabbitMQEvent(each).rmq_messages_by_queue[f"{queue}::/"]]
    assert [one.json_data for one in messages] == [{"id": 1}, {"id": 2}]
    assert messages[0].basic_properties.headers == {"kind": {"bytes": [110, 101, 119]}}
    assert messages[0].basic_properties.timestamp == "Jan 1, 1970, 12:33:41 AM"
    assert not messages[0].redelivered
    assert wait_for_result(story.client, name, lambda said: said == "OK")
    wait_until(lambda: broker.waiting(queue) == 0, what="the queue to be empty")


def test_a_message_that_no_event_can_hold_is_dropped_and_stands_in_nobodys_way(
    broker: RabbitMqServer, story: BrokerStory, mapped: Mapped
) -> None:
    queue, recorder = story.new_queue(), story.recorder()
    broker.publish(queue, [b"1", b"x" * 5_000_000])
    name = mapped(recorder, queue)
    said = wait_for_result(story.client, name, lambda said: "dropped" in said or said == "OK")
    broker.publish(queue, [b"2"])
    wait_until(lambda: numbers(recorder.events) == [1, 2], what="the small ones")

    assert said in ("OK", "PROBLEM: A message that is larger than 6 MB as an event was dropped.")
    assert "larger than 6 MB as an event was dropped" in story.rie.output
    wait_until(lambda: broker.waiting(queue) == 0, what="the queue to be empty")


def test_a_queue_of_a_virtual_host_is_another_than_the_one_of_the_same_name(
    broker: RabbitMqServer, story: BrokerStory, mapped: Mapped
) -> None:
    queue, recorder, host = story.new_queue(), story.recorder(), f"shop-{uuid.uuid4().hex[:8]}"
    broker.control("add_vhost", host)
    broker.control("set_permissions", "-p", host, USER, ".*", ".*", ".*")
    broker.publish(queue, [b"1"])
    broker.publish(queue, [b"2"], virtual_host=host)
    mapped(recorder, queue, {"Type": "VIRTUAL_HOST", "URI": host})
    wait_until(lambda: numbers(recorder.events) == [2], what="the virtual host's message")

    assert list(recorder.events[0]["rmqMessagesByQueue"]) == [f"{queue}::{host}"]
    assert broker.waiting(queue) == 1


def test_a_virtual_host_that_is_missing_or_closed_is_told_until_it_is_open(
    broker: RabbitMqServer, story: BrokerStory, mapped: Mapped
) -> None:
    queue, recorder, host = "orders", story.recorder(), f"later-{uuid.uuid4().hex[:8]}"
    name = mapped(recorder, queue, {"Type": "VIRTUAL_HOST", "URI": host})
    assert wait_for_result(story.client, name, lambda said: said.startswith("PROBLEM: ") and host in said)
    broker.control("add_vhost", host)
    broker.control("set_permissions", "-p", host, USER, "^$", "^$", "^$")
    assert wait_for_result(story.client, name, lambda said: "EVENT_SOURCE_AUTHZ_ERROR" in said or "NOT_FOUND" in said)

    broker.control("set_permissions", "-p", host, USER, ".*", ".*", ".*")
    broker.publish(queue, [b"1"], virtual_host=host)
    wait_until(lambda: numbers(recorder.events) == [1], seconds=40, what="the message")


def test_a_missing_queue_is_told_until_it_is_there(broker: RabbitMqServer, story: BrokerStory, mapped: Mapped) -> None:
    queue, recorder = f"later-{uuid.uuid4().hex[:8]}", story.recorder()
    name = mapped(recorder, queue)
    said = wait_for_result(story.client, name, lambda said: said.startswith("PROBLEM: "))
    assert f"NOT_FOUND - no queue '{queue}' in vhost '/'" in said

    broker.publish(queue, [b"1"])
    wait_until(lambda: numbers(recorder.events) == [1], seconds=20, what="the message")


def test_a_queue_that_is_deleted_is_told_and_consumed_again_once_it_is_back(
    broker: RabbitMqServer, story: BrokerStory, mapped: Mapped
) -> None:
    queue, recorder = story.new_queue(), story.recorder()
    broker.publish(queue, [b"1"])
    name = mapped(recorder, queue)
    wait_until(lambda: numbers(recorder.events) == [1], what="the first message")
    broker.delete_queue(queue)
    assert wait_for_result(story.client, name, lambda said: said.startswith("PROBLEM: ") and queue in said)

    broker.publish(queue, [b"2"])
    wait_until(lambda: numbers(recorder.events) == [1, 2], seconds=30, what="the message of the new queue")
    assert wait_for_result(story.client, name, lambda said: said == "OK")
