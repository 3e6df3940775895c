"""The database: what a start may find, what a commit promises, and what concurrent writes share."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError

from rie_server.errors import ConfigurationError, ServiceException
from rie_server.stores import migrate
from rie_server.stores.database import PATIENCE_SECONDS, Database, _reason, sqlite_url
from rie_server.stores.schema import HEAD, functions, metadata


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path))
    yield database
    database.close()


def insert_key(key: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(insert(functions), {"key": key, "document": {}})
        return key

    return work


def delete_key(key: str) -> Callable[[Connection], int]:
    return lambda connection: connection.execute(functions.delete().where(functions.c.key == key)).rowcount


def keys(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(functions.c.key).order_by(functions.c.key)).scalars())


class Pause:
    """A write that holds the writer until it is let go, so that others gather behind it."""

    def __init__(self, database: Database) -> None:
        self.go = threading.Event()
        started = threading.Event()

        def work(_: Connection) -> None:
            started.set()
            assert self.go.wait(10)

        database.submit(work, lambda value, error: None)
        assert started.wait(10)


# --- what a start may find --------------------------------------------------------------------------------------------


def test_a_new_database_is_durable_and_stands_at_the_newest_revision(database: Database) -> None:
    with database.read() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        revision = connection.execute(text("SELECT version_num FROM rie_schema_version")).scalar()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    assert revision == HEAD


def schema_of(path: Path) -> set[tuple[Any, ...]]:
    """Columns and indexes as SQLite sees them, however the statements that made them were worded."""
    connection = sqlite3.connect(path)
    try:
        found = set()
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for column in connection.execute(f"PRAGMA table_info({table})").fetchall():
                found.add((table, *column))
            for _, name, unique, *_ in connection.execute(f"PRAGMA index_list({table})").fetchall():
                columns = tuple(row[2] for row in connection.execute(f"PRAGMA index_info({name})").fetchall())
                found.add((table, name, unique, columns))
        return found
    finally:
        connection.close()


def test_the_migrations_arrive_where_a_new_database_begins(tmp_path: Path) -> None:
    Database(sqlite_url(tmp_path)).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated'}")
    with engine.begin() as connection:
        migrate.upgrade(connection)
    engine.dispose()

    assert schema_of(tmp_path / "migrated") == schema_of(tmp_path / "rie.sqlite3")


def test_alembic_sees_no_difference_between_the_migrations_and_the_tables(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated'}")
    with engine.begin() as connection:
        migrate.upgrade(connection)
        context = MigrationContext.configure(
            connection, opts={"version_table": "rie_schema_version", "compare_type": True}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()

    assert differences == []


def test_an_older_database_is_upgraded_and_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(sqlite_url(tmp_path))
    with monkeypatch.context() as older, engine.begin() as connection:
        older.setattr(migrate, "HEAD", "0001")
        migrate.upgrade(connection)
        insert_key("kept")(connection)
    engine.dispose()
    Database(f"sqlite:///{tmp_path / 'new'}").close()

    upgraded = Database(sqlite_url(tmp_path))

    assert keys(upgraded) == ["kept"]
    upgraded.close()
    assert schema_of(tmp_path / "rie.sqlite3") == schema_of(tmp_path / "new")


def test_a_start_on_an_up_to_date_database_does_not_load_alembic(tmp_path: Path) -> None:
    script = (
        "import sys; from rie_server.stores.database import Database\n"
        "Database(sys.argv[1]).close()\n"
        "assert 'alembic' not in sys.modules and 'boto3' not in sys.modules"
    )
    for _ in ("new", "old"):
        subprocess.run([sys.executable, "-c", script, sqlite_url(tmp_path)], check=True)


def refused(url: str) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        Database(url)
    assert "\n" not in str(refusal.value)
    assert "store-writer" not in [thread.name for thread in threading.enumerate()]
    return str(refusal.value)


def test_a_database_of_a_newer_server_stops_the_start(tmp_path: Path) -> None:
    Database(sqlite_url(tmp_path)).close()
    connection = sqlite3.connect(tmp_path / "rie.sqlite3")
    connection.execute("UPDATE rie_schema_version SET version_num = '9999'")
    connection.commit()
    connection.close()

    assert refused(sqlite_url(tmp_path)) == (
        f"The database {tmp_path / 'rie.sqlite3'} was written by a newer version of this server "
        f"(revision 9999; this one knows {HEAD})."
    )


def test_a_database_of_another_application_stops_the_start_and_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "rie.sqlite3")
    connection.execute("CREATE TABLE customers (name)")
    connection.commit()
    connection.close()

    assert "is not a database of this server; it holds other tables." in refused(sqlite_url(tmp_path))
    assert schema_of(tmp_path / "rie.sqlite3") == {("customers", 0, "name", "", 0, None, 0)}


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "rie.sqlite3").write_text("Dear diary, " * 100)

    assert refused(sqlite_url(tmp_path)) == (
        f"The database {tmp_path / 'rie.sqlite3'} cannot be used: file is not a database."
    )


def test_a_data_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    assert refused(sqlite_url(tmp_path / "file" / "data")) == (
        f"The data folder {tmp_path / 'file' / 'data'} cannot be made: Not a directory."
    )


def test_a_place_where_no_file_can_be_opened_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "rie.sqlite3").mkdir()

    assert refused(sqlite_url(tmp_path)).endswith("cannot be used: unable to open database file.")


# --- what a commit promises -------------------------------------------------------------------------------------------


def test_a_write_returns_its_value_after_others_can_see_it(database: Database) -> None:
    assert database.write(insert_key("a")) == "a"
    assert keys(database) == ["a"]


def test_a_callback_runs_after_the_commit(database: Database) -> None:
    seen: list[list[str]] = []
    done = threading.Event()

    def on_done(value: str | None, error: Exception | None) -> None:
        seen.append(keys(database))
        done.set()

    database.submit(insert_key("a"), on_done)
    assert done.wait(10)

    assert seen == [["a"]]


def test_concurrent_writes_share_a_commit(database: Database) -> None:
    transactions: set[int] = set()
    pause = Pause(database)
    done = threading.Semaphore(0)

    def work(connection: Connection) -> None:
        transactions.add(id(connection.get_transaction()))

    for _ in range(100):
        database.submit(work, lambda value, error: done.release())
    pause.go.set()
    for _ in range(100):
        assert done.acquire(timeout=10)

    assert len(transactions) == 1


def test_what_nobody_waits_for_shares_a_commit_with_what_comes_a_moment_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rie_server.stores.database.PATIENCE_SECONDS", 5.0)
    pause = Pause(database)
    database.submit(insert_key("patient"), lambda *_: None, can_wait=True)
    pause.go.set()
    time.sleep(0.2)
    assert keys(database) == []
    assert database.write(insert_key("urgent")) == "urgent"
    assert keys(database) == ["patient", "urgent"]


def test_what_nobody_waits_for_is_written_at_once_when_the_database_has_been_idle(database: Database) -> None:
    time.sleep(5 * PATIENCE_SECONDS)
    written = threading.Event()
    database.submit(insert_key("patient"), lambda *_: written.set(), can_wait=True)
    assert written.wait(10)
    assert keys(database) == ["patient"]


def test_closing_waits_for_no_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rie_server.stores.database.PATIENCE_SECONDS", 60.0)
    database = Database(sqlite_url(tmp_path))
    written = threading.Event()
    database.submit(insert_key("patient"), lambda *_: written.set(), can_wait=True)
    database.close()
    assert written.is_set()


def test_a_write_that_fails_takes_no_neighbour_with_it(database: Database) -> None:
    database.write(insert_key("there already"))
    pause = Pause(database)
    told: dict[str, Exception | None] = {}
    done = threading.Semaphore(0)
    for key in ("a", "there already", "b", "bug", "c"):

        def work(connection: Connection, key: str = key) -> None:
            insert_key(key)(connection)
            if key == "bug":
                raise KeyError("a bug")

        def on_done(value: None, error: Exception | None, key: str = key) -> None:
            told[key] = error
            done.release()

        database.submit(work, on_done)
    pause.go.set()
    for _ in range(5):
        assert done.acquire(timeout=10)

    assert keys(database) == ["a", "b", "c", "there already"]
    assert told["a"] is told["b"] is told["c"] is None
    assert isinstance(told["there already"], ServiceException)
    assert isinstance(told["bug"], KeyError)


def test_a_callback_that_fails_stops_nobody(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    def on_done(value: str | None, error: Exception | None) -> None:
        raise RuntimeError("a bug")

    database.submit(insert_key("a"), on_done)

    assert database.write(insert_key("b")) == "b"
    assert keys(database) == ["a", "b"]
    assert "What waited for a write has failed" in caplog.text


def test_a_full_disk_fails_the_write_in_one_line_and_the_next_one_works(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))

    def limit_pages(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill(connection: Connection) -> None:
        connection.execute(insert(functions), {"key": "big", "document": {"text": "x" * 1_000_000}})

    database.write(lambda connection: limit_pages(connection, 50))
    with pytest.raises(ServiceException) as refusal:
        database.write(fill)
    assert refusal.value.message == "The server's database cannot be used: database or disk is full."

    assert database.write(insert_key("small")) == "small"
    assert keys(database) == ["small"]
    database.close()


def test_a_write_waits_for_another_process_that_writes(database: Database, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "rie.sqlite3", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.2, other.execute, args=("COMMIT",))
    release.start()

    assert database.write(insert_key("a")) == "a"
    release.join()
    other.close()


def test_reading_does_not_wait_for_a_write(database: Database) -> None:
    pause = Pause(database)
    try:
        assert keys(database) == []
    finally:
        pause.go.set()


def test_closing_finishes_what_was_submitted_and_refuses_what_comes_later(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    pause = Pause(database)
    for number in range(50):
        database.submit(insert_key(f"{number:02}"), lambda value, error: None)
    closing = threading.Thread(target=database.close)
    closing.start()
    pause.go.set()
    closing.join(10)
    database.close()

    with pytest.raises(ServiceException, match="shutting down"):
        database.write(insert_key("late"))
    again = Database(sqlite_url(tmp_path))
    assert keys(again) == [f"{number:02}" for number in range(50)]
    again.close()
    assert "store-writer" not in [thread.name for thread in threading.enumerate()]


def test_sharing_commits_makes_many_writers_faster_than_one(database: Database, capsys: pytest.CaptureFixture) -> None:
    def cycles_per_second(threads: int, seconds: float = 1.0) -> float:
        counted = [0] * threads
        until = time.monotonic() + seconds

        def run(number: int) -> None:
            while time.monotonic() < until:
                key = f"{number}-{counted[number]}"
                database.write(insert_key(key))
                database.write(delete_key(key))
                counted[number] += 1

        running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return sum(counted) / seconds

    one, many = cycles_per_second(1), cycles_per_second(32)
    with capsys.disabled():
        print(f"\ninsert+delete cycles/s, each durable: {one:,.0f} with 1 thread, {many:,.0f} with 32")

    assert many > one


def test_an_error_of_the_driver_is_not_shown_to_callers_with_its_statement() -> None:
    failure = IntegrityError(
        "INSERT INTO secrets", {}, sqlite3.IntegrityError("UNIQUE constraint failed:\n functions.key")
    )

    assert _reason(failure) == "UNIQUE constraint failed: functions.key"
