"""What every MappingStore and CheckpointStore promises."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import ResourceInUseException
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.polling import CheckpointStore, MappingStore
from rie_server.stores.checkpoints import DatabaseCheckpointStore
from rie_server.stores.database import Database, sqlite_url
from rie_server.stores.mappings import DatabaseMappingStore
from tests.fakes.mapping_stores import MemoryCheckpointStore, MemoryMappingStore

ORDERS = FunctionArn(region="eu-west-1", account="123456789012", name="orders", qualifier="live")
UUID = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
QUEUE = EventSourceMapping(
    uuid=UUID,
    kind=SourceKind.SQS,
    function=ORDERS,
    source_arn="arn:aws:sqs:eu-west-1:123456789012:orders",
    enabled=True,
    state=MappingState.CREATING,
    state_transition_reason="USER_INITIATED",
    members={"BatchSize": 10, "FilterCriteria": {"Filters": [{"Pattern": '{"body": {"ü": [1.5, null]}}'}]}},
    last_modified=1_767_225_600.123,
)
KAFKA = replace(
    QUEUE,
    uuid=OTHER,
    kind=SourceKind.SELF_MANAGED_KAFKA,
    function=ORDERS.unqualified,
    source_arn=None,
    enabled=False,
    state=MappingState.DISABLED,
    last_processing_result="No records processed",
    tags={"team": "shop"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    mappings: MappingStore
    checkpoints: CheckpointStore


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    if request.param == "memory":
        checkpoints = MemoryCheckpointStore()
        yield Stores(mappings=MemoryMappingStore(checkpoints), checkpoints=checkpoints)
        return
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").new_database()
    else:
        url = sqlite_url(tmp_path)
    database = Database(url)
    yield Stores(mappings=DatabaseMappingStore(database), checkpoints=DatabaseCheckpointStore(database))
    database.close()


def add(store: MappingStore, mapping: EventSourceMapping) -> None:
    store.add(mapping, lambda _: None)


def checkpoint(store: CheckpointStore, uuid: str, shard_id: str, document: dict[str, Any]) -> None:
    """Saves a checkpoint and waits until it is durable."""
    told: list[Exception | None] = []
    done = threading.Event()

    def on_durable(error: Exception | None) -> None:
        told.append(error)
        done.set()

    store.save(uuid, shard_id, document, on_durable)
    assert done.wait(10), "the store never called back"
    assert told == [None]


def test_a_mapping_comes_out_as_it_went_in(stores: Stores) -> None:
    assert list(stores.mappings.load()) == []

    add(stores.mappings, KAFKA)
    add(stores.mappings, QUEUE)

    assert list(stores.mappings.load()) == [QUEUE, KAFKA]


def test_a_change_is_made_of_what_is_stored(stores: Stores) -> None:
    add(stores.mappings, QUEUE)
    seen: list[EventSourceMapping] = []

    def rule(mapping: EventSourceMapping) -> EventSourceMapping:
        seen.append(mapping)
        return replace(mapping, state=MappingState.ENABLED, members={"BatchSize": 7})

    changed = stores.mappings.change(UUID, rule)

    assert changed == replace(QUEUE, state=MappingState.ENABLED, members={"BatchSize": 7})
    assert list(stores.mappings.load()) == [changed]
    assert seen[-1] == QUEUE
    assert stores.mappings.change(OTHER, rule) is None


def test_what_a_rule_raises_is_raised_and_nothing_has_changed(stores: Stores) -> None:
    add(stores.mappings, QUEUE)

    def refuse(_: object) -> Any:
        raise ResourceInUseException("no")

    with pytest.raises(ResourceInUseException):
        stores.mappings.change(UUID, refuse)
    with pytest.raises(ResourceInUseException):
        stores.mappings.add(KAFKA, refuse)
    assert list(stores.mappings.load()) == [QUEUE]


def test_of_two_that_are_added_at_once_the_second_sees_the_first(stores: Stores) -> None:
    seen: list[int] = []
    barrier = threading.Barrier(2)

    def check(others: Sequence[EventSourceMapping]) -> None:
        seen.append(len(others))

    def write(mapping: EventSourceMapping) -> None:
        barrier.wait(5)
        stores.mappings.add(mapping, check)

    threads = [threading.Thread(target=write, args=(mapping,)) for mapping in (QUEUE, KAFKA)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seen) == 1
    assert len(stores.mappings.load()) == 2


def test_a_deleted_mapping_is_gone_with_its_checkpoints_and_no_others(stores: Stores) -> None:
    add(stores.mappings, QUEUE)
    add(stores.mappings, KAFKA)
    for uuid in (UUID, OTHER):
        checkpoint(stores.checkpoints, uuid, "shard-0", {"after": uuid})

    stores.mappings.delete(UUID)
    stores.mappings.delete(UUID)

    assert list(stores.mappings.load()) == [KAFKA]
    assert stores.checkpoints.load(UUID) == {}
    assert stores.checkpoints.load(OTHER) == {"shard-0": {"after": OTHER}}


def test_a_checkpoint_replaces_the_one_before_it_in_its_own_shard(stores: Stores) -> None:
    checkpoint(stores.checkpoints, UUID, "shard-0", {"after": "1", "state": {"n": [1, None]}})
    checkpoint(stores.checkpoints, UUID, "shard-1", {"after": "7"})
    checkpoint(stores.checkpoints, UUID, "shard-0", {"after": "2"})

    assert stores.checkpoints.load(UUID) == {"shard-0": {"after": "2"}, "shard-1": {"after": "7"}}
    assert stores.checkpoints.load(OTHER) == {}


def test_the_last_of_many_checkpoints_is_the_one_that_stays(stores: Stores) -> None:
    order: list[int] = []
    done = threading.Event()
    for number in range(500):

        def on_durable(error: Exception | None, number: int = number) -> None:
            assert error is None
            order.append(number)
            if number == 499:
                done.set()

        stores.checkpoints.save(UUID, "shard-0", {"after": number}, on_durable)

    assert done.wait(10)
    assert order == list(range(500))
    assert stores.checkpoints.load(UUID) == {"shard-0": {"after": 499}}


def test_what_the_caller_does_to_a_document_later_changes_nothing(stores: Stores) -> None:
    document: dict[str, Any] = {"after": "1"}
    stores.checkpoints.save(UUID, "shard-0", document)
    document["after"] = "2"
    checkpoint(stores.checkpoints, UUID, "shard-1", {})

    assert stores.checkpoints.load(UUID)["shard-0"] == {"after": "1"}


def test_a_shard_that_is_forgotten_has_no_checkpoint(stores: Stores) -> None:
    checkpoint(stores.checkpoints, UUID, "shard-0", {"after": "1"})
    stores.checkpoints.forget(UUID, "shard-0")
    stores.checkpoints.forget(UUID, "never there")
    checkpoint(stores.checkpoints, UUID, "shard-1", {"after": "1"})

    assert stores.checkpoints.load(UUID) == {"shard-1": {"after": "1"}}


def test_mappings_and_checkpoints_outlive_the_process(tmp_path: Path) -> None:
    first = Database(sqlite_url(tmp_path))
    add(DatabaseMappingStore(first), QUEUE)
    checkpoint(DatabaseCheckpointStore(first), UUID, "shard-0", {"after": "1"})
    first.close()

    second = Database(sqlite_url(tmp_path))
    assert list(DatabaseMappingStore(second).load()) == [QUEUE]
    assert DatabaseCheckpointStore(second).load(UUID) == {"shard-0": {"after": "1"}}
    second.close()
