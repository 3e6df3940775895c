"""The HTTP core over a fake server: a uvloop in a thread of this process, and raw sockets as clients."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from rie_server.app import create_app
from rie_server.clock import SystemClock
from rie_server.config import Settings
from rie_server.http.front import Front
from rie_server.http.limits import Timeouts
from tests.integration.http.fake_server import FakeServer

QUICK = Timeouts(head_seconds=0.3, body_seconds=0.3, idle_seconds=0.5, write_seconds=0.5, linger_seconds=0.3)
QUICK_RUNTIME = Timeouts(head_seconds=0.3, body_seconds=0.3, idle_seconds=None, write_seconds=0.5, linger_seconds=0.3)


def listening_socket(host: str = "127.0.0.1") -> socket.socket:
    listener = socket.socket()
    listener.bind((host, 0))
    listener.listen(64)
    listener.setblocking(False)
    return listener


class RawClient:
    """A TCP connection on which a test says every byte itself."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self.received = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, method: str, path: str, body: bytes = b"", *headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reply(self, *, to_head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """The next reply: status, headers by lower-case name, body."""
        while b"\r\n\r\n" not in self.received:
            self._receive()
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = 0 if to_head else int(headers.get("content-length", "0"))
        while len(self.received) < length:
            self._receive()
        body, self.received = self.received[:length], self.received[length:]
        return int(status_line.split()[1]), headers, body

    def is_closed_by_server(self) -> bool:
        """Waits for the end of the stream; fails if more bytes come."""
        assert not self.received, self.received
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _receive(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError(f"the server closed after {self.received!r}")
        self.received += data

    def close(self) -> None:
        self.socket.close()


class Running:
    """The front, its fake server and the addresses of its listeners."""

    def __init__(self, settings: Settings, *, quick: bool) -> None:
        self._settings = settings
        self._options: dict[str, Any] = {}
        if quick:
            self._options = {"lambda_timeouts": QUICK, "runtime_timeouts": QUICK_RUNTIME, "tick_seconds": 0.05}
        self._ready = threading.Event()
        self._clients: list[RawClient] = []
        self._thread = threading.Thread(target=lambda: uvloop.run(self._life()), name="front")
        self._thread.start()
        assert self._ready.wait(10)

    async def _life(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self.front = Front(now=SystemClock.now, **self._options)
        self.server = FakeServer(self._settings, self.front.listen)
        self.front.mount(self.server, create_app(server=self.server))
        lambda_socket, runtime_socket = listening_socket(), listening_socket()
        self.lambda_address, self.runtime_address = lambda_socket.getsockname(), runtime_socket.getsockname()
        await self.front.open_lambda(lambda_socket)
        await self.front.open_runtime(runtime_socket)
        self._ready.set()
        await self._over.wait()
        await self.front.close()

    def client(self, address: tuple[str, int] | None = None) -> RawClient:
        client = RawClient(address or self.lambda_address)
        self._clients.append(client)
        return client

    def runtime_client(self) -> RawClient:
        return self.client(self.runtime_address)

    def parked(self) -> Any:
        """The Deferred of the request that is parked, once it has arrived."""
        deadline = time.monotonic() + 5
        while not self.server.parked:
            assert time.monotonic() < deadline, "nothing was parked"
            time.sleep(0.005)
        return self.server.parked.pop(0)

    def close(self) -> None:
        self.server.release.set()
        for client in self._clients:
            client.close()
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start_one(*, quick: bool = False, **settings: Any) -> Running:
        running = Running(Settings(data_dir=tmp_path, **settings), quick=quick)
        started.append(running)
        return running

    yield start_one
    for running in started:
        running.close()


@pytest.fixture
def front(start: Callable[..., Running]) -> Running:
    return start()


@pytest.fixture
def quick_front(start: Callable[..., Running]) -> Running:
    """Loses its patience within half a second."""
    return start(quick=True)
