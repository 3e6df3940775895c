"""A RabbitMQ of the tests' own: Debian's ``rabbitmq-server`` in a private folder, on free loopback ports.

``with RabbitMqServer() as rabbitmq:`` starts it, waits until it answers, and ends it, and the ``epmd`` that it has
started, by their process ids. ``kill`` and ``start`` let a test crash it and bring it back with what it had stored.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.conftest import free_port, process_table, require

START_SECONDS = 60.0
STOP_SECONDS = 20.0
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONTROL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
USER, PASSWORD = "guest", "guest"


class RabbitMqServer:
    """
    Attributes:
        port: of AMQP on 127.0.0.1.
    """

    def __init__(self) -> None:
        if find_spec("pika") is None:
            require("rabbitmq", "pika is not installed")
        if not SERVER.exists():
            require("rabbitmq", f"there is no {SERVER}")
        self.port = free_port()
        self._epmd_port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="rie-rabbitmq-"))
        self._environ = self._world()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.port}"

    def _world(self) -> dict[str, str]:
        """Everything that RabbitMQ would otherwise find in the machine's own folders."""
        folder = self._folder
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nloopback_users = none\nlog.file.level = warning\n"
        )
        (folder / "enabled_plugins").write_text("[].\n")
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"rie{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "none",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Starts it, with whatever an earlier start has stored, and waits until it takes connections."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [SERVER],
                env=self._environ,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"RabbitMQ does not answer: {(self._folder / 'output').read_text(errors='replace')}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as when the machine goes down."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as when it is updated."""
        self._end(signal.SIGTERM)

    def close(self) -> None:
        self.kill()
        for pid in self._epmds():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def control(self, *arguments: str) -> None:
        """Runs ``rabbitmqctl``: users, virtual hosts, policies."""
        node = self._environ["RABBITMQ_NODENAME"]
        done = subprocess.run(
            [CONTROL, "-q", "-n", node, *arguments],
            env=self._environ,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def connect(self, virtual_host: str = "/") -> Any:
        """A connection of pika's for the test itself, which closes it."""
        import pika  # noqa: PLC0415 - an extra

        credentials = pika.PlainCredentials(USER, PASSWORD)
        return pika.BlockingConnection(
            pika.ConnectionParameters("127.0.0.1", self.port, virtual_host, credentials, heartbeat=0)
        )

    def _answers(self) -> bool:
        """An AMQP server that is asked in an unknown dialect answers with its own, once it is up."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                probe.sendall(b"AMQP\x01\x01\x00\x0a")
                return probe.recv(4) == b"AMQP"
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        """The wrapper runs the virtual machine as its child or becomes it; the session holds both."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, how)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._process = None

    def _epmds(self) -> list[int]:
        """Erlang's port mapper leaves the session of whoever starts it, so it is known by its port alone."""
        found = []
        for pid in process_table():
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if command[0].endswith(b"epmd") and f"ERL_EPMD_PORT={self._epmd_port}".encode() in environ:
                    found.append(pid)
        return found
