"""A RabbitMQ of the tests' own: Debian's ``rabbitmq-server`` in a private folder, on free loopback ports.

``with RabbitMqServer() as rabbitmq:`` starts it and ends it, with the ``epmd`` that it has started (``broker``).
"""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.conftest import free_port, process_table, require
from tests.servers.broker import Broker

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONTROL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
USER, PASSWORD = "guest", "guest"


class RabbitMqServer(Broker):
    """
    Attributes:
        port: of AMQP on 127.0.0.1.
    """

    def __init__(self) -> None:
        if find_spec("pika") is None:
            require("rabbitmq", "pika is not installed")
        if not SERVER.exists():
            require("rabbitmq", f"there is no {SERVER}")
        super().__init__("RabbitMQ")
        self._epmd_port = 0
        self._world: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.port}"

    def _choose_ports(self) -> None:
        """Everything that RabbitMQ would otherwise find in the machine's own folders."""
        self._end_epmds()
        self.port, self._epmd_port = free_port(), free_port()
        folder = self._folder
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nloopback_users = none\nlog.file.level = warning\n"
        )
        (folder / "enabled_plugins").write_text("[].\n")
        self._world = {
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

    def _command(self) -> Sequence[str | Path]:
        return (SERVER,)

    def _environ(self) -> Mapping[str, str]:
        return self._world

    def close(self) -> None:
        super().close()
        self._end_epmds()

    def control(self, *arguments: str) -> None:
        """Runs ``rabbitmqctl``: users, virtual hosts, policies."""
        node = self._world["RABBITMQ_NODENAME"]
        done = subprocess.run(
            [CONTROL, "-q", "-n", node, *arguments],
            env=self._world,
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

    def create_queue(self, queue: str, *, virtual_host: str = "/") -> None:
        self.publish(queue, [], virtual_host=virtual_host)

    def delete_queue(self, queue: str) -> None:
        connection = self.connect()
        connection.channel().queue_delete(queue)
        connection.close()

    def publish(self, queue: str, bodies: Sequence[bytes], *, virtual_host: str = "/", **properties: Any) -> None:
        """To a queue that is made if it is not there; returns once all are stored."""
        import pika  # noqa: PLC0415 - an extra

        connection = self.connect(virtual_host)
        channel = connection.channel()
        channel.queue_declare(queue, durable=True)
        channel.tx_select()
        for body in bodies:
            channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties))
        channel.tx_commit()
        connection.close()

    def waiting(self, queue: str) -> int:
        """Messages that the broker holds and has given to nobody."""
        connection = self.connect()
        count = connection.channel().queue_declare(queue, passive=True).method.message_count
        connection.close()
        return int(count)

    def _answers(self) -> bool:
        """An AMQP server that is asked in an unknown dialect answers with its own, once it is up."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                probe.sendall(b"AMQP\x01\x01\x00\x0a")
                return probe.recv(4) == b"AMQP"
        except OSError:
            return False

    def _end_epmds(self) -> None:
        for pid in self._epmds():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

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
