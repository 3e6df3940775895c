"""Mappings from a request to a poller that runs, with pollers that only remember what was asked of them."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from rie_server.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceInUseException,
    ResourceNotFoundException,
    ServiceException,
    SourceError,
)
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.pollers.mappings import EventSourceMappings
from tests.conftest import wait_until
from tests.fakes.clock import FakeClock
from tests.fakes.mapping_stores import MemoryMappingStore
from tests.fakes.pollers import FakeInspector, FakePoller, FakePollers
from tests.unit.event_sources.mappings import MEMBERS, QUEUE, STREAM

HERE = {"region": "us-east-1", "account": "000000000000"}
S = MappingState
NO_FUNCTION = r"^Function does not exist$"


class Stage:
    """A control plane of mappings whose parts a test can look at."""

    def __init__(self) -> None:
        self.store = MemoryMappingStore()
        self.pollers = FakePollers()
        self.inspector = FakeInspector()
        self.clock = FakeClock()
        self.functions = {"orders", "bills"}
        self.gone: list[str] = []
        self.servers: list[EventSourceMappings] = []
        self.mappings = self.server()

    def server(self) -> EventSourceMappings:
        """A new server on the same store."""
        made = EventSourceMappings(
            store=self.store,
            makers=dict.fromkeys(set(SourceKind) - {SourceKind.MQ}, self.pollers),
            inspectors={SourceKind.SQS: self.inspector},
            function_exists=self._exists,
            on_gone=self.gone.append,
            real=self.clock,
        )
        self.servers.append(made)
        return made

    def _exists(self, function: FunctionArn) -> bool:
        return function.name in self.functions and function.qualifier in (None, "$LATEST")

    def create(self, kind: SourceKind = SourceKind.KINESIS, **members: Any) -> EventSourceMapping:
        return self.mappings.create({**MEMBERS[kind], "FunctionName": "orders", **members}, **HERE)

    def created(self, kind: SourceKind = SourceKind.KINESIS, **members: Any) -> EventSourceMapping:
        """A mapping that has settled."""
        mapping = self.create(kind, **members)
        self.settle(mapping)
        return self.get(mapping)

    def update(self, mapping: EventSourceMapping, **members: Any) -> EventSourceMapping:
        return self.mappings.update(mapping.uuid, members, **HERE)

    def delete(self, mapping: EventSourceMapping) -> EventSourceMapping:
        return self.mappings.delete(mapping.uuid, **HERE)

    def get(self, mapping: EventSourceMapping) -> EventSourceMapping:
        return self.mappings.get(mapping.uuid, **HERE)

    def settle(self, mapping: EventSourceMapping) -> MappingState:
        wait_until(lambda: self.get(mapping).state in (S.ENABLED, S.DISABLED), what="the mapping to settle")
        wait_until(self.mappings.manager.is_settled, what="the pollers to settle")
        return self.get(mapping).state

    def poller(self) -> FakePoller:
        """The only one that runs."""
        (poller,) = self.pollers.running
        return poller


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    made.mappings.start()
    yield made
    made.pollers.gate.set()
    for poller in made.pollers.made:
        poller.idle.set()
    for server in made.servers:
        server.close()
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("mapping-")]
    assert not names, f"threads outlived their owner: {names}"


# --- creation ---------------------------------------------------------------------------------------------------------


def test_a_new_mapping_is_creating_and_then_enabled_with_a_poller_of_its_settings(stage: Stage) -> None:
    mapping = stage.create(BatchSize=7)
    assert mapping.state is S.CREATING
    assert stage.settle(mapping) is S.ENABLED

    poller = stage.poller()
    assert poller.mapping.uuid == mapping.uuid
    assert poller.mapping.batch_size == 7
    assert [saved.state for saved in stage.store.saves] == [S.CREATING, S.ENABLED]


@pytest.mark.parametrize(
    ("kind", "first"), [(SourceKind.SQS, S.DISABLED), (SourceKind.DYNAMODB, S.CREATING), (SourceKind.MSK, S.CREATING)]
)
def test_one_that_is_not_to_be_enabled_has_no_poller(stage: Stage, kind: SourceKind, first: MappingState) -> None:
    mapping = stage.create(kind, Enabled=False)
    assert mapping.state is first
    assert stage.settle(mapping) is S.DISABLED
    assert stage.pollers.made == []


def test_a_function_that_does_not_exist_is_named_before_the_source_is_asked(stage: Stage) -> None:
    for name in ("nobody", "orders:live"):
        with pytest.raises(InvalidParameterValueException, match=NO_FUNCTION):
            stage.create(SourceKind.SQS, FunctionName=name)
    assert stage.inspector.checked == []


def test_what_the_inspector_refuses_is_not_created(stage: Stage) -> None:
    stage.inspector.refusal = InvalidParameterValueException("no such queue")
    with pytest.raises(InvalidParameterValueException, match="no such queue"):
        stage.create(SourceKind.SQS)

    assert stage.inspector.checked[0].source_arn == QUEUE
    assert list(stage.mappings.list(**HERE)) == []
    assert stage.store.saves == []


def test_a_change_asks_the_inspector_unless_the_mapping_is_to_be_disabled(stage: Stage) -> None:
    mapping = stage.created(SourceKind.SQS)
    stage.inspector.refusal = InvalidParameterValueException("gone")
    with pytest.raises(InvalidParameterValueException, match=r"^gone$"):
        stage.update(mapping, BatchSize=7)
    assert stage.get(mapping).batch_size == mapping.batch_size
    assert stage.inspector.checked[-1].batch_size == 7
    stage.update(mapping, Enabled=False)
    assert stage.settle(mapping) is S.DISABLED
    with pytest.raises(InvalidParameterValueException, match=r"^gone$"):
        stage.update(mapping, Enabled=True)


def test_a_mapping_that_cannot_be_stored_is_not_there(stage: Stage) -> None:
    stage.store.failure = ServiceException("the disk is full")
    with pytest.raises(ServiceException):
        stage.create()
    stage.store.failure = None
    assert list(stage.mappings.list(**HERE)) == []


def test_of_two_that_come_at_once_one_is_refused(stage: Stage) -> None:
    outcomes: list[str] = []

    def create() -> None:
        try:
            stage.create()
            outcomes.append("created")
        except ResourceConflictException:
            outcomes.append("refused")

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created", *["refused"] * 7]


def test_mappings_belong_to_their_region(stage: Stage) -> None:
    mapping = stage.created()
    with pytest.raises(ResourceNotFoundException, match="The resource you requested does not exist"):
        stage.mappings.get(mapping.uuid, region="eu-west-1", account="000000000000")
    assert list(stage.mappings.list(region="eu-west-1", account="000000000000")) == []
    assert list(stage.mappings.list(**HERE)) == list(stage.mappings.everything()) == [mapping]


# --- updates ----------------------------------------------------------------------------------------------------------


def test_a_changed_mapping_gets_a_new_poller_after_the_old_one_has_finished(stage: Stage) -> None:
    mapping = stage.created()
    old = stage.poller()
    old.idle.clear()

    assert stage.update(mapping, BatchSize=3).state is S.UPDATING
    wait_until(lambda: "stop" in old.calls)
    assert stage.get(mapping).state is S.UPDATING
    assert stage.pollers.made == [old]
    assert not stage.mappings.manager.is_settled()
    old.idle.set()

    assert stage.settle(mapping) is S.ENABLED
    assert stage.poller().mapping.batch_size == 3


def test_an_update_that_changes_nothing_leaves_the_poller_alone(stage: Stage) -> None:
    mapping = stage.created()
    assert stage.update(mapping, BatchSize=100).state is S.UPDATING
    assert stage.settle(mapping) is S.ENABLED
    assert len(stage.pollers.made) == 1


def test_a_mapping_is_disabled_and_enabled_again(stage: Stage) -> None:
    mapping = stage.created()
    assert stage.update(mapping, Enabled=False).state is S.DISABLING
    assert stage.settle(mapping) is S.DISABLED
    assert stage.pollers.running == []
    assert stage.update(mapping, BatchSize=3).state is S.UPDATING
    assert stage.settle(mapping) is S.DISABLED
    assert stage.pollers.running == []
    assert stage.update(mapping, Enabled=True).state is S.ENABLING
    assert stage.settle(mapping) is S.ENABLED
    assert stage.poller().mapping.batch_size == 3


def test_another_function_gets_the_records_after_an_update(stage: Stage) -> None:
    mapping = stage.created()
    with pytest.raises(InvalidParameterValueException, match=NO_FUNCTION):
        stage.update(mapping, FunctionName="nobody")
    stage.update(mapping, FunctionName="bills")
    stage.settle(mapping)
    assert stage.poller().mapping.function.name == "bills"


def test_an_update_may_not_make_a_duplicate(stage: Stage) -> None:
    stage.created()
    other = stage.created(FunctionName="bills")
    with pytest.raises(ResourceConflictException):
        stage.update(other, FunctionName="orders")
    assert stage.get(other).state is S.ENABLED


def test_a_mapping_in_transition_is_in_use(stage: Stage) -> None:
    stage.pollers.gate.clear()
    mapping = stage.create()
    changes: list[Callable[[], object]] = [
        lambda: stage.update(mapping, BatchSize=1),
        lambda: stage.delete(mapping),
    ]
    for change in changes:
        with pytest.raises(ResourceInUseException):
            change()
    stage.pollers.gate.set()
    assert stage.settle(mapping) is S.ENABLED
    stage.update(mapping, BatchSize=1)


def test_tags_change_without_a_transition(stage: Stage) -> None:
    mapping = stage.created(Tags={"team": "shop"})
    stage.mappings.tag(mapping.uuid, {"stage": "test"})
    stage.mappings.untag(mapping.uuid, ["team"])
    assert stage.get(mapping).tags == {"stage": "test"}
    assert stage.get(mapping).state is S.ENABLED
    assert len(stage.pollers.made) == 1


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_a_deleted_mapping_is_gone_when_its_poller_has_finished(stage: Stage) -> None:
    mapping = stage.created()
    poller = stage.poller()
    poller.idle.clear()

    assert stage.delete(mapping).state is S.DELETING
    wait_until(lambda: "stop" in poller.calls)
    assert stage.get(mapping).state is S.DELETING
    assert stage.gone == []
    poller.idle.set()

    wait_until(lambda: stage.gone == [mapping.uuid])
    with pytest.raises(ResourceNotFoundException):
        stage.get(mapping)
    assert list(stage.store.load()) == []
    stage.create()


def test_one_without_a_poller_is_deleted_as_well(stage: Stage) -> None:
    mapping = stage.created(SourceKind.SQS, Enabled=False)
    stage.delete(mapping)
    wait_until(lambda: stage.gone == [mapping.uuid])


def test_the_function_of_a_mapping_may_go_and_the_mapping_stays(stage: Stage) -> None:
    mapping = stage.created()
    stage.functions.clear()
    stage.update(mapping, BatchSize=5)
    assert stage.settle(mapping) is S.ENABLED
    assert stage.poller().mapping.function.name == "orders"


# --- what pollers tell ------------------------------------------------------------------------------------------------


def test_the_last_result_is_shown_at_once_and_stored_seldom(stage: Stage) -> None:
    mapping = stage.created()
    reporter = stage.poller().reporter
    saves = len(stage.store.saves)
    for _ in range(100):
        reporter.processed("PROBLEM: Function call failed")
        reporter.processed("OK")

    assert stage.get(mapping).last_processing_result == "OK"
    assert len(stage.store.saves) == saves
    stage.clock.advance(3)
    wait_until(lambda: next(iter(stage.store.load())).last_processing_result == "OK")
    reporter.processed("OK")
    stage.clock.advance(60)
    assert len(stage.store.saves) == saves + 1


def test_a_queue_shows_no_last_result_but_to_who_watches_the_server(stage: Stage) -> None:
    mapping = stage.created(SourceKind.SQS)
    stage.poller().reporter.processed("OK")
    assert stage.get(mapping).last_processing_result is None
    assert stage.mappings.last_result(mapping) == "OK"


def test_a_poller_that_cannot_go_on_disables_its_mapping_with_the_reason(stage: Stage) -> None:
    mapping = stage.created()
    stage.poller().reporter.disable("The secret is gone.")

    wait_until(lambda: stage.get(mapping).state is S.DISABLED)
    assert stage.get(mapping).state_transition_reason == "The secret is gone."
    assert not stage.get(mapping).enabled
    assert stage.pollers.running == []


def test_a_poller_that_has_been_stopped_is_not_heard_any_more(stage: Stage) -> None:
    mapping = stage.created()
    old = stage.poller().reporter
    stage.update(mapping, BatchSize=3)
    stage.settle(mapping)

    old.disable("late")
    old.processed("late")
    wait_until(stage.mappings.manager.is_settled)

    assert stage.get(mapping).state is S.ENABLED
    assert stage.get(mapping).last_processing_result == "No records processed"


@pytest.mark.parametrize(
    ("failure", "result"),
    [
        (SourceError("The broker cannot be reached."), "PROBLEM: The broker cannot be reached."),
        (RuntimeError("a defect"), "PROBLEM: a defect"),
    ],
)
def test_a_poller_that_cannot_be_started_says_so_and_is_tried_again(
    stage: Stage, failure: Exception, result: str
) -> None:
    stage.pollers.failures = [failure, failure]
    mapping = stage.create()

    assert stage.settle(mapping) is S.ENABLED
    assert stage.get(mapping).last_processing_result == result
    assert stage.pollers.made == []
    stage.clock.advance(1)
    wait_until(lambda: stage.pollers.failures == [])
    wait_until(stage.mappings.manager.is_settled)
    stage.clock.advance(1)
    assert stage.pollers.made == [], "the second wait is longer"
    stage.clock.advance(1)
    wait_until(lambda: len(stage.pollers.running) == 1)


def test_a_kind_that_the_server_does_not_poll_is_accepted_and_says_so(stage: Stage) -> None:
    mapping = stage.created(SourceKind.MQ)
    assert mapping.state is S.ENABLED
    assert mapping.last_processing_result == "PROBLEM: This server does not poll sources of the kind mq."


def test_a_store_that_is_away_when_a_mapping_settles_is_asked_again(stage: Stage) -> None:
    stage.pollers.gate.clear()
    mapping = stage.create()
    stage.store.failure = ServiceException("the disk is full")
    stage.pollers.gate.set()
    wait_until(lambda: len(stage.pollers.running) == 1)
    wait_until(stage.mappings.manager.is_settled)
    assert stage.get(mapping).state is S.CREATING

    stage.store.failure = None
    stage.clock.advance(1)
    assert stage.settle(mapping) is S.ENABLED
    assert len(stage.pollers.made) == 1


# --- start and stop ---------------------------------------------------------------------------------------------------


def test_mappings_go_on_after_a_restart_as_they_were(stage: Stage) -> None:
    kinds = (SourceKind.KINESIS, SourceKind.SQS, SourceKind.MSK)
    enabled = [stage.created(kind) for kind in kinds]
    disabled = stage.created(SourceKind.DYNAMODB, Enabled=False)
    stage.mappings.close()

    stage.mappings = stage.server()
    stage.mappings.start()
    wait_until(lambda: len(stage.pollers.running) == len(kinds))

    assert {poller.mapping.uuid for poller in stage.pollers.running} == {mapping.uuid for mapping in enabled}
    assert [stage.get(mapping).state for mapping in (*enabled, disabled)] == [S.ENABLED] * 3 + [S.DISABLED]


def test_what_was_in_transition_when_the_server_ended_is_brought_to_its_end(stage: Stage) -> None:
    settled = [stage.created(kind) for kind in (SourceKind.KINESIS, SourceKind.SQS, SourceKind.MSK)]
    stage.mappings.close()
    creating, deleted, disabling = settled
    for mapping, changes in (
        (creating, {"state": S.CREATING}),
        (deleted, {"state": S.DELETING}),
        (disabling, {"state": S.DISABLING, "enabled": False}),
    ):
        stage.store.change(mapping.uuid, lambda stored, changes=changes: replace(stored, **changes))

    stage.mappings = stage.server()
    stage.mappings.start()

    assert stage.settle(creating) is S.ENABLED
    assert stage.settle(disabling) is S.DISABLED
    wait_until(lambda: stage.gone == [deleted.uuid])


def test_a_drain_waits_for_what_is_in_flight_and_no_longer_than_it_may(stage: Stage) -> None:
    for kind in (SourceKind.KINESIS, SourceKind.SQS):
        stage.created(kind)
    slow = stage.pollers.running[0]
    slow.idle.clear()

    stage.mappings.manager.stop()
    assert stage.pollers.running == []
    assert stage.mappings.manager.drain(0.05) is False
    slow.idle.set()
    assert stage.mappings.manager.drain(5) is True


def test_nothing_is_started_once_the_server_drains(stage: Stage) -> None:
    stage.mappings.manager.stop()
    mapping = stage.create()
    assert stage.get(mapping).state is S.CREATING
    assert stage.pollers.made == []


def test_who_watches_sees_what_a_poller_says_of_itself(stage: Stage) -> None:
    mapping = stage.created(EventSourceArn=STREAM)
    assert stage.mappings.manager.describe(mapping.uuid) == {"backlog": 3, "pollers": 1, "in_flight": 0}
    assert stage.mappings.manager.describe("nobody") == {}
    stage.poller().idle.clear()
    assert not stage.mappings.manager.is_settled()
