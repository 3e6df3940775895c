"""Servers that share one store of mappings: each mapping has a poller on one of them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rie_server.errors import ResourceNotFoundException, ServiceException
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.pollers.mappings import EventSourceMappings
from rie_server.pollers.sharing import HELD_SECONDS, LEASE_SECONDS, LOOK_SECONDS
from tests.conftest import wait_until
from tests.fakes.clock import FakeClock
from tests.fakes.mapping_stores import MemoryLeases, MemoryMappingStore
from tests.fakes.pollers import FakePoller, FakePollers
from tests.unit.event_sources.mappings import MEMBERS

HERE = {"region": "us-east-1", "account": "000000000000"}
S = MappingState


class Server:
    """One of the servers.

    Attributes:
        elsewhere: names of functions that only another one knows.
    """

    def __init__(self, name: str, store: MemoryMappingStore, leases: MemoryLeases) -> None:
        self.clock = FakeClock()
        self.pollers = FakePollers()
        self.elsewhere: set[str] = set()
        self.gone: list[str] = []
        self.mappings = EventSourceMappings(
            store=store,
            makers=dict.fromkeys(SourceKind, self.pollers),
            inspectors={},
            function_exists=lambda _function: True,
            on_gone=self.gone.append,
            real=self.clock,
            leases=leases.of(name),
            is_elsewhere=lambda function: function.name in self.elsewhere,
        )
        self.mappings.start()

    def create(self, function: str = "orders", kind: SourceKind = SourceKind.KINESIS) -> EventSourceMapping:
        return self.mappings.create({**MEMBERS[kind], "FunctionName": function}, **HERE)

    def get(self, mapping: EventSourceMapping) -> EventSourceMapping:
        return self.mappings.get(mapping.uuid, **HERE)

    def wait_for(self, mapping: EventSourceMapping, state: MappingState) -> None:
        wait_until(lambda: self.get(mapping).state is state, what=str(state))

    def look(self) -> None:
        self.clock.advance(LOOK_SECONDS)

    def poller(self) -> FakePoller:
        """The only one, once it runs."""
        wait_until(lambda: self.pollers.running, what="a poller")
        (poller,) = self.pollers.running
        return poller


class Two:
    def __init__(self) -> None:
        self.time = FakeClock()
        self.store = MemoryMappingStore()
        self.leases = MemoryLeases(self.time.monotonic)
        self.first = Server("first", self.store, self.leases)
        self.second = Server("second", self.store, self.leases)


@pytest.fixture
def two() -> Iterator[Two]:
    made = Two()
    yield made
    made.first.mappings.close()
    made.second.mappings.close()


def test_a_mapping_is_polled_where_it_was_made_and_known_everywhere(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    two.second.look()
    assert two.second.get(mapping).state is S.ENABLED
    assert two.second.mappings.list(**HERE) == [two.first.get(mapping)]
    assert two.first.poller().mapping.uuid == mapping.uuid
    assert two.second.pollers.made == []


def test_a_change_on_one_server_reaches_the_poller_on_the_other(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    two.second.mappings.update(mapping.uuid, {"BatchSize": 7}, **HERE)
    two.first.look()
    two.second.wait_for(mapping, S.ENABLED)
    assert two.first.poller().mapping.batch_size == 7
    two.second.mappings.update(mapping.uuid, {"Enabled": False}, **HERE)
    two.first.look()
    two.second.wait_for(mapping, S.DISABLED)
    assert two.first.pollers.running == []
    assert two.second.pollers.made == []


def test_a_mapping_that_was_disabled_may_be_enabled_on_another_server(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    two.first.mappings.update(mapping.uuid, {"Enabled": False}, **HERE)
    two.first.wait_for(mapping, S.DISABLED)
    two.first.look()
    wait_until(lambda: not two.leases.holders, what="the lease to be given back")
    two.second.mappings.update(mapping.uuid, {"Enabled": True}, **HERE)
    two.second.wait_for(mapping, S.ENABLED)
    assert two.second.poller()
    assert two.first.pollers.running == []


def test_a_mapping_that_is_deleted_on_one_server_is_gone_on_both(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    two.second.look()
    two.second.mappings.delete(mapping.uuid, **HERE)
    two.first.look()
    wait_until(lambda: two.first.gone, what="the poller's end")
    with pytest.raises(ResourceNotFoundException):
        two.second.get(mapping)
    two.second.look()
    wait_until(lambda: two.second.gone == [mapping.uuid], what="the other server to know")
    assert two.first.pollers.running == []


def test_the_mappings_of_a_server_that_has_ended_are_taken_over_at_once(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    two.first.mappings.manager.drain(5)
    two.first.mappings.close()
    two.second.look()
    assert two.second.poller().mapping.uuid == mapping.uuid


def test_the_mappings_of_a_server_that_has_died_are_taken_over_when_its_leases_expire(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    two.second.look()
    two.time.advance(LEASE_SECONDS - 1)
    two.second.look()
    assert two.second.pollers.made == []
    two.time.advance(2)
    two.second.look()
    assert two.second.poller().mapping.uuid == mapping.uuid


def test_who_has_lost_a_lease_stops_its_poller(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    poller = two.first.poller()
    two.time.advance(LEASE_SECONDS + 1)
    two.second.look()
    two.second.poller()
    two.first.look()
    wait_until(lambda: not poller.is_running, what="the first server's poller to stop")
    assert two.second.poller().is_running


def test_who_cannot_renew_its_leases_stops_before_they_expire(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    poller = two.first.poller()
    two.leases.failure = ServiceException("away")
    two.first.look()
    assert poller.is_running
    two.first.clock.advance(HELD_SECONDS)
    wait_until(lambda: not poller.is_running, what="the poller to stop")
    two.leases.failure = None
    two.first.look()
    assert two.first.poller().is_running


def test_a_function_that_another_server_has_made_is_polled_for_there(two: Two) -> None:
    two.second.elsewhere.add("orders")
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    two.time.advance(LEASE_SECONDS + 1)
    two.second.look()
    assert two.second.pollers.made == []
    assert mapping.uuid in two.leases.holders


def test_a_change_that_comes_while_an_earlier_one_is_carried_out_settles_with_its_own_poller(two: Two) -> None:
    two.first.pollers.gate.clear()
    mapping = two.first.create()
    members = {**mapping.members, "BatchSize": 7}
    two.store.change(mapping.uuid, lambda stored: replace(stored, state=S.UPDATING, members=members))
    two.first.pollers.gate.set()
    two.first.poller()
    wait_until(two.first.mappings.manager.is_settled, what="the first poller")
    assert two.store.load()[0].state in (S.UPDATING, S.ENABLED)
    two.first.look()
    two.first.wait_for(mapping, S.ENABLED)
    assert two.first.poller().mapping.batch_size == 7


def test_the_last_result_of_one_server_is_seen_on_the_other(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    two.first.poller().reporter.processed("OK")
    two.first.clock.advance(4)
    wait_until(lambda: two.second.get(mapping).last_processing_result == "OK", what="the result")


def test_two_servers_do_not_make_the_same_mapping(two: Two) -> None:
    mapping = two.first.create()
    with pytest.raises(Exception, match="already exists"):
        two.second.create()
    assert [one.uuid for one in two.second.mappings.everything()] == [mapping.uuid]


def test_one_that_was_in_transition_when_its_server_died_is_brought_to_its_end(two: Two) -> None:
    mapping = two.first.create()
    two.first.wait_for(mapping, S.ENABLED)
    two.store.change(mapping.uuid, lambda stored: replace(stored, state=S.DELETING))
    two.leases.dead.add("first")
    two.second.look()
    wait_until(lambda: two.second.gone, what="the mapping to go")
    assert two.store.load() == []
