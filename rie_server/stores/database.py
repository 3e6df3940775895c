"""The database and its one writer: concurrent writes share a commit.

An fsync is what a durable write costs, so writes are handed to a single thread, which runs everything that has
gathered while the previous commit was on its way in one transaction. A write is reported done only after the commit:
on SQLite with WAL and ``synchronous=FULL`` it then survives a power cut.

Promises: ``submit``, ``write`` and ``read`` may be called from any thread; work runs in the order it was submitted;
one failing work neither fails nor undoes its neighbours. Work must touch nothing but its connection, because it runs
again when a neighbour in the same transaction has failed.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from rie_server.errors import ConfigurationError, ServiceException
from rie_server.stores.migrate import bring_up_to_date

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Connection], T]
# Called once, on the writer's thread, with the work's value or with what went wrong. Must not block.
OnDone = Callable[[T | None, Exception | None], None]

GROUP_WORKS = 512
BUSY_TIMEOUT_MS = 10_000
CONNECT_TIMEOUT_SECONDS = 10
# How long a write that can wait does so for others to share its commit, where writes follow one another more closely.
PATIENCE_SECONDS = 0.01
# Any number that nobody else uses for a lock in the same database.
_PREPARING = 0x5249455F


def sqlite_url(data_dir: Path) -> str:
    return f"sqlite:///{data_dir / 'rie.sqlite3'}"


class _Write(Generic[T]):
    __slots__ = ("can_wait", "error", "on_done", "value", "work")

    def __init__(self, work: Work[T], on_done: OnDone[T], *, can_wait: bool) -> None:
        self.work = work
        self.on_done = on_done
        self.can_wait = can_wait
        self.value: T | None = None
        self.error: Exception | None = None


class Database:
    """Opened by the constructor; ``close`` finishes what was submitted, joins the writer and frees every connection."""

    def __init__(self, url: str) -> None:
        """Opens, creates or upgrades the database, and starts the thread ``store-writer``.

        Raises:
            ConfigurationError: one line that says what is wrong with the place.
        """
        self._engine = _engine(url)
        try:
            _prepare(self._engine)
        except BaseException:
            self._engine.dispose()
            raise
        # Orders ``submit`` against ``close``: nothing is queued behind the end mark, where nobody would run it.
        self._closing_lock = threading.Lock()
        self._closed = False
        self._pending: queue.SimpleQueue[_Write[Any] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_groups, name="store-writer", daemon=True)
        self._writer.start()

    def submit(self, work: Work[T], on_done: OnDone[T], *, can_wait: bool = False) -> None:
        """Queues ``work`` and returns at once. Where nobody waits for it, a busy database ``can_wait`` for a moment."""
        with self._closing_lock:
            closed = self._closed
            if not closed:
                self._pending.put(_Write(work, on_done, can_wait=can_wait))
        if closed:
            on_done(None, ServiceException("The server is shutting down."))

    def write(self, work: Work[T]) -> T:
        """Runs ``work`` and returns its value once it is durable.

        Raises:
            ServiceException: the database cannot be written; the text says why.
        """
        done = threading.Event()
        outcome: list[Any] = [None, None]

        def on_done(value: T | None, error: Exception | None) -> None:
            outcome[:] = value, error
            done.set()

        self.submit(work, on_done)
        done.wait()
        if outcome[1] is not None:
            raise outcome[1]
        value: T = outcome[0]
        return value

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees everything committed so far."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as failure:
            raise _service_exception(failure) from failure

    def close(self) -> None:
        """Idempotent."""
        with self._closing_lock:
            first = not self._closed
            self._closed = True
            if first:
                self._pending.put(None)
        self._writer.join()
        self._engine.dispose()

    def _write_groups(self) -> None:
        ended = False
        while not ended:
            first, is_busy = self._next()
            if first is None:
                return
            group, ended = self._gather(first, PATIENCE_SECONDS if first.can_wait and is_busy else 0.0)
            self._commit(group)

    def _next(self) -> "tuple[_Write[Any] | None, bool]":
        """Blocks for the next write; tells whether it came soon after the last one."""
        try:
            return self._pending.get(timeout=PATIENCE_SECONDS), True
        except queue.Empty:
            return self._pending.get(), False

    def _gather(self, first: _Write[Any], patience_seconds: float) -> "tuple[list[_Write[Any]], bool]":
        """All that shares a commit with ``first``, and whether the end came behind it."""
        group = [first]
        while len(group) < GROUP_WORKS:
            try:
                following = self._pending.get(timeout=patience_seconds)
            except queue.Empty:
                break
            if following is None:
                return group, True
            group.append(following)
            patience_seconds = 0.0
        return group, False

    def _commit(self, group: list[_Write[Any]]) -> None:
        together = group
        try:
            while together and (failed := self._try(together)) is not None:
                together = [write for write in together if write is not failed]
        except Exception as failure:
            log.exception("The database cannot be written")
            for write in together:
                write.error = _service_exception(failure)
        for write in group:
            try:
                write.on_done(None if write.error else write.value, write.error)
            except Exception:
                log.exception("What waited for a write has failed")

    def _try(self, group: list[_Write[Any]]) -> _Write[Any] | None:
        """Commits all of ``group``, or nothing of it and returns the write that failed.

        Savepoints would spare the others a second run, but they double the cost of a small write, hardly any write
        fails, and a full disk makes SQLite drop them together with the transaction.
        """
        with self._engine.connect() as connection:
            connection.execution_options(rie_writes=True)
            for write in group:
                try:
                    write.value = write.work(connection)
                except Exception as failure:
                    write.error = _service_exception(failure) if isinstance(failure, SQLAlchemyError) else failure
                    return write
            connection.commit()
        return None


def _engine(url: str) -> Engine:
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        return _postgresql_engine(parsed)
    if parsed.database:
        folder = Path(parsed.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise ConfigurationError(f"The data folder {folder} cannot be made: {failure.strerror}.") from failure
    engine = create_engine(parsed, poolclass=QueuePool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_on_sqlite)
    return engine


def _parsed(url: str) -> URL:
    """
    Raises:
        ConfigurationError: no URL, or of a database that this server cannot use.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ConfigurationError("RIE_DATABASE_URL is not a URL such as postgresql://user@host/database.") from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ConfigurationError(f"RIE_DATABASE_URL names {parsed.drivername}; this server uses PostgreSQL or SQLite.")
    return parsed


def _postgresql_engine(url: URL) -> Engine:
    try:
        # A connection that the database has closed meanwhile is noticed before it is used.
        # Where something else listens, or nothing answers, a start fails instead of waiting for ever.
        patience = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
        return create_engine(url, pool_pre_ping=True, connect_args=patience)
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"PostgreSQL needs the package {missing.name}: pip install 'rie-server[postgresql]'."
        ) from None


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin transactions by itself, but only before some statements, and never for savepoints.
    connection.isolation_level = None
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_on_sqlite(connection: Connection) -> None:
    # A transaction that reads and then writes would fail at once, without waiting, if another process wrote between.
    writes = connection.get_execution_options().get("rie_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare(engine: Engine) -> None:
    place = f"The database {engine.url.database or ''}".strip()
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                # Servers that start side by side on a new database create its tables once.
                connection.execute(select(func.pg_advisory_xact_lock(_PREPARING)))
            bring_up_to_date(connection.execution_options(rie_writes=True), place)
            connection.commit()
    except DBAPIError as failure:
        raise ConfigurationError(f"{place} cannot be used: {_reason(failure)}.") from failure


def _service_exception(failure: Exception) -> ServiceException:
    return ServiceException(f"The server's database cannot be used: {_reason(failure)}.")


def _reason(failure: Exception) -> str:
    """The driver's own words, in one line, without SQLAlchemy's statement and link."""
    cause = failure.orig if isinstance(failure, DBAPIError) and failure.orig is not None else failure
    return " ".join(str(cause).split()).rstrip(".")
