"""Logs on their way to CloudWatch Logs: against moto, and against a service that is away."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rie_server.aws_clients import ServiceClients
from rie_server.clock import SystemClock
from rie_server.exporters import cloudwatch_logs
from rie_server.exporters.cloudwatch_logs import CloudWatchLogs
from rie_server.model.log_event import LogStreamAddress
from tests.conftest import free_port, wait_until
from tests.servers.moto import REGION, MotoServer

STREAM = LogStreamAddress(region=REGION, group="/aws/lambda/orders", stream="2026/01/31/[$LATEST]" + "0" * 32)


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    with MotoServer() as moto:
        yield moto


@pytest.fixture
def clock() -> Iterator[SystemClock]:
    clock = SystemClock()
    clock.start()
    yield clock
    clock.close()


Make = Callable[[], CloudWatchLogs]


@pytest.fixture
def make(clock: SystemClock) -> Iterator[Make]:
    made: list[CloudWatchLogs] = []

    def start() -> CloudWatchLogs:
        made.append(CloudWatchLogs(clients=ServiceClients(), clock=clock))
        made[-1].start()
        return made[-1]

    yield start
    for logs in made:
        logs.close()


@pytest.fixture
def delivery(moto: MotoServer, make: Make, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudWatchLogs]:
    for name, value in moto.environ.items():
        monkeypatch.setenv(name, value)
    yield make()
    moto.client("logs").delete_log_group(logGroupName=STREAM.group)


def messages(moto: MotoServer, address: LogStreamAddress = STREAM) -> list[str]:
    client = moto.client("logs")
    found: list[str] = []
    token: dict[str, Any] = {}
    while True:
        try:
            page = client.get_log_events(
                logGroupName=address.group, logStreamName=address.stream, startFromHead=True, **token
            )
        except client.exceptions.ResourceNotFoundException:
            return []
        found += [event["message"] for event in page["events"]]
        if not page["events"]:
            return found
        token = {"nextToken": page["nextForwardToken"]}


def test_lines_reach_the_stream_in_their_order(moto: MotoServer, delivery: CloudWatchLogs, clock: SystemClock) -> None:
    now = clock.now()
    delivery.take([(STREAM, now, "START"), (STREAM, now, ""), (STREAM, now + 0.001, "grüezi\nzäme")])
    wait_until(lambda: len(messages(moto)) == 3)
    assert messages(moto) == ["START\n", "\n", "grüezi\nzäme\n"]


def test_each_environment_has_its_stream(moto: MotoServer, delivery: CloudWatchLogs, clock: SystemClock) -> None:
    other = LogStreamAddress(region=REGION, group=STREAM.group, stream="2026/01/31/[1]" + "1" * 32)
    delivery.take([(STREAM, clock.now(), "one"), (other, clock.now(), "two")])
    wait_until(lambda: messages(moto, other) == ["two\n"] and messages(moto) == ["one\n"])


def test_what_waits_at_the_end_is_sent(moto: MotoServer, delivery: CloudWatchLogs, clock: SystemClock) -> None:
    delivery.take([(STREAM, clock.now(), str(number)) for number in range(3000)])
    delivery.close()
    assert messages(moto) == [f"{number}\n" for number in range(3000)]


def test_a_service_that_is_away_costs_nothing_but_lines(
    make: Make, clock: SystemClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(cloudwatch_logs, "WAITING_BYTES", 100_000)
    delivery = make()
    for number in range(10):
        delivery.take([(STREAM, clock.now(), f"{number}" * 1000)] * 100)
    assert delivery._waiting_bytes <= 100_000
    wait_until(lambda: "does not take lines" in caplog.text)
    delivery.close()
    assert caplog.text.count("does not take lines") == 1
    assert "1000 lines of functions' logs did not reach CloudWatch Logs" in caplog.text
    assert not [thread for thread in threading.enumerate() if thread.name == "cloudwatch-logs"]


def test_a_service_that_comes_back_gets_what_has_waited(
    make: Make, clock: SystemClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [ConnectionError("away"), ConnectionError("still away")]
    batches: list[list[str]] = []

    def put(_: CloudWatchLogs, __: LogStreamAddress, batch: Any) -> None:
        if refusals:
            raise refusals.pop()
        batches.append([event.message for event in batch])

    monkeypatch.setattr(CloudWatchLogs, "_put", put)
    monkeypatch.setattr(cloudwatch_logs, "FIRST_PAUSE_SECONDS", 0.02)
    delivery = make()
    delivery.take([(STREAM, clock.now(), "one")])
    wait_until(lambda: not refusals)
    delivery.take([(STREAM, clock.now(), "two")])
    wait_until(lambda: sum(map(len, batches)) == 2)
    assert [message for batch in batches for message in batch] == ["one\n", "two\n"]
