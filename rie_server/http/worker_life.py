"""The life of a worker: build the server, serve the Runtime API, start, serve the Lambda API, say that it is ready; on
SIGTERM the same backwards, with a drain in between. No environment outlives it: not after SIGINT, nor when the arbiter
is killed.
"""

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import uvloop

from rie_server.errors import RieError
from rie_server.http.binding import bind
from rie_server.http.front import Front

if TYPE_CHECKING:
    from rie_server.api.serving import Server

log = logging.getLogger(__name__)

# For the last bytes of replies once nothing is in flight any more.
_FLUSH_SECONDS = 2.0
_LINGER_SECONDS = 1.0
_LIFECYCLE_THREADS = 3


def live(worker: Any) -> bool:
    """Blocks until the server has stopped; False where it failed, which has been said.

    Args:
        worker: gunicorn's, with listening sockets, and ``serve.Application`` as its ``app``.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(WorkerLife(worker).run())


class WorkerLife:
    """Made on the loop's thread, and used there alone."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._app = worker.app
        self._stopping, self._hurrying = asyncio.Event(), asyncio.Event()
        self._superseded = False

    async def run(self) -> bool:
        try:
            await self._serve()
        except RieError as error:
            sys.stderr.write(f"rie: {error}\n")
            return False
        except Exception:
            log.exception("The server failed")
            return False
        return True

    async def _serve(self) -> None:
        self._on_signals()
        # start, drain and stop block; a stop may overtake a drain.
        lifecycle = ThreadPoolExecutor(_LIFECYCLE_THREADS, thread_name_prefix="lifecycle")
        asyncio.get_running_loop().set_default_executor(lifecycle)
        server_settings = self._app.settings
        build, create_app = _named(self._app.build_path), _named(self._app.app_path)
        front = Front(now=self._app.now, on_tick=self._on_tick)
        server: Server = build(server_settings, front.listen)
        front.mount(server, create_app(server_settings, server))
        sockets = [wrapped.sock for wrapped in self._worker.sockets]
        try:
            await self._start(front, server, sockets)
            await self._stopping.wait()
            await self._drain(front, server, sockets)
        finally:
            await asyncio.to_thread(server.stop)
            await front.close()

    async def _start(self, front: Front, server: "Server", sockets: list[socket.socket]) -> None:
        lambda_socket, runtime_socket = sockets
        await front.open_runtime(runtime_socket)
        await asyncio.to_thread(server.start)
        for host, port in getattr(server, "runtime_bind_addresses", ()):
            further = bind(host, port, "RIE_RUNTIME_HOST and RIE_RUNTIME_PORT", shared=True)
            sockets.append(further)
            await front.open_runtime(further)
        if self._stopping.is_set():
            return
        await front.open_lambda(lambda_socket)
        # What lives now lives for ever: the collector, which ``worker`` has stopped, need not look at it again.
        gc.collect()
        gc.freeze()
        gc.enable()
        sys.stdout.write(f"{server.ready_line()}\n")
        sys.stdout.flush()

    async def _drain(self, front: Front, server: "Server", sockets: list[socket.socket]) -> None:
        front.close_socket(sockets[0])
        front.drain_lambda()
        if self._superseded:
            for runtime_socket in sockets[1:]:
                front.close_socket(runtime_socket)
            # The next worker answers already. Callers who keep their connection open learn from its next reply that it
            # ends, so that no request of theirs meets a connection which is just being closed.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurrying.wait(), _LINGER_SECONDS)
        front.close_idle_lambda()
        if self._hurrying.is_set():
            return
        loop, seconds = asyncio.get_running_loop(), self._app.settings.drain_seconds
        over_at = loop.time() + seconds
        draining = asyncio.create_task(asyncio.to_thread(server.drain, seconds))
        hurrying = asyncio.create_task(self._hurrying.wait())
        await asyncio.wait((draining, hurrying), return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if draining.done():
            draining.result()
            # With time left everybody has a reply, and only the kernel has to take it; otherwise this would wait for
            # the very invocations that nobody waits for any longer.
            if loop.time() < over_at:
                await _flush(front)

    # --- signals and the heartbeat ---

    def _on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._hurry)
        loop.add_signal_handler(signal.SIGQUIT, self._hurry)
        loop.add_signal_handler(signal.SIGHUP, self._give_way)
        loop.add_signal_handler(signal.SIGUSR1, self._worker.log.reopen_files)

    def _hurry(self) -> None:
        self._hurrying.set()
        self._stopping.set()

    def _give_way(self) -> None:
        """A reload: the next worker takes the shared listeners over, so new environments must not end up here."""
        self._superseded = True

    def _on_tick(self) -> None:
        self._worker.notify()
        if os.getppid() != self._worker.ppid and not self._stopping.is_set():
            log.error("The arbiter is gone; the server stops.")
            self._hurry()


async def _flush(front: Front) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FLUSH_SECONDS):
            while front.is_lambda_busy:  # noqa: ASYNC110 - nobody tells when the kernel has taken the last byte
                await asyncio.sleep(0.01)


def _named(path: str) -> Any:
    """What ``module:name`` means."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
