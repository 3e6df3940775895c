"""Which shards may be read and from where, and how far a shard has come."""

from dataclasses import replace
from typing import Any

import pytest

from rie_server.model.event_source import Shard, SourceKind
from rie_server.model.tumbling_window import TumblingWindow
from rie_server.pollers.stream_checkpoint import CheckpointWriter, ShardCheckpoint, ShardProgress, checkpoint_of
from rie_server.pollers.stream_shards import first_checkpoints, shards_to_start
from rie_server.ports import OnDurable
from tests.fakes.streams import memory_record, stream_mapping

FAMILY = (
    Shard(shard_id="one", parents=("long-gone",)),
    Shard(shard_id="two", parents=()),
    Shard(shard_id="both", parents=("one", "two")),
    Shard(shard_id="grandchild", parents=("both",)),
)
ENDED = ShardCheckpoint(is_ended=True)


def started(checkpoints: dict[str, ShardCheckpoint], running: tuple[str, ...] = ()) -> list[str]:
    starts = shards_to_start(stream_mapping(), FAMILY, checkpoints, running=running, is_first=False)
    return [start.shard_id for start in starts]


@pytest.mark.parametrize(
    ("ended", "running", "expected"),
    [
        ((), (), ["one", "two"]),
        ((), ("one", "two"), []),
        (("one",), ("two",), []),
        (("one", "two"), (), ["both"]),
        (("one", "two", "both"), (), ["grandchild"]),
        (("one", "two", "both", "grandchild"), (), []),
    ],
)
def test_a_shard_begins_when_all_its_parents_have_ended(
    ended: tuple[str, ...], running: tuple[str, ...], expected: list[str]
) -> None:
    assert started(dict.fromkeys(ended, ENDED), running) == expected


def test_a_shard_goes_on_from_its_checkpoint() -> None:
    checkpoint = ShardCheckpoint(after_sequence_number="7")
    first, second = shards_to_start(stream_mapping(), FAMILY, {"one": checkpoint}, running=(), is_first=False)
    assert first.checkpoint.position.after_sequence_number == "7"
    assert second.checkpoint.position.starting_position == "TRIM_HORIZON"


def test_latest_is_the_time_at_which_the_mapping_was_made() -> None:
    mapping = replace(stream_mapping(StartingPosition="LATEST"), last_modified=100.75)
    first = first_checkpoints(mapping, FAMILY)
    starts = shards_to_start(mapping, FAMILY, first, running=(), is_first=True)
    assert [(start.shard_id, start.at_tip) for start in starts] == [("one", False), ("two", False)]
    assert {one.position.at_timestamp for one in first.values()} == {100.75}


def test_a_shard_that_comes_after_latest_is_read_from_its_beginning() -> None:
    mapping = stream_mapping(StartingPosition="LATEST")
    (start,) = shards_to_start(mapping, [Shard(shard_id="new")], {}, running=(), is_first=False)
    assert start.checkpoint.position.starting_position == "TRIM_HORIZON"
    assert not start.at_tip


def test_dynamodb_knows_seconds_alone_and_begins_at_the_tip_where_it_can() -> None:
    mapping = replace(stream_mapping(SourceKind.DYNAMODB, StartingPosition="LATEST"), last_modified=100.75)
    first = first_checkpoints(mapping, FAMILY)
    assert first["one"].since == 100
    starts = shards_to_start(mapping, FAMILY, first, running=(), is_first=True)
    assert [(start.shard_id, start.at_tip) for start in starts] == [("one", True), ("two", True)]


def test_a_stream_that_was_made_anew_has_none_of_the_old_checkpoints() -> None:
    shard = Shard(shard_id="one", began_at="200")
    old = {"one": ShardCheckpoint(after_sequence_number="150", is_ended=True, began_at="100")}
    (start,) = shards_to_start(stream_mapping(), [shard], old, running=(), is_first=False)
    assert start.checkpoint == ShardCheckpoint(began_at="200")


def test_a_checkpoint_survives_its_document() -> None:
    window = TumblingWindow(start=120, length_seconds=60, state={"sum": 7})
    checkpoint = ShardCheckpoint(after_sequence_number="7", since=1.5, window=window, began_at="1")
    assert checkpoint_of(checkpoint.document(), 60) == checkpoint
    assert checkpoint_of(ENDED.document(), 0) == ENDED


def test_a_window_of_another_length_is_forgotten() -> None:
    checkpoint = ShardCheckpoint(window=TumblingWindow(start=60, length_seconds=60))
    assert checkpoint_of(checkpoint.document(), 0).window is None
    assert checkpoint_of(checkpoint.document(), 120).window is None


def test_the_checkpoint_stands_before_the_first_record_that_has_not_ended() -> None:
    records = [memory_record("shard", number, "data", "k", 0.0) for number in "1234"]
    progress = ShardProgress()
    progress.add(records)
    assert not progress.finish(records[1:3])
    assert progress.checkpoint is None
    assert progress.finish(records[:1])
    assert progress.checkpoint == "3"
    assert progress.outstanding == 1
    assert progress.finish(records[3:])
    assert (progress.checkpoint, progress.outstanding, progress.outstanding_bytes) == ("4", 0, 0)


class SlowStore:
    """Stores when the test says so."""

    def __init__(self) -> None:
        self.saved: list[Any] = []
        self.waiting: list[OnDurable] = []

    def load(self, uuid: str) -> dict[str, dict[str, Any]]:
        return {}

    def forget(self, uuid: str, shard_id: str) -> None: ...

    def save(self, uuid: str, shard_id: str, document: Any, on_durable: OnDurable | None = None) -> None:
        assert on_durable is not None
        self.saved.append(document["afterSequenceNumber"])
        self.waiting.append(on_durable)


def test_checkpoints_that_come_while_one_is_written_share_the_next_write() -> None:
    store = SlowStore()
    writer = CheckpointWriter(store, "uuid", "shard")
    for number in "123":
        writer.write(ShardCheckpoint(after_sequence_number=number))
    assert store.saved == ["1"]
    store.waiting.pop()(OSError("disk full"))
    assert store.saved == ["1", "3"]
    assert not writer.is_idle
    store.waiting.pop()(None)
    assert writer.is_idle
