"""Stands in front of a service of AWS's JSON protocol and does, now and then, what networks and services do.

``with FlakyProxy(url) as flaky:`` passes every request on until ``flaky.rate`` says otherwise.
"""

import random
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

_ANSWERS: Final = (
    (500, b'{"__type":"InternalFailure","message":"a fault of theirs"}'),
    (503, b""),
    (400, b'{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}'),
    (200, b"<html>a proxy's page</html>"),
)


class FlakyProxy:
    """
    Attributes:
        url: in place of the service's.
        rate: the share of calls that go wrong: refused, broken off, or carried out and never answered.
        calls, wrong: how many there were.
    """

    def __init__(self, target: str, *, seed: int = 1) -> None:
        self.target = target
        self.rate = 0.0
        self.calls = self.wrong = 0
        self._random = random.Random(seed)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="flaky-proxy")

    def fate(self) -> int | None:
        """What becomes of the next call: None if nothing does."""
        self.calls += 1
        if self._random.random() >= self.rate:
            return None
        self.wrong += 1
        return self._random.randrange(len(_ANSWERS) + 2)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FlakyProxy

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fate = self.proxy.fate()
        if fate is None:
            self._answer(*self._pass_on(body))
        elif fate < len(_ANSWERS):
            self._answer(*_ANSWERS[fate])
        else:
            if fate > len(_ANSWERS):  # the call is carried out, and nobody hears of it
                self._pass_on(body)
            self.close_connection = True

    def _pass_on(self, body: bytes) -> tuple[int, bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        request = urllib.request.Request(self.proxy.target + self.path, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
