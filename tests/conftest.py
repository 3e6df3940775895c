"""Fixtures that every test folder shares: a real server in a child process, and what to do when a service is missing.

``start_rie(setting=value, ...)`` starts a server of the test's own; ``rie`` is one with the defaults. Both listen on
free loopback ports, keep their data in the test's own folder, and end with the test: a process that outlives its server
fails the test.
"""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import boto3
import pytest
from botocore.config import Config

from tests.fresh_fixtures import pytest_runtest_makereport, pytest_runtest_teardown

__all__ = ("pytest_runtest_makereport", "pytest_runtest_teardown")

READY = re.compile(r"(?i)\bready\b.*http://")
START_SECONDS = 30.0
STOP_SECONDS = 40.0


def require(service: str, reason: str) -> NoReturn:
    """Skips the test because ``service`` is missing; fails it where ``RIE_REQUIRE`` says that it must be there."""
    required = {name.strip() for name in os.environ.get("RIE_REQUIRE", "").split(",")}
    if service in required:
        pytest.fail(f"RIE_REQUIRE names {service}, and it is not there: {reason}")
    pytest.skip(f"{service}: {reason}")


@pytest.fixture(name="require")
def require_fixture() -> Callable[[str, str], NoReturn]:
    """``require(service, reason)`` for tests that cannot import this module."""
    return require


def free_port() -> int:
    """A port that nothing listens on, below those that the system hands out by itself in the meantime. Processes that
    run tests beside one another choose from ports of their own.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    for port in random.sample(range(12_000 + number % count, 32_000, count), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    pytest.fail("no loopback port is free")


def free_ports(count: int) -> list[int]:
    """As many, each another."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


def wait_until(condition: Callable[[], Any], *, seconds: float = 10.0, what: str = "the condition") -> Any:
    """The first true value of ``condition``; fails the test after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > deadline:
            pytest.fail(f"waited {seconds:g} s for {what}")
        # Whoever looks at much leaves the machine to whoever is waited for.
        time.sleep(min(max(0.01, now - began), 0.1))


def process_table() -> dict[int, tuple[int, str]]:
    """Every living process: pid -> (parent's pid, start time). Zombies are dead."""
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,stat=,lstart="], capture_output=True, text=True, check=True
    ).stdout
    table = {}
    for line in listing.splitlines():
        pid, parent, state, started = line.split(None, 3)
        if not state.startswith("Z"):
            table[int(pid)] = (int(parent), started)
    return table


def descendants(pid: int) -> dict[int, str]:
    """The living children of ``pid``, theirs, and so on: pid -> start time."""
    table = process_table()
    found: dict[int, str] = {}
    generation = {pid}
    while generation:
        generation = {child for child, (parent, _) in table.items() if parent in generation and child not in found}
        found.update((child, table[child][1]) for child in generation)
    return found


class RieServer:
    """A running ``rie serve``.

    Attributes:
        url: of the Lambda API.
        runtime_url: of the Runtime API for containers.
        process: the child process; its output lies in ``output_path``.

    Args:
        environ: further environment variables of the server.
    """

    def __init__(self, folder: Path, *, environ: Mapping[str, str] | None = None, **settings: Any) -> None:
        settings = {
            "host": "127.0.0.1",
            "port": free_port(),
            "runtime_host": "127.0.0.1",
            "runtime_port": free_port(),
            "data_dir": folder / "data",
            "executor": "process",
            "drain_seconds": 5,
            **settings,
        }
        self.data_dir = Path(settings["data_dir"])
        self.url = f"http://{settings['host']}:{settings['port']}"
        self.runtime_url = f"http://{settings['runtime_host']}:{settings['runtime_port']}"
        self.region = str(settings.get("region", "us-east-1"))
        self.output_path = folder / f"rie-{settings['port']}.log"
        self._flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        self._folder = folder
        self._environ = environ or {}
        self._clients: list[Any] = []
        self.process = self._spawn()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("RIE_", "AWS_"))}
        environ["PYTHONUNBUFFERED"] = "1"
        environ.update(self._environ)
        with self.output_path.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "rie_server", "serve", *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environ,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What the server has printed so far."""
        return self.output_path.read_text(errors="replace")

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not READY.search(self.output):
            if self.process.poll() is not None:
                pytest.fail(f"the server ended with {self.process.returncode} at start:\n{self.output}")
            if time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"the server was not ready after {START_SECONDS:g} s:\n{self.output}")
            time.sleep(0.01)

    def client(self, service: str = "lambda", **config: Any) -> Any:
        """A boto3 client of this server without retries; closed with the server."""
        options = {"retries": {"max_attempts": 0}, "read_timeout": 60, "max_pool_connections": 100, **config}
        client = boto3.client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(**options),
        )
        self._clients.append(client)
        return client

    def restart(self) -> None:
        """Starts the server again with the same settings and data, after ``stop`` or ``kill``."""
        assert self.process.poll() is not None, "stop the server before it is started again"
        self.output_path.unlink()
        self.process = self._spawn()
        self.wait_ready()

    def stop(self) -> None:
        """SIGTERM; fails the test unless the server ends cleanly and takes all its processes with it."""
        self._close_clients()
        if self.process.poll() is not None:
            return
        family = descendants(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the server did not end within {STOP_SECONDS:g} s of SIGTERM:\n{self.output}")
        left = self._outlived(family)
        assert not left, f"processes outlived their server: {left}\n{self.output}"
        assert status == 0, f"the server ended with {status}:\n{self.output}"

    def kill(self) -> None:
        """SIGKILL to the server and whatever it started; for tests of crashes use ``process.kill()``."""
        self._close_clients()
        family = descendants(self.process.pid)
        self.process.kill()
        self.process.wait()
        self._outlived(family)

    def _outlived(self, family: dict[int, str]) -> list[int]:
        """Members of ``family`` that live on two seconds later; they are ended, so that no test harms the next."""
        deadline = time.monotonic() + 2.0
        while True:
            table = process_table()
            left = [pid for pid, started in family.items() if pid in table and table[pid][1] == started]
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left

    def _close_clients(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()


@pytest.fixture
def start_rie(tmp_path: Path) -> Iterator[Callable[..., RieServer]]:
    """Starts servers with the settings it is given; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> RieServer:
            server = RieServer(tmp_path, **settings)
            stack.callback(server.stop)
            server.wait_ready()
            return server

        yield start


@pytest.fixture
def rie(start_rie: Callable[..., RieServer]) -> RieServer:
    """A server with the default settings and no functions."""
    return start_rie()
