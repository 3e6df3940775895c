"""The gunicorn worker class: one process, one uvloop, both listeners.

Imported by the arbiter, so it imports nothing of the application; that happens in the worker's own process. The life of
a worker: build the server, serve the Runtime API, start, serve the Lambda API, say that it is ready; on SIGTERM the
same backwards, with a drain in between. No environment outlives it: not after SIGINT, nor when the arbiter is killed.
"""

import asyncio
import contextlib
import faulthandler
import gc
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from gunicorn.workers.base import Worker

from rie_server.errors import RieError
from rie_server.http.binding import bind

if TYPE_CHECKING:
    from rie_server.api.serving import Server
    from rie_server.http.front import Front

log = logging.getLogger(__name__)

# The arbiter takes this status as "does not start at all" and gives up instead of trying again.
BOOT_FAILED = 3

# For the last bytes of replies once nothing is in flight any more.
_FLUSH_SECONDS = 2.0
_LINGER_SECONDS = 1.0
_LIFECYCLE_THREADS = 3
# The loop does not wait for a thread that computes for longer than this.
_SWITCH_INTERVAL_SECONDS = 0.001


class RieWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Its ``app`` is ``serve.Application``, which carries the settings and names what builds server and Flask app."""

    def load_wsgi(self) -> None:
        """The app needs the server, and the server needs the loop: see ``_serve``."""

    def init_signals(self) -> None:
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        faulthandler.enable()  # SIGABRT is what the arbiter sends to a worker whose loop stands still

    def run(self) -> None:
        import uvloop  # noqa: PLC0415 - the arbiter does without

        sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
        self._status = 0
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._guarded(self._serve()))
        if self._status:
            sys.exit(self._status)

    async def _guarded(self, life: Coroutine[Any, Any, None]) -> None:
        try:
            await life
        except RieError as error:
            sys.stderr.write(f"rie: {error}\n")
            self._status = BOOT_FAILED
        except Exception:
            log.exception("The server failed")
            self._status = BOOT_FAILED

    # --- the life of a worker ---

    async def _serve(self) -> None:
        from rie_server.http.front import Front  # noqa: PLC0415 - Flask is not for the arbiter

        self._stopping, self._hurrying = asyncio.Event(), asyncio.Event()
        self._superseded = False
        self._on_signals()
        # start, drain and stop block; a stop may overtake a drain.
        lifecycle = ThreadPoolExecutor(_LIFECYCLE_THREADS, thread_name_prefix="lifecycle")
        asyncio.get_running_loop().set_default_executor(lifecycle)
        server_settings = self.app.settings
        build, create_app = _named(self.app.build_path), _named(self.app.app_path)
        front = Front(now=self.app.now, on_tick=self._on_tick)
        server: Server = build(server_settings, front.listen)
        front.mount(server, create_app(server_settings, server))
        sockets = [wrapped.sock for wrapped in self.sockets]
        try:
            await self._start(front, server, sockets)
            await self._stopping.wait()
            await self._drain(front, server, sockets)
        finally:
            await asyncio.to_thread(server.stop)
            await front.close()

    async def _start(self, front: "Front", server: "Server", sockets: list[socket.socket]) -> None:
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
        # What lives now lives for ever: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        sys.stdout.write(f"{server.ready_line()}\n")
        sys.stdout.flush()

    async def _drain(self, front: "Front", server: "Server", sockets: list[socket.socket]) -> None:
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
        loop, seconds = asyncio.get_running_loop(), self.app.settings.drain_seconds
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
        loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)

    def _hurry(self) -> None:
        self._hurrying.set()
        self._stopping.set()

    def _give_way(self) -> None:
        """A reload: the next worker takes the shared listeners over, so new environments must not end up here."""
        self._superseded = True

    def _on_tick(self) -> None:
        self.notify()
        if os.getppid() != self.ppid and not self._stopping.is_set():
            log.error("The arbiter is gone; the server stops.")
            self._hurry()


async def _flush(front: "Front") -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FLUSH_SECONDS):
            while front.is_lambda_busy:  # noqa: ASYNC110 - nobody tells when the kernel has taken the last byte
                await asyncio.sleep(0.01)


def _named(path: str) -> Any:
    """What ``module:name`` means."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
