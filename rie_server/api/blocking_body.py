"""Bodies in pieces where every request has a thread that may block: any ordinary WSGI server."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Protocol

from rie_server.api.body_stream import BodyStream

# What may wait here for a client that is slow.
WAITING_BYTES = 256 * 1024
_READ_BYTES = 16 * 1024


class Readable(Protocol):
    """``wsgi.input``."""

    def read(self, size: int, /) -> bytes: ...


class BlockingBody:
    """The body of a StreamedReply as the iterable that WSGI asks for: one thread writes, the server's iterates."""

    def __init__(self, stream: BodyStream) -> None:
        self._stream = stream
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_over = self._is_broken = False
        stream.attach(self)

    # --- a Receiver ---

    def write(self, data: bytes) -> None:
        with self._changed:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            self._settle()

    def _settle(self) -> None:
        """Under the lock, so that a hold never comes after the release that answers it."""
        self._changed.notify()
        self._stream.hold(self._waiting_bytes > WAITING_BYTES)

    def finish(self, trailers: Mapping[str, str]) -> None:
        del trailers
        self._end(broken=False)

    def break_off(self) -> None:
        self._end(broken=True)

    def _end(self, *, broken: bool) -> None:
        with self._changed:
            self._is_over, self._is_broken = True, broken
            self._changed.notify()

    # --- an iterable of WSGI ---

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                while not (self._waiting or self._is_over):
                    self._changed.wait()
                if not self._waiting:
                    break
                data = b"".join(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                self._settle()
            yield data
        if self._is_broken:
            # The server ends the connection without the last chunk.
            raise ConnectionAbortedError("The body was broken off")

    def close(self) -> None:
        """Called by the server at the end, also when the client has left."""
        self._stream.abandon()


class BlockingRequestBody:
    """The body of a StreamedRequest, read from ``wsgi.input`` on the thread that serves it."""

    def __init__(self) -> None:
        self._may_read = threading.Event()
        self._may_read.set()
        self.stream = BodyStream(self._on_flow)

    def _on_flow(self) -> None:
        if self.stream.is_held:
            self._may_read.clear()
        else:
            self._may_read.set()

    def read_all(self, source: Readable) -> None:
        """Returns when the body has ended. An ordinary server hides trailers, and takes some for a broken body; it may
        hand over whole blocks only.
        """
        try:
            while data := source.read(_READ_BYTES):
                self.stream.write(data)
                self._may_read.wait()
        except OSError:
            self.stream.break_off()
        else:
            self.stream.finish()
