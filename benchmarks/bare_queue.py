"""Bare SQLite: the least that can make an event durable, at the durability that the server promises.

``python -m benchmarks.bare_queue`` reads one plan (JSON) from standard input and writes one outcome (JSON) to standard
output, as ``client.py`` does, but there is no server: the clients insert into a table of their own, in WAL mode with
``synchronous=FULL``, and each goes on when its row is committed. One client commits each of its rows by itself. Several
are a thread each, and one more thread commits all that they have queued meanwhile, so that they share the fsync.
"""

import json
import os
import queue
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

SCHEMA = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    """
    CREATE TABLE IF NOT EXISTS events (
        sequence INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL UNIQUE,
        lane TEXT NOT NULL,
        due_at REAL NOT NULL,
        payload BLOB NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS events_by_lane ON events (lane, due_at, sequence)",
)
"""The least that can be a queue: an event is found by its id, and claimed by its function and in time."""

INSERT = "INSERT INTO events (request_id, lane, due_at, payload) VALUES (?, ?, ?, ?)"
LANE = "arn:aws:lambda:us-east-1:000000000000:function:bench"

Row = tuple[str, str, float, bytes]


class BareQueue:
    """A table of events. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in SCHEMA:
            self._connection.execute(statement).close()

    def commit(self, rows: list[Row]) -> None:
        """Inserts ``rows``; they are durable when this returns."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(INSERT, rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


def new_row(payload: bytes) -> Row:
    return os.urandom(16).hex(), LANE, time.time(), payload


class Bounds:
    """When a run is over: after ``requests`` rows of all clients together or ``seconds``, whichever is first."""

    def __init__(self, *, requests: int, seconds: float) -> None:
        self._tickets = iter(range(requests))
        self._deadline = time.perf_counter_ns() + int(seconds * 1e9)

    def allow_another(self) -> bool:
        """Any thread may ask: a range's iterator is one C call."""
        return time.perf_counter_ns() < self._deadline and next(self._tickets, None) is not None


def one_client(table: BareQueue, payload: bytes, bounds: Bounds) -> list[int]:
    """Latencies in nanoseconds of rows that are each committed alone."""
    latencies: list[int] = []
    while bounds.allow_another():
        begun = time.perf_counter_ns()
        table.commit([new_row(payload)])
        latencies.append(time.perf_counter_ns() - begun)
    return latencies


def many_clients(table: BareQueue, payload: bytes, bounds: Bounds, *, clients: int) -> list[int]:
    """Latencies of clients that each insert their next row as soon as the last one is durable."""
    writer = _Writer(table)
    latencies: list[int] = []

    def insert() -> None:
        durable = threading.Lock()
        durable.acquire()
        while bounds.allow_another():
            begun = time.perf_counter_ns()
            writer.pending.put((new_row(payload), durable))
            durable.acquire()
            latencies.append(time.perf_counter_ns() - begun)

    threads = [threading.Thread(target=insert, name=f"client-{number}") for number in range(clients)]
    writer.thread.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.pending.put(None)
    writer.thread.join()
    return latencies


class _Writer:
    """Commits all that has gathered while the last commit was on its way."""

    def __init__(self, table: BareQueue) -> None:
        self.pending: queue.SimpleQueue[tuple[Row, threading.Lock] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="writer")
        self._table = table

    def _run(self) -> None:
        while (first := self.pending.get()) is not None:
            group = [first]
            while not self.pending.empty():
                following = self.pending.get()
                if following is None:
                    raise RuntimeError("the end came while a client still waited")
                group.append(following)
            self._table.commit([row for row, _ in group])
            for _, durable in group:
                durable.release()


def carry_out(plan: dict[str, Any]) -> dict[str, Any]:
    """Runs a plan.

    Args:
        plan: ``path`` of the database; ``clients``, ``requests``, ``seconds`` and ``payload``; ``growth``, payloads
            that are inserted before, so that the log is as large as it becomes; and ``warmup_requests``.
    """
    table, payload = BareQueue(Path(plan["path"])), plan["payload"].encode()
    try:
        for large in plan["growth"]:
            table.commit([new_row(large.encode())])
        table.commit([new_row(payload) for _ in range(plan["warmup_requests"])])
        begun, cpu_begun = time.perf_counter(), time.process_time()
        bounds = Bounds(requests=plan["requests"], seconds=plan["seconds"])
        if plan["clients"] == 1:
            latencies = one_client(table, payload, bounds)
        else:
            latencies = many_clients(table, payload, bounds, clients=plan["clients"])
        wall, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
    finally:
        table.close()
    return {"latencies_ns": latencies, "wall_seconds": wall, "client_cpu_seconds": cpu}


if __name__ == "__main__":
    json.dump(carry_out(json.load(sys.stdin)), sys.stdout)
