"""Two servers that share a PostgreSQL: a mapping is polled by one of them, and by the other when that has died."""

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.recording import settled
from tests.integration.event_sources.stream_records import told
from tests.servers.kinesalite import KinesaliteServer
from tests.servers.postgresql import PostgresqlServer

TELLER = """
import json, os

def handler(event, context):
    line = json.dumps({"event": event, "server": os.environ["SERVER"]}) + "\\n"
    with open(os.environ["TOLD"], "ab", buffering=0) as told:
        told.write(line.encode())
"""
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Teller:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: teller
      Runtime: python3.12
      Handler: teller.handler
      CodeUri: .
      Environment: {{Variables: {{TOLD: "{told}", SERVER: "{name}"}}}}
      Events:
        Records: {{Type: Kinesis, Properties: {{Stream: "{arn}", StartingPosition: TRIM_HORIZON, BatchSize: 10}}}}
"""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as server:
        yield server


@pytest.fixture(scope="module")
def kinesis() -> Iterator[KinesaliteServer]:
    with KinesaliteServer() as server:
        yield server


class Pair:
    """Servers of one template, each with a data folder of its own, that start at the same time."""

    def __init__(self, start: Callable[..., RieServer], kinesis: KinesaliteServer, url: str, tmp_path: Path) -> None:
        self.kinesis = kinesis
        self.path = tmp_path / "told"
        self.stream = tmp_path.name[-40:].strip("-_.")
        self.arn = kinesis.create_stream(self.stream, 2)
        with ThreadPoolExecutor(2) as both:
            made = {name: both.submit(self._server, start, name, url, tmp_path) for name in ("a", "b")}
        self.servers = {name: one.result() for name, one in made.items()}
        self.number = 0

    def _server(self, start: Callable[..., RieServer], name: str, url: str, tmp_path: Path) -> RieServer:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "teller.py").write_text(TELLER)
        template = folder / "template.yaml"
        template.write_text(TEMPLATE.format(told=self.path, name=name, arn=self.arn))
        return start(
            template=template,
            data_dir=folder / "data",
            database_url=url,
            environ=self.kinesis.environ,
        )

    def put(self, count: int) -> None:
        entries = [
            {"PartitionKey": str(number), "Data": str(number).encode()}
            for number in range(self.number, self.number + count)
        ]
        assert self.kinesis.client().put_records(StreamName=self.stream, Records=entries)["FailedRecordCount"] == 0
        self.number += count

    def numbers(self) -> list[int]:
        records = [record for one in told(self.path) for record in one["event"]["Records"]]
        return [int(base64.b64decode(record["kinesis"]["data"])) for record in records]

    def wait_complete(self, seconds: float = 40.0) -> None:
        wait_until(lambda: len(set(self.numbers())) == self.number, seconds=seconds, what=f"{self.number} records")

    def poller(self) -> str:
        """Who polls now, as the last invocation says."""
        return str(told(self.path)[-1]["server"])

    def mappings(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.servers[name].client().list_event_source_mappings()["EventSourceMappings"]
        return found


@pytest.fixture
def pair(
    start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, postgresql: PostgresqlServer, tmp_path: Path
) -> Pair:
    return Pair(start_rie, kinesis, postgresql.new_database(), tmp_path)


def test_a_mapping_is_polled_once_and_goes_to_the_other_server_when_its_own_ends_or_dies(
    pair: Pair, postgresql: PostgresqlServer
) -> None:
    assert [one["UUID"] for one in pair.mappings("a")] == [one["UUID"] for one in pair.mappings("b")]
    assert len(pair.mappings("a")) == 1
    pair.put(40)
    pair.wait_complete()
    time.sleep(3)
    assert sorted(pair.numbers()) == list(range(40)), "somebody else has polled, too"
    first = pair.poller()
    second = {"a": "b", "b": "a"}[first]

    pair.servers[first].stop()
    pair.put(40)
    pair.wait_complete()
    assert pair.poller() == second
    assert sorted(pair.numbers()) == list(range(80)), "an ordered end repeats nothing"

    for _ in range(3):
        postgresql.disconnect_all()
        pair.put(20)
    pair.wait_complete()

    pair.servers[first].restart()
    pair.servers[second].kill()
    killed_at = time.monotonic()
    pair.put(40)
    pair.wait_complete()
    assert pair.poller() == first
    assert time.monotonic() - killed_at < 30


def test_a_server_that_comes_back_after_a_kill_goes_on_at_once(pair: Pair) -> None:
    pair.put(10)
    pair.wait_complete()
    only = pair.poller()
    other = {"a": "b", "b": "a"}[only]
    pair.servers[other].stop()
    pair.servers[only].kill()
    pair.servers[only].restart()
    pair.put(10)
    pair.wait_complete(seconds=10)


def test_a_mapping_is_changed_and_deleted_through_the_server_that_does_not_poll_it(pair: Pair) -> None:
    pair.put(10)
    pair.wait_complete()
    other = pair.servers[{"a": "b", "b": "a"}[pair.poller()]].client()
    (mapping,) = other.list_event_source_mappings()["EventSourceMappings"]
    other.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    assert settled(other, mapping["UUID"])["State"] == "Disabled"
    pair.put(10)
    time.sleep(1)
    assert len(pair.numbers()) == 10
    other.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True, BatchSize=1)
    assert settled(other, mapping["UUID"])["State"] == "Enabled"
    pair.wait_complete()
    assert sorted(pair.numbers()) == list(range(20))
    other.delete_event_source_mapping(UUID=mapping["UUID"])
    wait_until(lambda: not pair.mappings("a") and not pair.mappings("b"), what="the mapping to go")
