"""An insert as the driver takes it, compiled once: with many small rows SQLAlchemy's own way from a dictionary to the
driver's parameters, row by row, takes longer than the database.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Connection, Dialect, Insert


class DriverInsert:
    """Thread-safe: what two threads compile at the same time is the same.

    Args:
        statement: an insert without RETURNING; its columns are as they come from a driver, or JSON.
        columns: of the rows; every row has all of them.
    """

    def __init__(self, statement: Insert, columns: Sequence[str]) -> None:
        self._statement = statement
        self._columns = list(columns)
        self._documents = [name for name in columns if isinstance(statement.table.c[name].type, JSON)]
        self._compiled: dict[str, tuple[str, Sequence[str] | None]] = {}

    def execute(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Inserts ``rows``, whose JSON columns are still Python's objects or None."""
        text, order = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        for name in self._documents:
            rows = [row if row[name] is None else {**row, name: json.dumps(row[name])} for row in rows]
        # By position or by name, as the driver has it.
        parameters: Any = rows if order is None else [tuple([row[name] for name in order]) for row in rows]
        connection.exec_driver_sql(text, parameters)

    def _compile(self, dialect: Dialect) -> tuple[str, Sequence[str] | None]:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
        found = str(compiled), compiled.positiontup
        self._compiled[dialect.name] = found
        return found
