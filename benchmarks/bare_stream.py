"""A bare copy: bytes from one socket to another through one uvloop process, the least that streaming can cost.

``python -m benchmarks.bare_stream relay PORT SOURCE_PORT`` copies; ``python -m benchmarks.bare_stream source PORT``
sends, to whoever asks for a number of bytes, the time of its first write and then the bytes, as
``functions/streaming_bootstrap.py`` does.
"""

import asyncio
import socketserver
import sys
import time
from typing import cast

import uvloop

PIECE = b"x" * 65536


class Relay(asyncio.Protocol):
    """One side of a copy; ``other`` is the other one, and neither reads faster than the other writes."""

    def __init__(self, source_port: int | None) -> None:
        self._source_port = source_port
        self._early: list[bytes] = []
        self.other: Relay | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._source_port is not None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(self._source_port))

    async def _connect(self, source_port: int) -> None:
        _, other = await asyncio.get_running_loop().create_connection(lambda: Relay(None), "127.0.0.1", source_port)
        self.other, other.other = other, self
        for data in self._early:
            other.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        else:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self.other is not None:
            self.other.transport.close()


class Source(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        size_bytes = int(self.rfile.readline())
        self.wfile.write(f"@{time.time():.6f}@".encode())
        for _ in range(size_bytes // len(PIECE)):
            self.wfile.write(PIECE)


class SourceServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


async def relay(port: int, source_port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Relay(source_port), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "relay":
        uvloop.run(relay(int(sys.argv[2]), int(sys.argv[3])))
    else:
        with SourceServer(("127.0.0.1", int(sys.argv[2])), Source) as source:
            source.serve_forever()
