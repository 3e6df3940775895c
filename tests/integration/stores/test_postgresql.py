"""What is PostgreSQL's own: servers that share one, connections that break, and places that are not there."""

import json
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import ConfigurationError
from rie_server.stores.database import Database
from rie_server.stores.functions import DatabaseFunctionStore
from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create
from tests.servers.postgresql import PostgresqlServer


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as server:
        yield server


def test_servers_that_start_side_by_side_make_the_tables_once(postgresql: PostgresqlServer) -> None:
    url = postgresql.new_database()
    opened: list[Database] = []
    threads = [threading.Thread(target=lambda: opened.append(Database(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len(opened) == 4
        DatabaseFunctionStore(opened[0]).save("key", {"a": 1})
        assert dict(DatabaseFunctionStore(opened[3]).load()) == {"key": {"a": 1}}
    finally:
        for database in opened:
            database.close()


def test_connections_that_the_database_has_ended_are_made_anew(postgresql: PostgresqlServer) -> None:
    database = Database(postgresql.new_database())
    store = DatabaseFunctionStore(database)
    store.save("key", {"a": 1})
    postgresql.disconnect_all()

    store.save("key", {"a": 2})
    assert dict(store.load()) == {"key": {"a": 2}}
    database.close()


def test_a_database_that_is_not_there_stops_the_start_in_one_line(postgresql: PostgresqlServer) -> None:
    with pytest.raises(ConfigurationError, match='database "nowhere" does not exist') as refusal:
        Database(postgresql.new_database().rpartition("/")[0] + "/nowhere")
    assert "\n" not in str(refusal.value)


def test_a_place_where_nothing_answers_stops_the_start_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rie_server.stores.database.CONNECT_TIMEOUT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ConfigurationError, match="timeout"):
        Database(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/db")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "RIE_DATABASE_URL is not a URL such as postgresql://user@host/database."),
        ("postgresql://me@host:port/db", "RIE_DATABASE_URL is not a URL such as postgresql://user@host/database."),
        ("mysql://me@host/db", "RIE_DATABASE_URL names mysql; this server uses PostgreSQL or SQLite."),
    ],
)
def test_a_url_of_something_else_stops_the_start(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Database(url)
    assert str(refusal.value) == words


def test_a_server_leaves_the_events_of_functions_that_another_one_has_made_to_that_one(
    postgresql: PostgresqlServer, tmp_path: Path, start_rie: Callable[..., RieServer]
) -> None:
    url = postgresql.new_database()
    settings = {"database_url": url, "async_retry_base_seconds": 2.0}
    servers = [start_rie(data_dir=tmp_path / name, **settings) for name in ("a", "b")]
    client = servers[0].client()
    create(client, "fails", "def handler(event, context):\n    raise ValueError('no')\n")
    client.put_function_event_invoke_config(FunctionName="fails", MaximumRetryAttempts=1)
    for _ in range(20):
        client.invoke(FunctionName="fails", InvocationType="Event", Payload=b"{}")

    ended: list[dict[str, Any]] = wait_until(lambda: _ended(servers, 20), seconds=20, what="20 endings")
    assert [event["status_code"] for event in ended] == [200] * 20


def _ended(servers: list[RieServer], count: int) -> list[dict[str, Any]] | None:
    ended: list[dict[str, Any]] = []
    for server in servers:
        with urllib.request.urlopen(f"{server.url}/_rie/events") as reply:
            ended += [event for event in json.load(reply)["events"] if event["ended_at"] is not None]
    return ended if len(ended) == count else None
