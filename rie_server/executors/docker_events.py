"""Waits on one thread for the ends of all containers of this process.

The engine's event stream may break when the engine restarts; then every container that was running is asked for, so
that no end is missed. Thread-safe.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from rie_server.executors.docker_container import OWNER_LABEL
from rie_server.executors.docker_engine import DockerEngine

log = logging.getLogger(__name__)

_RECONNECT_SECONDS = 0.5
_KILLED = 137


class ContainerEnds:
    """Calls ``on_end(container_id, exit_code)`` from its thread; it may come more than once for a container.

    Args:
        running: the ids of the containers that are believed to run.
    """

    def __init__(
        self,
        *,
        engine: DockerEngine,
        owner: str,
        on_end: Callable[[str, int], None],
        running: Callable[[], Sequence[str]],
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._on_end = on_end
        self._running = running
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._stream: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Returns once the engine reports ends; harmless when it does already."""
        if self._thread is not None:
            return
        # I/O under a lock, once: nobody may start a container before its end would be heard.
        with self._starting:
            if self._thread is None:
                self._stream = self._subscribe()
                thread = threading.Thread(target=self._run, name="docker-events", daemon=True)
                thread.start()
                self._thread = thread

    def close(self) -> None:
        self._closing.set()
        if self._stream is not None:
            with contextlib.suppress(Exception):
                self._stream.close()
        if self._thread is not None:
            self._thread.join()

    def _subscribe(self) -> Any:
        filters = {"type": "container", "event": "die", "label": f"{OWNER_LABEL}={self._owner}"}
        return self._engine.api().events(filters=filters, decode=True)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                for event in self._stream:
                    actor = event.get("Actor") or {}
                    code = (actor.get("Attributes") or {}).get("exitCode", _KILLED)
                    self._on_end(str(actor.get("ID") or event.get("id")), int(code))
            except Exception:
                if not self._closing.is_set():
                    log.warning("the engine's events have ended; asking again", exc_info=True)
            # A pause that close() cuts short; no rule depends on its length.
            if self._closing.wait(_RECONNECT_SECONDS):
                return
            self._reconnect()

    def _reconnect(self) -> None:
        with contextlib.suppress(Exception):
            self._stream = self._subscribe()
            for container_id in self._running():
                self._look_at(container_id)

    def _look_at(self, container_id: str) -> None:
        from docker.errors import NotFound  # noqa: PLC0415 -- optional, and slow to import

        try:
            state = self._engine.api().inspect_container(container_id)["State"]
        except NotFound:
            self._on_end(container_id, _KILLED)
            return
        if state["Status"] in ("exited", "dead"):
            self._on_end(container_id, int(state["ExitCode"]))
