"""Servers that several contract suites share."""

from collections.abc import Iterator

import pytest

from tests.servers.postgresql import PostgresqlServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as server:
        yield server
