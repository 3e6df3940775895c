"""Mappings to SQS queues, through boto3, against a running server and an emulator of SQS."""

import json
import time

import pytest
import requests
from botocore.exceptions import ClientError

from tests.conftest import wait_until
from tests.integration.event_sources.sqs_bench import SqsBench
from tests.servers.fauxqs import ACCOUNT, REGION

SHORT = {"VisibilityTimeout": "1"}
FIFO = {"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "1"}


def test_messages_reach_the_function_and_leave_the_queue(bench: SqsBench) -> None:
    arn = bench.fauxqs.create_queue("arrive")
    bench.send("arrive", "before")
    uuid = bench.map(arn)
    bench.send("arrive", "after")

    bench.wait_bodies("before", "after")
    bench.wait_empty("arrive")

    mapping = bench.client.get_event_source_mapping(UUID=uuid)
    assert "LastProcessingResult" not in mapping
    assert mapping["StateTransitionReason"] == "USER_INITIATED"


def test_a_failed_message_comes_again_until_the_queue_moves_it(bench: SqsBench) -> None:
    dead = bench.fauxqs.create_queue("redrive-dead")
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 2})
    arn = bench.fauxqs.create_queue("redrive", RedrivePolicy=policy, **SHORT)
    bench.map(arn)
    bench.send("redrive", "fail")

    wait_until(lambda: bench.left("redrive-dead") == 1, seconds=20)
    assert bench.bodies() == ["fail", "fail"]


def test_only_what_the_function_names_comes_again(bench: SqsBench) -> None:
    arn = bench.fauxqs.create_queue("partial", **SHORT)
    bench.send("partial", "good", "name it", "fine")
    bench.map(arn, FunctionResponseTypes=["ReportBatchItemFailures"])

    wait_until(lambda: bench.bodies().count("name it") >= 2, seconds=20)
    assert (bench.bodies().count("good"), bench.bodies().count("fine")) == (1, 1)
    assert bench.left("partial") == 1


def test_messages_of_a_group_arrive_in_order(bench: SqsBench) -> None:
    arn = bench.fauxqs.create_queue("ordered.fifo", **FIFO)
    bench.map(arn)
    sent = {group: [f"{group}{number}" for number in range(8)] for group in "abc"}
    for group, bodies in sent.items():
        bench.send("ordered.fifo", *bodies, MessageGroupId=group)

    bench.wait_empty("ordered.fifo")

    arrived = bench.bodies()
    for group, bodies in sent.items():
        assert [body for body in arrived if body[0] == group] == bodies


def test_a_message_that_no_filter_wants_leaves_the_queue_unseen(bench: SqsBench) -> None:
    arn = bench.fauxqs.create_queue("filtered")
    pattern = json.dumps({"body": {"price": [{"numeric": [">", 10]}]}})
    bench.map(arn, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    bench.send("filtered", '{"price": 5}', "text", '{"price": 50}')

    bench.wait_bodies('{"price": 50}')
    bench.wait_empty("filtered")

    assert bench.bodies() == ['{"price": 50}']


def test_more_than_ten_messages_are_gathered_within_the_batching_window(bench: SqsBench) -> None:
    arn = bench.fauxqs.create_queue("gathered")
    bench.send("gathered", *[f"m{number}" for number in range(35)])
    bench.map(arn, BatchSize=25, MaximumBatchingWindowInSeconds=1)

    bench.wait_empty("gathered")

    assert sorted(len(batch) for batch in bench.batches()) == [10, 25]


def test_a_disabled_mapping_takes_nothing_until_it_is_enabled_again(bench: SqsBench) -> None:
    arn = bench.fauxqs.create_queue("paused")
    uuid = bench.map(arn)
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=False)
    bench.wait_state(uuid, "Disabled")
    bench.send("paused", "later")
    time.sleep(0.5)
    assert not bench.bodies()

    bench.client.update_event_source_mapping(UUID=uuid, Enabled=True, BatchSize=5)

    bench.wait_bodies("later")
    assert bench.wait_state(uuid, "Enabled")["BatchSize"] == 5


def test_a_deleted_mapping_takes_nothing(bench: SqsBench) -> None:
    arn = bench.fauxqs.create_queue("deleted")
    uuid = bench.map(arn)
    bench.client.delete_event_source_mapping(UUID=uuid)

    def is_gone() -> bool:
        with pytest.raises(ClientError) as refused:
            bench.client.delete_event_source_mapping(UUID=uuid)
        return refused.value.response["Error"]["Code"] == "ResourceNotFoundException"

    wait_until(is_gone, seconds=20)
    bench.send("deleted", "left")
    time.sleep(0.5)
    assert not bench.bodies()
    assert bench.left("deleted") == 1


def test_a_queue_that_is_not_there_cannot_be_mapped(bench: SqsBench) -> None:
    with pytest.raises(ClientError) as refused:
        bench.map(f"arn:aws:sqs:{REGION}:{ACCOUNT}:nowhere")

    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidParameterValueException"
    assert error["Message"] == (
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
        "SQS Error Message: The specified queue does not exist."
    )


def test_a_queue_that_goes_away_and_comes_back_is_polled_again(bench: SqsBench) -> None:
    arn = bench.fauxqs.create_queue("moving")
    uuid = bench.map(arn)
    bench.fauxqs.sqs.delete_queue(QueueUrl=bench.fauxqs.queue_url("moving"))

    def problem() -> bool:
        told = requests.get(f"{bench.server.url}/_rie/mappings", timeout=5).text
        return uuid in told and "NonExistentQueue" in told

    wait_until(problem, seconds=20, what="the mapping to say that its queue is gone")
    bench.fauxqs.create_queue("moving")
    bench.send("moving", "back")

    bench.wait_bodies("back")


def test_a_stop_leaves_no_message_behind_in_the_server(bench: SqsBench) -> None:
    arn = bench.fauxqs.create_queue("stopped")
    bench.map(arn)
    bench.send("stopped", *[f"m{number}" for number in range(50)])
    bench.wait_bodies("m0")

    began = time.monotonic()
    bench.server.stop()

    assert time.monotonic() - began < 12
    arrived = bench.bodies()
    assert len(arrived) == len(set(arrived)), "what ran was deleted before the end"
    assert bench.left("stopped") == 50 - len(arrived)
