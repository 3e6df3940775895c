"""A PostgreSQL of the tests' own: a real server in a private folder, on a free loopback port.

``with PostgresqlServer(folder) as postgresql:`` starts it and ends it by its process id; ``postgresql.new_database()``
makes an empty database and returns its URL. PostgreSQL refuses to run as root, so root starts it as ``postgres``.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.conftest import free_port, require

START_SECONDS = 30.0
STOP_SECONDS = 20.0


def _binaries() -> Path:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not versions:
        require("postgresql", "no initdb, neither in PATH nor under /usr/lib/postgresql")
    return versions[-1].parent


def _as_its_user() -> list[str]:
    """What a command is prefixed with where this process may not be PostgreSQL."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        require("postgresql", "root has no user postgres to run it as")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


class PostgresqlServer:
    """
    Attributes:
        port: of the server on 127.0.0.1; its superuser is ``postgres`` and needs no password.
    """

    def __init__(self) -> None:
        if find_spec("psycopg") is None:
            require("postgresql", "psycopg is not installed")
        binaries, prefix = _binaries(), _as_its_user()
        self.port = free_port()
        self._databases = 0
        # Not pytest's folder: its parents are closed to other users.
        self._folder = Path(tempfile.mkdtemp(prefix="rie-postgresql-"))
        if prefix:
            shutil.chown(self._folder, "postgres", "postgres")
        data = self._folder / "data"
        made = subprocess.run(
            [*prefix, binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
        )
        if made.returncode != 0:
            shutil.rmtree(self._folder)
            pytest.fail(f"initdb has failed: {made.stderr}")
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self._folder}
        arguments = [f"-c{name}={value}" for name, value in options.items()]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*prefix, binaries / "postgres", "-D", data, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )

    def __enter__(self) -> Self:
        import psycopg  # noqa: PLC0415 - an extra

        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._execute("SELECT 1")
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(errors="replace")
                    self.stop()
                    pytest.fail(f"PostgreSQL does not answer: {log}")
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """SIGINT, its fast shutdown: connections are ended. Idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """The URL of a database that is empty."""
        self._databases += 1
        name = f"rie_{self._databases}"
        self._execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def disconnect_all(self) -> None:
        """Ends every connection but its own, as a restart would."""
        self._execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def _execute(self, statement: str) -> None:
        import psycopg  # noqa: PLC0415 - an extra

        address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.encode())
