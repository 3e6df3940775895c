"""The two listeners on one event loop: opens and closes them, ticks, and ends them in the right order.

``listen`` is thread-safe and may be called before the loop runs; everything else belongs to the loop's thread.
"""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rie_server.api.guard import Guard
from rie_server.api.routing import HotTable
from rie_server.api.serving import Server
from rie_server.http.hot_path import HotPath
from rie_server.http.limits import Timeouts
from rie_server.http.listener import Listener
from rie_server.http.wsgi import Application, WsgiOperation

BACKLOG = 2048
LAMBDA_API_THREADS = 8
TICK_SECONDS = 1.0

LAMBDA_TIMEOUTS = Timeouts()
RUNTIME_TIMEOUTS = Timeouts(idle_seconds=None)


class Front:
    """
    Args:
        now: the time for Date headers.
        on_tick: called once a tick on the loop's thread.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        on_tick: Callable[[], None] | None = None,
        tick_seconds: float = TICK_SECONDS,
        lambda_timeouts: Timeouts = LAMBDA_TIMEOUTS,
        runtime_timeouts: Timeouts = RUNTIME_TIMEOUTS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._on_tick = on_tick
        self._tick_seconds = tick_seconds
        self._threads = ThreadPoolExecutor(LAMBDA_API_THREADS, thread_name_prefix="lambda-api")
        self._lambda = Listener("lambda", self._loop, lambda_timeouts, tick_seconds)
        self._runtime = Listener("runtime", self._loop, runtime_timeouts, tick_seconds)
        self._sockets: dict[socket.socket, asyncio.AbstractServer | None] = {}
        self._openings: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Handle = self._loop.call_soon(self._tick)

    def mount(self, server: Server, application: Application) -> None:
        """What the listeners answer with; before the first of them accepts."""
        guard = Guard(server.settings, server.function_urls)
        self._lambda.handle = HotPath(
            listener="lambda",
            table=HotTable(server.hot_routes, "lambda"),
            guard=guard,
            other=WsgiOperation(application, "lambda"),
            threads=self._threads,
        ).handle
        self._runtime.handle = HotPath(
            listener="runtime",
            table=HotTable(server.hot_routes, "runtime"),
            guard=None,
            other=WsgiOperation(application, "runtime"),
            threads=None,
        ).handle

    def listen(self, listener_socket: socket.socket) -> Callable[[], None]:
        """Serves the Runtime API on ``listener_socket`` from the loop's next turn on; until then the kernel lets
        clients wait. Returns what closes it.
        """
        self._runtime.call_soon(self._open_soon, listener_socket)

        def close() -> None:
            self._runtime.call_soon(self.close_socket, listener_socket)

        return close

    def _open_soon(self, listener_socket: socket.socket) -> None:
        self._sockets[listener_socket] = None
        opening = self._loop.create_task(self._open(self._runtime, listener_socket))
        self._openings.add(opening)
        opening.add_done_callback(self._openings.discard)

    async def open_lambda(self, listener_socket: socket.socket) -> None:
        self._sockets[listener_socket] = None
        await self._open(self._lambda, listener_socket)

    async def open_runtime(self, listener_socket: socket.socket) -> None:
        self._sockets[listener_socket] = None
        await self._open(self._runtime, listener_socket)

    async def _open(self, listener: Listener, listener_socket: socket.socket) -> None:
        if listener_socket not in self._sockets:
            listener_socket.close()  # closed before it was opened
            return
        server = await self._loop.create_server(listener.protocol, sock=listener_socket, backlog=BACKLOG)
        if listener_socket in self._sockets:
            self._sockets[listener_socket] = server
        else:
            server.close()

    def close_socket(self, listener_socket: socket.socket) -> None:
        """Accepts nothing more on ``listener_socket``; its connections go on. Idempotent."""
        server = self._sockets.pop(listener_socket, None)
        if server is not None:
            server.close()

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(self._tick_seconds, self._tick)
        epoch_seconds = self._now()
        self._lambda.on_tick(epoch_seconds)
        self._runtime.on_tick(epoch_seconds)
        if self._on_tick is not None:
            self._on_tick()

    def drain_lambda(self) -> None:
        """From now on every reply of the Lambda API ends its connection."""
        self._lambda.draining = True

    def close_idle_lambda(self) -> None:
        """Ends the connections of the Lambda API on which nobody waits for a reply."""
        self._lambda.close_idle()

    @property
    def is_lambda_busy(self) -> bool:
        """Whether a client of the Lambda API still waits for a reply, or for the rest of one."""
        return self._lambda.is_busy

    async def close(self) -> None:
        """Ends every listener, connection and thread."""
        self._ticking.cancel()
        while self._openings:
            await asyncio.wait(self._openings)
        for listener_socket in tuple(self._sockets):
            self.close_socket(listener_socket)
        self._lambda.abort()
        self._runtime.abort()
        await self._loop.run_in_executor(None, self._threads.shutdown)
        await self._loop.shutdown_default_executor()
