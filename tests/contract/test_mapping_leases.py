"""What every MappingLeases promises: servers that share a database poll each mapping once."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rie_server.polling import MappingLeases
from rie_server.stores.database import Database, sqlite_url
from rie_server.stores.mapping_leases import DatabaseMappingLeases
from tests.conftest import wait_until
from tests.fakes.mapping_stores import MemoryLeases

ONE, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"

Server = Callable[[str], MappingLeases]


@pytest.fixture
def dead() -> set[str]:
    return set()


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def server(request: pytest.FixtureRequest, tmp_path: Path, dead: set[str]) -> Iterator[Server]:
    """Leases as the server of a name has them, with a connection of its own."""
    if request.param == "memory":
        leases = MemoryLeases(time.monotonic)
        leases.dead = dead
        yield leases.of
        return
    url = request.getfixturevalue("postgresql").new_database() if request.param == "postgresql" else None
    opened: list[Database] = []

    def make(name: str) -> MappingLeases:
        opened.append(Database(url or sqlite_url(tmp_path)))
        return DatabaseMappingLeases(opened[-1], owner=name, is_gone=dead.__contains__)

    yield make
    for database in opened:
        database.close()


def test_a_mapping_has_one_holder_and_who_comes_later_gets_the_others(server: Server) -> None:
    first, second = server("first"), server("second")
    assert set(first.claim([ONE], 30)) == {ONE}
    assert set(second.claim([ONE, OTHER], 30)) == {OTHER}
    assert set(first.claim([ONE, OTHER], 30)) == {ONE}
    assert set(first.claim([], 30)) == set()


def test_a_lease_lasts_as_long_as_it_is_renewed(server: Server) -> None:
    first, second = server("first"), server("second")
    for _ in range(4):
        assert set(first.claim([ONE], 0.5)) == {ONE}
        time.sleep(0.2)
        assert set(second.claim([ONE], 0.5)) == set()
    wait_until(lambda: second.claim([ONE], 30), seconds=5, what="the lease to expire")
    assert set(first.claim([ONE], 30)) == set()


def test_what_is_released_is_free_at_once_and_only_by_its_holder(server: Server) -> None:
    first, second = server("first"), server("second")
    first.claim([ONE, OTHER], 30)
    second.release([ONE])
    first.release([OTHER])
    first.release([])
    assert set(second.claim([ONE, OTHER], 30)) == {OTHER}


def test_the_leases_of_a_server_that_is_known_to_be_dead_are_free(server: Server, dead: set[str]) -> None:
    first, second = server("first"), server("second")
    first.claim([ONE], 30)
    dead.add("first")
    assert set(second.claim([ONE], 30)) == {ONE}


def test_servers_that_claim_at_once_never_hold_the_same(server: Server) -> None:
    uuids = [f"{number:036d}" for number in range(40)]
    servers = [server(f"server-{number}") for number in range(3)]
    barrier = threading.Barrier(len(servers))
    held: list[set[str]] = []

    def claim(leases: MappingLeases) -> None:
        barrier.wait(5)
        held.append(set(leases.claim(uuids, 30)))

    threads = [threading.Thread(target=claim, args=(one,)) for one in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(uuid for one in held for uuid in one) == uuids
