"""What the connections of one kind of listener share: rules, routes, time and the connections themselves.

Belongs to the loop's thread; ``call_soon`` is thread-safe.
"""

import asyncio
import contextlib
import select
from collections.abc import Callable
from threading import get_ident
from typing import Any

from rie_server.api.exchange import Reply, Request
from rie_server.http.encoding import StatusLines
from rie_server.http.limits import LAMBDA_BODIES, RUNTIME_BODIES, Timeouts
from rie_server.http.outbox import Outbox
from rie_server.http.protocol import HttpProtocol

# Answers a request by calling ``send`` once, now or later, from any thread.
Handle = Callable[[Request, Callable[[Reply], None]], None]


class Listener:
    """
    Attributes:
        kind: ``lambda`` or ``runtime``.
        handle: set before the first connection.
        draining: every reply from now on ends its connection.
        death_events: what ``select.poll`` is asked about a connection, besides errors and resets.
        closes_on_eof: a client that closes its writing side wants no reply any more.
        tick: counts up every ``tick_seconds``; timeouts are measured in it, so that no request reads a clock.
    """

    __slots__ = (
        "bodies",
        "closes_on_eof",
        "connections",
        "death_events",
        "draining",
        "handle",
        "kind",
        "loop",
        "loop_thread",
        "outbox",
        "status_lines",
        "tick",
        "tick_seconds",
        "timeouts",
    )

    def __init__(self, kind: str, loop: asyncio.AbstractEventLoop, timeouts: Timeouts, tick_seconds: float) -> None:
        is_runtime = kind == "runtime"
        self.kind = kind
        self.handle: Handle = _not_mounted
        self.loop = loop
        self.loop_thread = get_ident()
        self.timeouts = timeouts
        self.bodies = RUNTIME_BODIES if is_runtime else LAMBDA_BODIES
        self.death_events = select.POLLRDHUP if is_runtime else 0
        self.closes_on_eof = is_runtime
        self.status_lines = StatusLines()
        self.connections: set[HttpProtocol] = set()
        self.outbox = Outbox(loop)
        self.draining = False
        self.tick = 0
        self.tick_seconds = tick_seconds

    def protocol(self) -> HttpProtocol:
        return HttpProtocol(self)

    def call_soon(self, callback: Callable[..., Any], *arguments: Any) -> None:
        # A loop that is closed has no connection left that could be written to.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(callback, *arguments)

    def on_tick(self, epoch_seconds: float) -> None:
        self.tick += 1
        self.status_lines.set_time(epoch_seconds)
        for connection in tuple(self.connections):
            connection.check_timeouts()

    def close_idle(self) -> None:
        """Ends the connections that wait for no reply; a request that is on its way on one of them is lost."""
        for connection in tuple(self.connections):
            connection.close_when_idle()

    @property
    def is_busy(self) -> bool:
        return any(connection.is_busy for connection in self.connections)

    def abort(self) -> None:
        self.outbox.flush()
        for connection in tuple(self.connections):
            connection.abort()


def _not_mounted(_request: Request, _send: Callable[[Reply], None]) -> None:
    raise AssertionError("A listener accepts before anything is mounted on it")
