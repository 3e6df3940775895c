"""What the composition root hands to whoever serves HTTP: the event-loop worker, or any WSGI server.

A description only. ``start``, ``drain`` and ``stop`` block and are called from a thread that may; the rest may be
called from any thread.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from rie_server.api.exchange import Deferred, HotRoute, Reply, Request
from rie_server.api.guard import Urls
from rie_server.config import Settings

Operation = Callable[[Request], Reply | Deferred]

# Starts to serve the Runtime API on a bound, listening, non-blocking socket; returns what closes it.
Listen = Callable[[socket.socket], Callable[[], None]]


class Server(Protocol):
    """Everything behind the two listeners.

    A server may also have ``runtime_bind_addresses``, further ``(host, port)`` pairs on which the worker serves the
    Runtime API; it is read after ``start``.
    """

    @property
    def settings(self) -> Settings: ...

    @property
    def hot_routes(self) -> Sequence[HotRoute]: ...

    @property
    def lambda_api(self) -> Operation:
        """Every request to the Lambda API that is not hot. May block."""

    @property
    def function_urls(self) -> Urls | None:
        """The front of function URLs. Never blocks."""

    @property
    def runtime_api(self) -> Operation:
        """Every request to the Runtime API. Never blocks."""

    def start(self) -> None: ...

    def drain(self, seconds: float) -> None:
        """Returns when no invocation is in flight any more, or after ``seconds``."""

    def stop(self) -> None:
        """Ends every environment and joins every thread."""

    def ready_line(self) -> str:
        """What a person is told once the server answers."""
