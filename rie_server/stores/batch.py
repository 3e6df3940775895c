"""Writes of one kind that gather while the writer is busy become one statement.

The database's writer already lets them share a commit; this spares each of them its own way through SQLAlchemy, which
costs more than the row does. Thread-safe.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from rie_server.ports import OnDurable
from rie_server.stores.database import Database

# Writes rows that were gathered; runs again for each alone where it fails.
WriteRows = Callable[[Connection, Sequence[dict[str, Any]]], None]


class _Gathering:
    __slots__ = ("callbacks", "rows")

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.callbacks: list[OnDurable] = []


class Batch:
    """Many rows written at once. If that fails, each row is tried alone, so that one takes no neighbour with it."""

    def __init__(self, database: Database, write: WriteRows, *, can_wait: bool = False) -> None:
        self._database = database
        self._write = write
        self._can_wait = can_wait
        self._lock = threading.Lock()
        self._open: _Gathering | None = None

    def submit(self, row: dict[str, Any], on_durable: OnDurable) -> None:
        with self._lock:
            gathering, is_new = self._open or _Gathering(), self._open is None
            self._open = gathering
            gathering.rows.append(row)
            gathering.callbacks.append(on_durable)
        if is_new:
            self._hand_over(gathering)

    def _hand_over(self, gathering: _Gathering) -> None:
        def work(connection: Connection) -> None:
            with self._lock:
                if self._open is gathering:
                    self._open = None
            self._write(connection, gathering.rows)

        self._database.submit(work, lambda _, error: self._done(gathering, error), can_wait=self._can_wait)

    def _done(self, gathering: _Gathering, error: Exception | None) -> None:
        with self._lock:
            # A database that has closed reports without having called ``work``.
            if self._open is gathering:
                self._open = None
        if error is None or len(gathering.rows) == 1:
            for callback in gathering.callbacks:
                callback(error)
            return
        for row, callback in zip(gathering.rows, gathering.callbacks, strict=True):
            alone = _Gathering()
            alone.rows.append(row)
            alone.callbacks.append(callback)
            self._hand_over(alone)
