"""A tiny Runtime API and a ``RuntimeEndpoints`` over it, for tests that start real environments without a server."""

import contextlib
import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_END = object()


class FakeRuntimeApi(ThreadingHTTPServer):
    """Serves one environment: hands out events and keeps what comes back."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.events: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.polled = threading.Event()
        self.hosts: set[str] = set()
        self.peers: set[str] = set()
        self._thread = threading.Thread(
            target=self.serve_forever, name="fake-runtime-api", kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    def invoke(self, event: Any, *, seconds: float = 20.0) -> tuple[str, Any]:
        """(``response`` or ``error``, body); raises ``queue.Empty`` when the function does not answer."""
        self.events.put(event)
        return self.answers.get(timeout=seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An environment that was killed breaks its connection: that is no error here."""

    def close(self) -> None:
        self.events.put(_END)
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeRuntimeApi

    def do_GET(self) -> None:
        self.server.hosts.add(self.headers["Host"])
        self.server.peers.add(self.client_address[0])
        self.server.polled.set()
        event = self.server.events.get()
        if event is _END:
            self.server.events.put(_END)
            self.close_connection = True
            return
        self._reply(
            200,
            json.dumps(event).encode(),
            {
                "Lambda-Runtime-Aws-Request-Id": "11111111-1111-1111-1111-111111111111",
                "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 60_000),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._reply(202, b"{}", {})
        self.server.answers.put((self.path.rsplit("/", 1)[-1], json.loads(body or b"null")))

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self._headers_buffer.append(b"\r\n" + body)
        self.flush_headers()

    def log_message(self, *_: Any) -> None:
        pass


class FakeRuntimeEndpoints:
    """Fills ``RuntimeEndpoints`` with a server of its own per environment."""

    def __init__(self, *, container_address: str = "127.0.0.1") -> None:
        self._container_address = container_address
        self.open: dict[str, FakeRuntimeApi] = {}
        self.sources: dict[str, str | None] = {}
        self.closed: list[str] = []

    def open_address(self, environment_id: str) -> str:
        api = self.open[environment_id] = FakeRuntimeApi("127.0.0.1")
        return f"127.0.0.1:{api.server_port}"

    def register_host(self, environment_id: str, host_name: str, source_address: str | None) -> str:
        if environment_id not in self.open:
            self.open[environment_id] = FakeRuntimeApi(self._container_address)
        self.sources[environment_id] = source_address
        return f"{host_name}:{self.open[environment_id].server_port}"

    def close(self, environment_id: str) -> None:
        api = self.open.pop(environment_id, None)
        if api is not None:
            self.closed.append(environment_id)
            api.close()

    def close_all(self) -> None:
        for environment_id in list(self.open):
            with contextlib.suppress(OSError):
                self.close(environment_id)
