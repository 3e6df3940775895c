"""The floor: the least that can stand between a caller and awslambdaric on uvloop and httptools.

``python -m benchmarks.floor PORT`` serves one function on loopback: invoke, next, response, error, and ``/null``, which
answers by itself and so shows what client and kernel cost alone. No framework, no checks, no time limits, no logs; one
write for each reply. Whatever a server does for its user comes on top of this.
"""

import asyncio
import sys
from collections import deque
from typing import cast

import httptools
import uvloop

ACCEPTED = (
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" + b'{"status":"OK"}\n'
)
NEXT_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: %b\r\n"
    b"Lambda-Runtime-Deadline-Ms: 9999999999999\r\nLambda-Runtime-Invoked-Function-Arn: "
    b"arn:aws:lambda:us-east-1:000000000000:function:floor\r\nContent-Length: %d\r\n\r\n"
)
JOINED_BODY_BYTES = 32 * 1024  # above this, a copy costs more than a second block for the kernel
NULL_BODY = b'{"message": "hello"}'


class Exchange:
    """Where requests and runtimes meet: whoever comes first waits."""

    def __init__(self) -> None:
        self.idle_runtimes: deque[FloorProtocol] = deque()
        self.waiting: deque[tuple[FloorProtocol, bytes]] = deque()
        self.callers: dict[bytes, FloorProtocol] = {}
        self.invocations = 0

    def invoke(self, caller: "FloorProtocol", body: bytes) -> None:
        if self.idle_runtimes:
            self._hand_over(self.idle_runtimes.pop(), caller, body)
        else:
            self.waiting.append((caller, body))

    def next(self, runtime: "FloorProtocol") -> None:
        if self.waiting:
            self._hand_over(runtime, *self.waiting.popleft())
        else:
            self.idle_runtimes.append(runtime)

    def _hand_over(self, runtime: "FloorProtocol", caller: "FloorProtocol", body: bytes) -> None:
        self.invocations += 1
        request_id = b"00000000-0000-4000-8000-%012x" % self.invocations
        self.callers[request_id] = caller
        runtime.reply(NEXT_HEAD % (request_id, len(body)), body)

    def respond(self, runtime: "FloorProtocol", request_id: bytes, body: bytes) -> None:
        runtime.write(ACCEPTED)
        self.callers.pop(request_id).reply(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body), body
        )


class FloorProtocol(asyncio.Protocol):
    """One connection, of a caller or of a runtime."""

    __slots__ = ("_body", "_exchange", "_parser", "_path", "write", "write_lines")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        open_transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.write, self.write_lines = open_transport.write, open_transport.writelines

    def reply(self, head: bytes, body: bytes) -> None:
        if len(body) < JOINED_BODY_BYTES:
            self.write(head + body)
        else:
            self.write_lines((head, body))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url
        self._body = []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        path, body = self._path, b"".join(self._body)
        if path.endswith(b"/invocations"):
            self._exchange.invoke(self, body)
        elif path.endswith(b"/next"):
            self._exchange.next(self)
        elif path == b"/null":
            self.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(NULL_BODY), NULL_BODY))
        else:
            self._exchange.respond(self, path.rsplit(b"/", 2)[1], body)


async def serve(port: int) -> None:
    exchange = Exchange()
    server = await asyncio.get_running_loop().create_server(lambda: FloorProtocol(exchange), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
