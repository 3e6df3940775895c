"""Queues and streams of which every third call goes wrong: nothing is lost or overtaken, and nobody calls like mad."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.sqs_bench import SqsBench
from tests.integration.event_sources.stream_records import create_teller, told
from tests.integration.event_sources.test_kinesis import enable, firsts, numbers_of, put
from tests.servers.fauxqs import REGION, FauxqsServer
from tests.servers.flaky import FlakyProxy
from tests.servers.kinesalite import KinesaliteServer

RATE = 0.3
# An idle mapping may make about as many.
CALLS_A_SECOND_MOST = 15.0


@pytest.fixture(scope="module")
def kinesis() -> Iterator[KinesaliteServer]:
    with KinesaliteServer() as server:
        yield server


def calls_a_second(flaky: FlakyProxy) -> float:
    before, seconds = flaky.calls, 3.0
    time.sleep(seconds)
    return (flaky.calls - before) / seconds


def test_a_stream_that_is_flaky_loses_nothing_and_keeps_the_order(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, tmp_path: Path
) -> None:
    path, keys = tmp_path / "told", [f"k{number}" for number in range(6)]
    with FlakyProxy(kinesis.url) as flaky:
        rie = start_rie(environ={**kinesis.environ, "AWS_ENDPOINT_URL_KINESIS": flaky.url})
        create_teller(rie.client(), "teller", path)
        uuid = enable(rie.client(), "teller", kinesis.create_stream("flaky", 2), BatchSize=20)
        flaky.rate = RATE
        for part in range(5):
            put(kinesis, "flaky", [(key, str(number)) for number in range(part * 20, part * 20 + 20) for key in keys])
            time.sleep(0.3)
        wait_until(
            lambda: all(set(numbers_of(told(path), key)) == set(range(100)) for key in keys),
            seconds=90,
            what="every record",
        )
        for key in keys:
            assert firsts(numbers_of(told(path), key)) == list(range(100)), f"{key} is out of order"
        assert flaky.wrong > 0
        assert calls_a_second(flaky) < CALLS_A_SECOND_MOST
        flaky.rate = 0.0
        rie.client().delete_event_source_mapping(UUID=uuid)


def test_queues_that_are_flaky_lose_nothing_and_keep_the_order_of_groups(
    start_rie: Callable[..., RieServer], fauxqs: FauxqsServer, tmp_path: Path
) -> None:
    (variable,) = (name for name, value in fauxqs.environ.items() if value.startswith("http"))
    with FlakyProxy(fauxqs.environ[variable]) as flaky:
        server = start_rie(environ={**fauxqs.environ, variable: flaky.url}, region=REGION, max_environments=4)
        bench = SqsBench(server, fauxqs, tmp_path / "notes")
        bench.map(fauxqs.create_queue("flaky", VisibilityTimeout="2"))
        fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        bench.map(fauxqs.create_queue("flaky.fifo", VisibilityTimeout="2", **fifo))
        flaky.rate = RATE
        bench.send("flaky", *(f"plain {number}" for number in range(100)))
        for number in range(60):
            bench.send("flaky.fifo", f"{number % 3} {number // 3}", MessageGroupId=str(number % 3))
        wait_until(lambda: bench.left("flaky") + bench.left("flaky.fifo") == 0, seconds=90, what="empty queues")
        assert {f"plain {number}" for number in range(100)} <= set(bench.bodies())
        for group in range(3):
            places = [int(body.split()[1]) for body in bench.bodies() if body.startswith(f"{group} ")]
            assert firsts(places) == list(range(20)), f"group {group} is out of order"
        assert flaky.wrong > 0
        assert calls_a_second(flaky) < CALLS_A_SECOND_MOST
        flaky.rate = 0.0
