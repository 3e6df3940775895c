"""One HTTP exchange, without a framework: Request in, Reply or Deferred out.

The hot operations are plain functions over these three and know neither Flask nor the event loop. The worker in
``http`` calls them directly; ``api/mount.py`` wraps them as Flask views. Thread-safe: a Deferred may be completed from
any thread.

Either side may also have a body that comes in pieces (``api/body_stream.py``): a StreamedRequest is handed over when
its head is there, a StreamedReply goes out while it is being made.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rie_server.api.body_stream import BodyStream

JSON = "application/json"

# A request with this header saying ``streaming``, to a path that ends so, is handed over as a StreamedRequest.
STREAMING_HEADER = "lambda-runtime-function-response-mode"
STREAMING_SUFFIX = "/response"


class Connection(Protocol):
    """The transport a request came in on."""

    local_address: tuple[str, int]
    peer_address: str

    def is_alive(self) -> bool:
        """False once the peer has closed or reset the connection, even if nobody has read that from the socket yet."""


class Request:
    """``path`` is URL-decoded without the query, which stays raw; header names are lower case.

    ``raw_path`` is the path as it was sent, percent-encoded: signatures are made of it. ``body_bytes`` is the length of
    the body as it was sent: more than ``len(body)`` where the server kept only the beginning of one that is larger than
    any operation accepts. ``scope`` is the region and the account of who has signed, once that is known for certain.
    """

    __slots__ = ("body", "body_bytes", "connection", "headers", "method", "path", "query", "raw_path", "scope")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        connection: Connection,
        body_bytes: int | None = None,
        raw_path: str | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.raw_path = path if raw_path is None else raw_path
        self.query = query
        self.headers = headers
        self.body = body
        self.body_bytes = len(body) if body_bytes is None else body_bytes
        self.connection = connection
        self.scope: tuple[str, str] | None = None


class StreamedRequest(Request):
    """A request whose body still arrives, in ``stream``; ``body`` is empty. An operation that answers before the end
    of the body ends the connection.
    """

    __slots__ = ("stream",)

    def __init__(
        self, method: str, path: str, query: str, headers: dict[str, str], stream: BodyStream, connection: Connection
    ) -> None:
        super().__init__(method, path, query, headers, b"", connection)
        self.stream = stream


class Reply:
    """``headers`` without Content-Length, Date and Connection, which the server adds."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


class ConstantReply(Reply):
    """The same reply to many requests: a server may keep what it made of it."""

    __slots__ = ()


class StreamedReply(Reply):
    """A reply whose body is still being made, in ``stream``: it goes out in chunks, and ``body`` is empty.

    The operation writes ``stream`` and heeds its ``on_flow``; the server attaches to it, holds it while the client is
    slow, and abandons it when the client is gone.
    """

    __slots__ = ("stream",)

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...], stream: BodyStream) -> None:
        super().__init__(status, headers)
        self.stream = stream


class Deferred:
    """A reply that comes later.

    The event-loop server calls ``attach`` and goes on; an ordinary WSGI server calls ``wait`` and blocks its thread.
    """

    __slots__ = ("_connection", "_done", "_lock", "_reply", "_send")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._reply: Reply | None = None
        self._send: Callable[[Reply], None] | None = None
        self._done: threading.Event | None = None

    def is_connected(self) -> bool:
        """Whether the one who waits for this reply still does."""
        return self._connection.is_alive()

    def complete(self, reply: Reply) -> None:
        """Delivers the reply; the first call wins, later ones are ignored."""
        with self._lock:
            if self._reply is not None:
                return
            self._reply = reply
            send, done = self._send, self._done
        if send is not None:
            send(reply)
        elif done is not None:
            done.set()

    def attach(self, send: Callable[[Reply], None]) -> None:
        """``send`` is called once with the reply, at once if it is there, from whichever thread completes."""
        with self._lock:
            self._send = send
            reply = self._reply
        if reply is not None:
            send(reply)

    def wait(self, timeout_seconds: float | None = None) -> Reply | None:
        """Blocks until the reply is there; None after ``timeout_seconds``."""
        with self._lock:
            if self._reply is not None:
                return self._reply
            self._done = threading.Event()
        self._done.wait(timeout_seconds)
        return self._reply


HotOperation = Callable[[Request], Reply | Deferred]


@dataclass(frozen=True, slots=True, kw_only=True)
class HotRoute:
    """A hot operation and where it is mounted: paths that start with ``prefix`` and end with ``suffix``; without a
    suffix, ``prefix`` is the whole path.

    ``listener`` is ``lambda`` or ``runtime``: paths of one listener are 404 on the other.
    """

    listener: str
    method: str
    prefix: str
    suffix: str
    operation: HotOperation
