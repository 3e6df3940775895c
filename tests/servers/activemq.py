"""An ActiveMQ of the tests' own: Debian's ``activemq`` as one Java process in a private folder, with STOMP alone.

``with ActiveMqServer() as activemq:`` starts it on a free loopback port and ends it by its process id. ``kill`` and
``start`` let a test crash it and bring it back with what it had stored.
"""

import shutil
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.conftest import free_port, require

START_SECONDS = 60.0
STOP_SECONDS = 20.0
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


class ActiveMqServer:
    """
    Attributes:
        port: of STOMP on 127.0.0.1.
    """

    def __init__(self) -> None:
        if find_spec("stomp") is None:
            require("activemq", "stomp.py is not installed")
        if not HOME.is_dir() or shutil.which("java") is None:
            require("activemq", f"there is no {HOME} or no Java")
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="rie-activemq-"))
        (self._folder / "conf").mkdir()
        text = CONFIGURATION.format(base=self._folder, port=self.port, user=USER, password=PASSWORD)
        (self._folder / "conf" / "activemq.xml").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"stomp://127.0.0.1:{self.port}"

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
        base = self._folder
        settings = {"home": HOME, "base": base, "conf": base / "conf", "data": base / "data"}
        with (base / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *("java", "-Xmx256m", "-XX:+UseSerialGC"),
                    *(f"-Dactivemq.{name}={value}" for name, value in settings.items()),
                    *("-cp", f"{base}/conf:{HOME}/lib/*:{HOME}/lib/optional/*"),
                    *("org.apache.activemq.console.Main", "start", f"xbean:file:{base}/conf/activemq.xml"),
                ],
                cwd=base,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"ActiveMQ does not answer: {(base / 'output').read_text(errors='replace')}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as when the machine goes down."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def connect(self) -> Any:
        """A connection of stomp.py's for the test itself, which disconnects it."""
        import stomp  # noqa: PLC0415 - an extra

        connection = stomp.Connection12([("127.0.0.1", self.port)], auto_content_length=False)
        connection.connect(USER, PASSWORD, wait=True)
        return connection

    def _answers(self) -> bool:
        """A handshake, so that nobody else who listens there is taken for it."""
        hello = f"CONNECT\naccept-version:1.2\nhost:localhost\nlogin:{USER}\npasscode:{PASSWORD}\n\n\0"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as probe:
                probe.sendall(hello.encode())
                return probe.recv(9) == b"CONNECTED"
        except OSError:
            return False
