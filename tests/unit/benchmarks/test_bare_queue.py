"""The bare queue is a fair opponent: every row durable before its client goes on, and commits shared as they gather."""

import sqlite3
import threading
from contextlib import closing

import pytest

from benchmarks.bare_queue import BareQueue, Bounds, carry_out, many_clients, new_row, one_client


@pytest.fixture
def database(tmp_path):
    return tmp_path / "bare.sqlite3"


@pytest.fixture
def table(database):
    opened = BareQueue(database)
    yield opened
    opened.close()


def payloads(database):
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT payload FROM events ORDER BY sequence")]


def plan(database, **changes):
    usual = {"clients": 1, "requests": 10, "seconds": 30.0, "payload": "{}", "growth": [], "warmup_requests": 0}
    return {"path": str(database), **usual, **changes}


def test_it_commits_with_the_durability_that_the_server_promises(table):
    pragmas = ("journal_mode", "synchronous")
    assert [table._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == ["wal", 2]


@pytest.mark.parametrize("clients", [1, 8])
def test_every_planned_row_is_in_the_table_and_has_a_latency(database, clients):
    outcome = carry_out(plan(database, clients=clients, requests=50))
    assert len(outcome["latencies_ns"]) == 50
    assert min(outcome["latencies_ns"]) > 0
    assert payloads(database) == [b"{}"] * 50


def test_what_comes_before_the_measurement_has_no_latency(database):
    outcome = carry_out(plan(database, requests=3, growth=["large"], warmup_requests=2))
    assert len(outcome["latencies_ns"]) == 3
    assert payloads(database) == [b"large", *[b"{}"] * 5]


def test_one_client_goes_on_only_when_its_row_can_be_seen_by_others(table, database, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Bounds, "allow_another", lambda _: len(seen) < 3 and (seen.append(len(payloads(database))) or True)
    )
    one_client(table, b"{}", Bounds(requests=1, seconds=1))
    assert seen == [0, 1, 2]


def test_rows_of_many_clients_that_wait_together_share_a_commit(table):
    groups, commit, all_wait = [], table.commit, threading.Event()

    def slow_first_commit(rows):
        groups.append(len(rows))
        if len(groups) == 1:
            all_wait.wait(0.5)
        commit(rows)

    table.commit = slow_first_commit
    many_clients(table, b"{}", Bounds(requests=8, seconds=30), clients=8)
    assert sum(groups) == 8
    assert len(groups) <= 3


def test_a_run_ends_when_its_time_is_over(table):
    assert many_clients(table, b"{}", Bounds(requests=10**9, seconds=0.0), clients=4) == []


def test_no_two_rows_have_one_id():
    assert len({new_row(b"")[0] for _ in range(100)}) == 100
