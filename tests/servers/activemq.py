"""An ActiveMQ of the tests' own: Debian's ``activemq`` as one Java process in a private folder, with STOMP alone.

``with ActiveMqServer() as activemq:`` starts it and ends it (``broker``).
"""

import shutil
import socket
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.conftest import free_port, require
from tests.servers.broker import Broker

HOME = Path("/usr/share/activemq")
USER, PASSWORD = "lambda", "let me in"
CONFIGURATION = """
<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans
    http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
    http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" useJmx="false" brokerName="rie" dataDirectory="{base}/data">
    <persistenceAdapter><kahaDB directory="{base}/data/kahadb"/></persistenceAdapter>
    <plugins>
      <simpleAuthenticationPlugin><users>
        <authenticationUser username="{user}" password="{password}" groups="users,admins"/>
      </users></simpleAuthenticationPlugin>
    </plugins>
    <transportConnectors><transportConnector name="stomp" uri="stomp://127.0.0.1:{port}"/></transportConnectors>
  </broker>
</beans>
"""


class ActiveMqServer(Broker):
    """
    Attributes:
        port: of STOMP on 127.0.0.1.
    """

    def __init__(self) -> None:
        if find_spec("stomp") is None:
            require("activemq", "stomp.py is not installed")
        if not HOME.is_dir() or shutil.which("java") is None:
            require("activemq", f"there is no {HOME} or no Java")
        super().__init__("ActiveMQ")

    @property
    def url(self) -> str:
        return f"stomp://127.0.0.1:{self.port}"

    def _choose_ports(self) -> None:
        self.port = free_port()
        (self._folder / "conf").mkdir(exist_ok=True)
        text = CONFIGURATION.format(base=self._folder, port=self.port, user=USER, password=PASSWORD)
        (self._folder / "conf" / "activemq.xml").write_text(text)

    def _command(self) -> Sequence[str | Path]:
        base = self._folder
        settings = {"home": HOME, "base": base, "conf": base / "conf", "data": base / "data"}
        return [
            *("java", "-Xmx256m", "-XX:+UseSerialGC"),
            *(f"-Dactivemq.{name}={value}" for name, value in settings.items()),
            *("-cp", f"{base}/conf:{HOME}/lib/*:{HOME}/lib/optional/*"),
            *("org.apache.activemq.console.Main", "start", f"xbean:file:{base}/conf/activemq.xml"),
        ]

    def connect(self) -> Any:
        """A connection of stomp.py's for the test itself, which disconnects it."""
        import stomp  # noqa: PLC0415 - an extra

        connection = stomp.Connection12([("127.0.0.1", self.port)], auto_content_length=False)
        connection.connect(USER, PASSWORD, wait=True)
        return connection

    def create_queue(self, queue: str) -> None:
        """ActiveMQ makes a queue when somebody asks for it."""

    def publish(self, queue: str, bodies: Sequence[bytes], **headers: Any) -> None:
        """Returns once all are stored: the receipt of a commit comes after that."""
        import stomp  # noqa: PLC0415 - an extra

        stored = threading.Event()

        class Receipts(stomp.ConnectionListener):
            def on_receipt(self, frame: Any) -> None:
                stored.set()

        connection = self.connect()
        connection.set_listener("receipts", Receipts())
        transaction = connection.begin()
        for body in bodies:
            connection.send(f"/queue/{queue}", body, headers={"persistent": "true", **headers}, transaction=transaction)
        connection.commit(transaction, receipt="stored")
        assert stored.wait(30)
        connection.disconnect("bye")
        connection.transport.receiver_thread.join(5)

    def taken(self, queue: str, seconds: float) -> list[bytes]:
        """What a consumer of the test's own gets from ``queue`` in this time."""
        import stomp  # noqa: PLC0415 - an extra

        found: list[bytes] = []
        came = threading.Event()

        class Messages(stomp.ConnectionListener):
            def on_message(self, frame: Any) -> None:
                found.append(str(frame.body).encode())
                came.set()

        connection = self.connect()
        connection.set_listener("messages", Messages())
        connection.subscribe(f"/queue/{queue}", "1", ack="auto")
        came.wait(seconds)
        connection.disconnect("bye")
        connection.transport.receiver_thread.join(5)
        return found

    def _answers(self) -> bool:
        """A handshake, so that nobody else who listens there is taken for it."""
        hello = f"CONNECT\naccept-version:1.2\nhost:localhost\nlogin:{USER}\npasscode:{PASSWORD}\n\n\0"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                probe.sendall(hello.encode())
                return probe.recv(9) == b"CONNECTED"
        except OSError:
            return False
