"""Amazon MQ for ActiveMQ through boto3: a real broker, a real server, a function that writes down what it gets."""

from collections.abc import Callable, Iterator

import pytest
from aws_lambda_powertools.utilities.data_classes.active_mq_event import ActiveMQEvent

from tests.conftest import wait_until
from tests.integration.event_sources.broker_story import ARN, BrokerStory, bodies, broker_story, numbers
from tests.integration.event_sources.recording import settled, wait_for_result
from tests.servers.activemq import ActiveMqServer

Mapped = Callable[..., str]


@pytest.fixture(scope="module")
def broker() -> ActiveMqServer:
    return ActiveMqServer()


@pytest.fixture(scope="module")
def story(broker: ActiveMqServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerStory]:
    with broker_story(broker, tmp_path_factory.mktemp("activemq")) as story:
        yield story


@pytest.fixture
def mapped(story: BrokerStory) -> Iterator[Mapped]:
    """Creates mappings that end with the test."""
    with story.mappings() as create:
        yield lambda recorder, queue, **members: create(recorder, **story.members(queue, **members))


@pytest.fixture
def queue(story: BrokerStory) -> str:
    return story.new_queue()


def test_messages_reach_the_function_as_aws_sends_them(
    broker: ActiveMqServer, story: BrokerStory, mapped: Mapped, queue: str
) -> None:
    recorder = story.recorder()
    broker.publish(queue, [b'{"id": 1}'], index="1", priority="7", **{"correlation-id": "c-1"})
    broker.publish(queue, [b"\x00\x01"], **{"content-length": 2})
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
    assert wait_for_result(story.client, name, lambda said: said == "OK")


def test_what_fails_seven_times_goes_to_the_brokers_dead_letter_queue(
    broker: ActiveMqServer, story: BrokerStory, mapped: Mapped, queue: str
) -> None:
    recorder = story.recorder()
    recorder.fail()
    broker.publish(queue, [b"7"])
    mapped(recorder, queue, MaximumBatchingWindowInSeconds=0)

    assert broker.taken("ActiveMQ.DLQ", 20.0) == [b"7"]
    assert len(recorder.failures) == 7
    assert recorder.events == []


def test_a_message_of_a_throttled_function_waits_and_survives_a_pause(
    broker: ActiveMqServer, story: BrokerStory, mapped: Mapped, queue: str
) -> None:
    recorder = story.recorder()
    story.client.put_function_concurrency(FunctionName=recorder.name, ReservedConcurrentExecutions=0)
    name = mapped(recorder, queue)
    broker.publish(queue, [b"1"])
    assert wait_for_result(story.client, name, lambda said: "Rate Exceeded" in said)
    story.client.update_event_source_mapping(UUID=name, Enabled=False)
    assert settled(story.client, name)["State"] == "Disabled"

    story.client.update_event_source_mapping(UUID=name, Enabled=True)
    assert wait_for_result(story.client, name, lambda said: "Rate Exceeded" in said)
    story.client.delete_function_concurrency(FunctionName=recorder.name)
    wait_until(lambda: numbers(recorder.events) == [1], seconds=20, what="the message")
