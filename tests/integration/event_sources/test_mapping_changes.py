"""What happens to a mapping while it works: changed, disabled or deleted in the middle, its function or stream gone."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.recording import (
    Recorder,
    create_mapping,
    delete_mapping,
    settled,
    wait_for_result,
)
from tests.servers.kinesalite import KinesaliteServer


@pytest.fixture(scope="module")
def kinesis() -> Iterator[KinesaliteServer]:
    with KinesaliteServer() as server:
        yield server


class Story:
    """A stream of one shard and a function that takes its time."""

    def __init__(self, server: RieServer, kinesis: KinesaliteServer, folder: Path, name: str, seconds: float) -> None:
        self.client = server.client()
        # The emulator is shared, and a test may run twice.
        self.name = f"{name}-{uuid.uuid4().hex[:8]}"
        self.server, self.kinesis = server, kinesis
        self.arn = kinesis.create_stream(self.name)
        self.recorder = Recorder(self.client, "recorder", folder / "notes", seconds=seconds)

    def put(self, *data: str) -> None:
        entries = [{"PartitionKey": "k", "Data": one.encode()} for one in data]
        self.kinesis.client().put_records(StreamName=self.name, Records=entries)

    def map(self, **members: Any) -> str:
        arguments = {"EventSourceArn": self.arn, "StartingPosition": "TRIM_HORIZON", **members}
        return create_mapping(self.client, self.recorder, **arguments)

    def update(self, uuid: str, **members: Any) -> None:
        self.client.update_event_source_mapping(UUID=uuid, **members)

    def settled(self, uuid: str) -> str:
        return str(settled(self.client, uuid)["State"])

    def batches(self) -> list[list[str]]:
        return [
            [base64.b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]
            for event in self.recorder.events
        ]

    def wait_batches(self, *expected: list[str]) -> None:
        wait_until(lambda: len(self.batches()) >= len(expected), what=f"{expected}")
        assert self.batches() == list(expected)


@pytest.fixture
def tell(start_rie: Callable[..., RieServer], kinesis: KinesaliteServer, tmp_path: Path) -> Callable[..., Story]:
    def make(name: str, *, seconds: float = 0.0) -> Story:
        return Story(start_rie(environ=kinesis.environ), kinesis, tmp_path, name, seconds)

    return make


def test_one_that_is_disabled_in_the_middle_of_a_batch_finishes_it_and_repeats_nothing(
    tell: Callable[..., Story],
) -> None:
    story = tell("disabled", seconds=1.0)
    story.put("a", "b", "c", "d")
    uuid = story.map(BatchSize=2)
    story.wait_batches(["a", "b"])
    story.update(uuid, Enabled=False)
    assert story.settled(uuid) == "Disabled"
    time.sleep(1.2)
    assert story.batches() == [["a", "b"]]
    story.update(uuid, Enabled=True)
    assert story.settled(uuid) == "Enabled"
    story.wait_batches(["a", "b"], ["c", "d"])


def test_a_filter_that_is_changed_in_the_middle_holds_for_what_was_not_begun(tell: Callable[..., Story]) -> None:
    story = tell("filtered", seconds=1.0)
    story.put(*(json.dumps({"n": number}) for number in range(4)))
    uuid = story.map(BatchSize=1)
    story.wait_batches(['{"n": 0}'])
    pattern = json.dumps({"data": {"n": [3]}})
    story.update(uuid, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    assert story.settled(uuid) == "Enabled"
    story.wait_batches(['{"n": 0}'], ['{"n": 3}'])


def test_one_that_is_deleted_in_the_middle_and_made_anew_begins_at_its_position(tell: Callable[..., Story]) -> None:
    story = tell("deleted", seconds=0.5)
    story.put("a", "b")
    uuid = story.map(BatchSize=1)
    story.wait_batches(["a"])
    delete_mapping(story.client, uuid)
    assert story.batches() == [["a"]]
    story.map(BatchSize=10)
    story.wait_batches(["a"], ["a", "b"])


def test_records_wait_for_a_function_that_is_deleted_and_made_anew(tell: Callable[..., Story], tmp_path: Path) -> None:
    story = tell("orphaned")
    uuid = story.map()
    story.client.delete_function(FunctionName="recorder")
    story.put("a")

    def result() -> str:
        return str(story.client.get_event_source_mapping(UUID=uuid)["LastProcessingResult"])

    wait_until(lambda: result().startswith("PROBLEM: Function not found"), what="the trouble to be told")
    assert story.settled(uuid) == "Enabled"
    story.recorder = Recorder(story.client, "recorder", tmp_path / "again")
    wait_until(lambda: story.batches() == [["a"]], seconds=20, what="the record")


def test_a_version_and_an_alias_are_invoked_as_they_are(tell: Callable[..., Story]) -> None:
    story = tell("targets")
    story.client.publish_version(FunctionName="recorder")
    story.client.create_alias(FunctionName="recorder", Name="live", FunctionVersion="1")
    for target in ("recorder:1", "recorder:live"):
        made = story.client.create_event_source_mapping(
            FunctionName=target, EventSourceArn=story.arn, StartingPosition="TRIM_HORIZON"
        )
        assert made["FunctionArn"].endswith(f":function:{target}")
        assert story.settled(made["UUID"]) == "Enabled"
    story.put("a")
    story.wait_batches(["a"], ["a"])


@pytest.mark.parametrize("is_noticed", [False, True], ids=["between-two-reads", "and-is-missed-meanwhile"])
def test_a_stream_that_is_deleted_and_made_anew_under_a_running_mapping_is_read_from_its_beginning(
    tell: Callable[..., Story], is_noticed: bool
) -> None:
    story = tell("reborn")
    made_in_second = int(time.time())
    name = story.map()
    story.put("a")
    story.wait_batches(["a"])
    story.kinesis.client().delete_stream(StreamName=story.name)
    wait_until(lambda: story.name not in story.kinesis.client().list_streams()["StreamNames"], what="its end")
    if is_noticed:
        wait_for_result(story.client, name, lambda said: said.startswith("PROBLEM: Stream not found"))
    # The emulator numbers records from the second on in which it made their stream: one that is made in the same second
    # has the very numbers of the first, and whoever goes on after those of the first misses what has them again.
    wait_until(lambda: int(time.time()) > made_in_second, what="another second")
    story.kinesis.create_stream(story.name)
    story.put("b", "c")
    wait_until(lambda: [one for batch in story.batches() for one in batch] == ["a", "b", "c"], seconds=40, what="b, c")


def test_a_kill_in_the_middle_of_a_change_leaves_a_mapping_that_works(tell: Callable[..., Story]) -> None:
    story = tell("killed", seconds=1.5)
    story.put("a", "b")
    uuid = story.map(BatchSize=1)
    story.wait_batches(["a"])
    story.update(uuid, BatchSize=10)
    story.server.kill()
    story.server.restart()
    assert story.settled(uuid) == "Enabled"
    wait_until(lambda: story.batches()[-1] == ["a", "b"], what="both, in the new batch size")
