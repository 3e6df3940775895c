"""What mappings to both engines of Amazon MQ have in common, on real brokers: pauses, failures, crashes, bad input."""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.integration.event_sources.broker_story import ARN, BrokerStory, bodies, broker_story, messages, numbers
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
from tests.servers.activemq import ActiveMqServer
from tests.servers.rabbitmq import RabbitMqServer

# How many messages survive the crashes; a longer run proves more.
MESSAGES = int(os.environ.get("BROKER_MESSAGES", "2000"))
CRASH_SECONDS = 60.0 + MESSAGES / 100


@pytest.fixture(scope="module", params=[RabbitMqServer, ActiveMqServer], ids=["rabbitmq", "activemq"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerStory]:
    with broker_story(request.param(), tmp_path_factory.mktemp("mq")) as story:
        yield story


@pytest.fixture
def mapped(story: BrokerStory) -> Iterator[Callable[..., str]]:
    """Creates mappings that end with the test."""
    with story.mappings() as create:
        yield lambda recorder, queue, **members: create(recorder, **{**story.members(queue), **members})


@pytest.fixture
def queue(story: BrokerStory) -> str:
    return story.new_queue()


@pytest.fixture
def recorder(story: BrokerStory) -> Recorder:
    return story.recorder()


Mapped = Callable[..., str]


def test_a_batch_that_fails_comes_again(story: BrokerStory, mapped: Mapped, queue: str, recorder: Recorder) -> None:
    recorder.fail()
    story.broker.publish(queue, [b"1", b"2"])
    name = mapped(recorder, queue)
    wait_until(lambda: len(bodies(recorder.failures)) >= 4, what="the second failure")
    assert wait_for_result(story.client, name, lambda said: said == "PROBLEM: Function call failed")
    recorder.succeed()
    wait_until(lambda: len(bodies(recorder.events)) == 2, what="success")

    assert sorted(numbers(recorder.events)) == [1, 2]
    assert messages(recorder.events)[0]["redelivered"] is True


def test_what_no_filter_wants_is_acknowledged_and_never_seen(
    story: BrokerStory, mapped: Mapped, queue: str, recorder: Recorder
) -> None:
    pattern = json.dumps({"data": {"price": [{"numeric": [">", 10]}]}})
    name = mapped(recorder, queue, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    story.broker.publish(queue, [b'{"price": 5}', b'{"price": 50}', b"no JSON", b'{"price": 51}'])
    wait_until(lambda: len(bodies(recorder.events)) == 2, what="two messages")
    assert bodies(recorder.events) == [b'{"price": 50}', b'{"price": 51}']

    story.client.update_event_source_mapping(UUID=name, Enabled=False)
    assert settled(story.client, name)["State"] == "Disabled"
    story.broker.publish(queue, [b'{"price": 52}'])
    # What had been left there would come first.
    second = story.recorder()
    mapped(second, queue)
    wait_until(lambda: bodies(second.events) == [b'{"price": 52}'], what="what was sent last")


def test_a_disabled_mapping_takes_nothing_and_goes_on_once_enabled(
    story: BrokerStory, mapped: Mapped, queue: str, recorder: Recorder
) -> None:
    name = mapped(recorder, queue)
    story.broker.publish(queue, [b"1"])
    wait_until(lambda: numbers(recorder.events) == [1], what="the first message")

    story.client.update_event_source_mapping(UUID=name, Enabled=False)
    assert settled(story.client, name)["State"] == "Disabled"
    story.broker.publish(queue, [b"2", b"3"])
    assert numbers(recorder.events) == [1]

    story.client.update_event_source_mapping(UUID=name, Enabled=True)
    wait_until(lambda: sorted(numbers(recorder.events)) == [1, 2, 3], what="the rest")


def test_a_deleted_mapping_leaves_the_queue_alone(
    story: BrokerStory, mapped: Mapped, queue: str, recorder: Recorder
) -> None:
    delete_mapping(story.client, create_mapping(story.client, recorder, **story.members(queue)))
    story.broker.publish(queue, [b"1"])

    second = story.recorder()
    mapped(second, queue)
    wait_until(lambda: numbers(second.events) == [1], what="the message")
    assert recorder.events == []


# --- crashes ----------------------------------------------------------------------------------------------------------


def test_nothing_is_lost_when_the_broker_and_then_the_server_are_killed(
    story: BrokerStory, mapped: Mapped, queue: str
) -> None:
    recorder = story.recorder(seconds=0.02)
    name = mapped(recorder, queue, BatchSize=50)
    story.broker.publish(queue, [str(number).encode() for number in range(MESSAGES)])

    def wait_for(count: int, what: str) -> None:
        wait_until(lambda: len(set(numbers(recorder.events))) >= count, seconds=CRASH_SECONDS, what=what)

    wait_for(MESSAGES // 4, "a quarter")
    story.broker.kill()
    assert wait_for_result(story.client, name, lambda said: said.startswith("PROBLEM: The "))
    story.broker.start()
    wait_for(MESSAGES // 2, "half of the messages")
    crash(story.rie)
    story.rie.restart()
    wait_for(MESSAGES, "every message")

    # ActiveMQ's five consumers overtake one another; what each of them gets is in the queue's order.
    if story.keeps_order:
        assert first_deliveries(numbers(recorder.events)) == list(range(MESSAGES))
    for event in recorder.events:
        found = first_deliveries(numbers([event]))
        assert found == sorted(found)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_until_the_secret_is_corrected(
    story: BrokerStory, mapped: Mapped, queue: str, recorder: Recorder
) -> None:
    secret = story.new_secret("wrong")
    story.broker.publish(queue, [b"1"])
    name = mapped(recorder, queue, SourceAccessConfigurations=[story.basic_auth(secret)])
    said = wait_for_result(story.client, name, lambda said: said.startswith("PROBLEM: "))
    assert "EVENT_SOURCE_AUTHN_ERROR: Lambda failed to authenticate the event source." in said
    assert "wrong" not in said

    story.change_secret(secret, story.password)
    wait_until(lambda: numbers(recorder.events) == [1], seconds=20, what="the message")
    assert wait_for_result(story.client, name, lambda said: said == "OK")


def test_what_amazon_mq_does_not_know_is_refused(story: BrokerStory, recorder: Recorder) -> None:
    def refused(**changes: Any) -> tuple[int, str, str]:
        members = {**story.members("orders"), "FunctionName": recorder.name, **changes}
        given = {name: value for name, value in members.items() if value is not None}
        return error_of(story.client.create_event_source_mapping, **given)

    wrong = (400, "InvalidParameterValueException")
    status, code, message = refused(Queues=["a", "b"])
    assert (status, code) == (400, "ValidationException")
    assert "Value '[a, b]' at 'queues' failed to satisfy constraint: Member must have length less than or" in message
    for changes, words in [
        ({"Queues": None}, "Required 'queues' parameter is missing."),
        ({"SourceAccessConfigurations": None}, "Required 'sourceAccessConfigurations' parameter is missing."),
        ({"SourceAccessConfigurations": [{"Type": "VIRTUAL_HOST", "URI": "/"}]}, "BASIC_AUTH"),
        ({"StartingPosition": "LATEST"}, "Unsupported 'startingPosition' parameter"),
        ({"SourceAccessConfigurations": [story.basic_auth(f"{story.secret}x")]}, "GetSecretValue"),
        ({"EventSourceArn": f"{ARN}-{uuid.uuid4()}"}, "DescribeBroker"),
    ]:
        status, code, message = refused(**changes)
        assert (status, code) == wrong, (changes, message)
        assert words in message, message
