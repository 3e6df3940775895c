"""Control-plane records in the database, one JSON document per function. Thread-safe."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from rie_server.stores.database import Database
from rie_server.stores.schema import functions

_all = select(functions.c.key, functions.c.document)
_has = select(functions.c.key).where(functions.c.key == bindparam("sought"))
_insert = insert(functions)
_replace = update(functions).where(functions.c.key == bindparam("sought"))
_delete = delete(functions).where(functions.c.key == bindparam("sought"))


class DatabaseFunctionStore:
    """Fills ``ports.FunctionStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, prefix: str = "") -> Mapping[str, Mapping[str, Any]]:
        sought = _all.where(functions.c.key.startswith(prefix, autoescape=True)) if prefix else _all
        with self._database.read() as connection:
            rows = connection.execute(sought).all()
        return dict(tuple(row) for row in rows)

    def has(self, key: str) -> bool:
        with self._database.read() as connection:
            return connection.execute(_has, {"sought": key}).first() is not None

    def save(self, key: str, document: Mapping[str, Any]) -> None:
        content = dict(document)

        def work(connection: Connection) -> None:
            if connection.execute(_replace, {"sought": key, "document": content}).rowcount == 0:
                connection.execute(_insert, {"key": key, "document": content})

        self._database.write(work)

    def delete(self, key: str) -> None:
        """Harmless when there is no such document; returns after the commit is durable."""

        def work(connection: Connection) -> None:
            connection.execute(_delete, {"sought": key})

        self._database.write(work)
