"""The load: a process of its own that speaks just enough HTTP over sockets that stay open.

``python -m benchmarks.client`` reads one plan (JSON) from standard input and writes one outcome (JSON) to standard
output. Every reply is compared with the expected body; the first wrong one ends the run. With one client it blocks in
the socket, as a caller does; with several, one epoll loop drives them all: at some ten microseconds of processor
time for each request it stays far from being what is measured, and the outcome says how much it took. A server that
closes each connection after its reply (``closes``) is given a new one for each request, and the connecting counts.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any

RECEIVE_BYTES = 262_144
SOCKET_SECONDS_AT_MOST = 60.0


class WrongReply(Exception):  # noqa: N818 - reads as what happened
    """A reply that is not the expected one."""


class ReplyReader:
    """Collects one HTTP reply: by Content-Length or in chunks."""

    __slots__ = ("_body_at", "_data", "_length")

    def __init__(self) -> None:
        self._data = bytearray()
        self._body_at = 0
        self._length: int | None = None

    def feed(self, data: bytes) -> bool:
        """Takes what has arrived; True once the reply is whole."""
        self._data += data
        if not self._body_at:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._body_at = end + 4
            self._length = _content_length(bytes(self._data[:end]))
        if self._length is None:
            return self._data.endswith(b"0\r\n\r\n")
        return len(self._data) >= self._body_at + self._length

    @property
    def status_line(self) -> bytes:
        return bytes(self._data[: self._data.find(b"\r\n")])

    def body(self) -> bytes:
        raw = bytes(self._data[self._body_at :])
        return raw if self._length is not None else _join_chunks(raw)


def _content_length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return None


def _join_chunks(raw: bytes) -> bytes:
    pieces: list[bytes] = []
    position = 0
    while True:
        line_end = raw.index(b"\r\n", position)
        size = int(raw[position:line_end].split(b";")[0], 16)
        if size == 0:
            return b"".join(pieces)
        pieces.append(raw[line_end + 2 : line_end + 2 + size])
        position = line_end + 2 + size + 2


def build_request(host: str, port: int, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    fields = [f"Host: {host}:{port}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    fields += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join((f"POST {path} HTTP/1.1", *fields, "", "")).encode() + body


class Expectation:
    """What each reply must be. Almost every one arrives in one piece and passes the first, cheap test."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self._body = body
        self._begin = b"HTTP/1.1 %d " % status
        self._end = b"\r\n\r\n" + body

    def is_met_by(self, data: bytes) -> bool:
        return data.startswith(self._begin) and data.endswith(self._end)

    def verify(self, reader: ReplyReader) -> None:
        if not reader.status_line.startswith(self._begin) or reader.body() != self._body:
            raise WrongReply(f"{reader.status_line!r} {reader.body()[:300]!r}")


def connect(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=SOCKET_SECONDS_AT_MOST)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, request: bytes, expected: Expectation) -> None:
    """One request and its whole reply, blocking."""
    connection.sendall(request)
    data = connection.recv(RECEIVE_BYTES)
    if expected.is_met_by(data):
        return
    reader = ReplyReader()
    while not reader.feed(data):
        data = connection.recv(RECEIVE_BYTES)
        if not data:
            raise WrongReply("the connection was closed in the middle of a reply")
    expected.verify(reader)


def one_client(
    connection: socket.socket, request: bytes, expected: Expectation, *, requests: int, seconds: float
) -> list[int]:
    """Latencies in nanoseconds of requests one after the other, until either bound is reached."""
    return _latencies(partial(exchange, connection, request, expected), requests=requests, seconds=seconds)


def _latencies(once: Callable[[], None], *, requests: int, seconds: float) -> list[int]:
    latencies: list[int] = []
    now = time.perf_counter_ns()
    deadline = now + int(seconds * 1e9)
    while len(latencies) < requests and now < deadline:
        begun = now
        once()
        now = time.perf_counter_ns()
        latencies.append(now - begun)
    return latencies


def reconnecting_clients(
    address: tuple[str, int], request: bytes, expected: Expectation, *, clients: int, requests: int, seconds: float
) -> list[int]:
    """Latencies of clients that connect anew for each request, a thread each: such servers are slow enough for that."""
    each = partial(_reconnecting_client, address, request, expected, requests=requests // clients, seconds=seconds)
    with ThreadPoolExecutor(clients, thread_name_prefix="client") as threads:
        return list(chain.from_iterable(threads.map(lambda _: each(), range(clients))))


def _reconnecting_client(
    address: tuple[str, int], request: bytes, expected: Expectation, *, requests: int, seconds: float
) -> list[int]:
    def once() -> None:
        with connect(*address) as connection:
            exchange(connection, request, expected)

    return _latencies(once, requests=requests, seconds=seconds)


def many_clients(
    connections: list[socket.socket], request: bytes, expected: Expectation, *, requests: int, seconds: float
) -> list[int]:
    """Latencies of clients that each send their next request as soon as they have the reply to the last."""
    latencies: list[int] = []
    by_descriptor = {one.fileno(): one for one in connections}
    begun: dict[int, int] = {}
    partial: dict[int, ReplyReader] = {}
    deadline = time.perf_counter_ns() + int(seconds * 1e9)
    with select.epoll() as poll:
        for descriptor, connection in by_descriptor.items():
            poll.register(descriptor, select.EPOLLIN)
            begun[descriptor] = time.perf_counter_ns()
            connection.sendall(request)
        while begun:
            ready = poll.poll(SOCKET_SECONDS_AT_MOST)
            if not ready:
                raise WrongReply(f"no reply for {SOCKET_SECONDS_AT_MOST:g} s")
            for descriptor, _ in ready:
                connection = by_descriptor[descriptor]
                if not _is_complete(connection.recv(RECEIVE_BYTES), descriptor, partial, expected):
                    continue
                now = time.perf_counter_ns()
                latencies.append(now - begun.pop(descriptor))
                if now < deadline and len(latencies) + len(begun) < requests:
                    begun[descriptor] = now
                    connection.sendall(request)
    return latencies


def _is_complete(data: bytes, descriptor: int, partial: dict[int, ReplyReader], expected: Expectation) -> bool:
    if descriptor not in partial and expected.is_met_by(data):
        return True
    if not data:
        raise WrongReply("the connection was closed")
    reader = partial.setdefault(descriptor, ReplyReader())
    if not reader.feed(data):
        return False
    expected.verify(partial.pop(descriptor))
    return True


def carry_out(plan: dict[str, Any]) -> dict[str, Any]:
    """Runs a plan (a ``load.Target`` and a ``load.Load`` as JSON)."""
    request = build_request(plan["host"], plan["port"], plan["path"], plan["body"].encode(), plan["headers"])
    expected = Expectation(plan["expected"].encode(), plan["status"])
    bounds = {"requests": plan["requests"], "seconds": plan["seconds"]}
    if plan["closes"]:
        clients = partial(reconnecting_clients, (plan["host"], plan["port"]), request, expected)
        clients(clients=1, requests=plan["warmup_requests"], seconds=SOCKET_SECONDS_AT_MOST)
        return _timed(lambda: clients(clients=plan["clients"], **bounds))
    connections = [connect(plan["host"], plan["port"]) for _ in range(plan["clients"])]
    try:
        for _ in range(plan["warmup_requests"]):
            exchange(connections[0], request, expected)
        if len(connections) == 1:
            return _timed(lambda: one_client(connections[0], request, expected, **bounds))
        return _timed(lambda: many_clients(connections, request, expected, **bounds))
    finally:
        for connection in connections:
            connection.close()


def _timed(send: Callable[[], list[int]]) -> dict[str, Any]:
    begun, cpu_begun = time.perf_counter(), time.process_time()
    latencies = send()
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
    return {"latencies_ns": latencies, "wall_seconds": wall, "client_cpu_seconds": cpu}


if __name__ == "__main__":
    try:
        outcome = carry_out(json.load(sys.stdin))
    except (WrongReply, OSError) as failure:
        sys.exit(f"{type(failure).__name__}: {failure}")
    json.dump(outcome, sys.stdout)
