"""A server without an engine: what the HTTP core is tested against, in this process and in one of its own."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rie_server.api.body_stream import BodyStream
from rie_server.api.exchange import Deferred, HotRoute, Reply, Request, StreamedReply, StreamedRequest
from rie_server.config import Settings
from rie_server.errors import RieError

TEXT = (("Content-Type", "text/plain"),)


class Outgoing:
    """The body of a streamed reply, which a test writes."""

    def __init__(self) -> None:
        self.flow: list[bool] = []
        self.body = BodyStream(lambda: self.flow.append(self.body.is_held))


class Incoming:
    """A streamed request: what has come of it; it is answered when its body has ended."""

    def __init__(self, request: StreamedRequest) -> None:
        self.stream = request.stream
        self.deferred = Deferred(request.connection)
        self.pieces: list[bytes] = []
        self.end: dict[str, str] | str | None = None

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def finish(self, trailers: Mapping[str, str]) -> None:
        self.end = dict(trailers)
        self.deferred.complete(Reply(202, TEXT, b"streamed"))

    def break_off(self) -> None:
        self.end = "broken off"
        self.deferred.complete(Reply(400, TEXT, b"truncated"))


class FakeServer:
    """Echoes on the Lambda API; parks ``next`` and hands it over on ``deliver`` on the Runtime API."""

    def __init__(self, settings: Settings, listen: Callable[[socket.socket], Callable[[], None]]) -> None:
        self.settings = settings
        self.listen = listen
        self.function_urls = None
        self.hot_routes = (
            HotRoute(
                listener="lambda",
                method="POST",
                prefix="/2015-03-31/functions/",
                suffix="/invocations",
                operation=self.invoke,
            ),
            HotRoute(
                listener="runtime",
                method="GET",
                prefix="/2018-06-01/runtime/invocation/next",
                suffix="",
                operation=self.next,
            ),
            HotRoute(
                listener="runtime",
                method="POST",
                prefix="/2018-06-01/runtime/invocation/",
                suffix="/response",
                operation=self.response,
            ),
        )
        self.requests: list[Request] = []
        self.threads: list[str] = []
        self.parked: list[Deferred] = []
        self.events: list[str] = []
        self.outgoing: list[Outgoing] = []
        self.incoming: list[Incoming] = []
        self.in_flight = 0
        self.release = threading.Event()
        self._lock = threading.Lock()

    def invoke(self, request: Request) -> Reply | Deferred:
        self.requests.append(request)
        self.threads.append(threading.current_thread().name)
        name = request.path.split("/")[3]
        if name == "crash":
            raise ZeroDivisionError("as asked")
        if name == "big":
            return Reply(200, TEXT, b"x" * int(request.body))
        if name == "split":
            return Reply(200, (("X-Split", "a\r\nX-Injected: b"),), b"")
        if name == "stream":
            stream = Outgoing()
            self.outgoing.append(stream)
            return StreamedReply(200, TEXT, stream.body)
        if name in ("park", "slow"):
            deferred = Deferred(request.connection)
            self.parked.append(deferred)
            if name == "slow":
                self._answer_later(deferred, float(request.body))
            return deferred
        return Reply(200, (("Content-Type", "application/json"), ("X-Amz-Executed-Version", "$LATEST")), request.body)

    def _answer_later(self, deferred: Deferred, seconds: float) -> None:
        def answer() -> None:
            time.sleep(seconds)
            deferred.complete(Reply(200, TEXT, b"slow"))
            with self._lock:
                self.in_flight -= 1

        with self._lock:
            self.in_flight += 1
        threading.Thread(target=answer, name="slow").start()

    def next(self, request: Request) -> Deferred:
        self.requests.append(request)
        deferred = Deferred(request.connection)
        self.parked.append(deferred)
        return deferred

    def response(self, request: Request) -> Reply | Deferred:
        self.requests.append(request)
        if isinstance(request, StreamedRequest):
            if "early" in request.path:
                return Reply(403, TEXT, b"early")
            incoming = Incoming(request)
            self.incoming.append(incoming)
            request.stream.attach(incoming)
            return incoming.deferred
        if len(request.body) > 6 * 1024 * 1024 + 100:
            return Reply(413, TEXT, str(request.body_bytes).encode())
        return Reply(202, TEXT, b"OK")

    def lambda_api(self, request: Request) -> Reply | Deferred:
        self.requests.append(request)
        self.threads.append(threading.current_thread().name)
        if request.path == "/block":
            self.release.wait(10)
        if request.path == "/crash":
            raise ZeroDivisionError("as asked")
        if request.path == "/deferred":
            deferred = Deferred(request.connection)
            threading.Timer(0.05, deferred.complete, (Reply(200, TEXT, b"later"),)).start()
            return deferred
        return Reply(200, TEXT, f"{request.method} {request.path}?{request.query} {len(request.body)}".encode())

    def runtime_api(self, request: Request) -> Reply | Deferred:
        self.requests.append(request)
        self.threads.append(threading.current_thread().name)
        if request.path == "/2018-06-01/crash":
            raise ZeroDivisionError("as asked")
        return Reply(200, TEXT, b"pong")

    def start(self) -> None:
        self._note("start")
        if self._data("refuse-start").exists():
            raise RieError("The fake does not start today.")

    def drain(self, seconds: float) -> None:
        self._note("drain")
        deadline = time.monotonic() + seconds
        while self.in_flight and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        self._note("stop")

    def ready_line(self) -> str:
        return f"ready http://{self.settings.host}:{self.settings.port} pid={os.getpid()}"

    def _data(self, name: str) -> Path:
        return self.settings.data_dir / name

    def _note(self, what: str) -> None:
        """Kept for tests in this process, written for those that look from outside."""
        self.events.append(what)
        if self.settings.data_dir.is_dir():
            with self._data("events").open("a") as events:
                events.write(f"{what} {os.getpid()}\n")


def build(settings: Settings, listen: Any) -> FakeServer:
    return FakeServer(settings, listen)
