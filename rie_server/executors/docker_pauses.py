"""Pausing containers: the engine freezes all their processes, and lets them go on.

Thread-safe; blocks for some milliseconds. What ends or is removed meanwhile is told on its own way.
"""

import logging

from rie_server.executors.docker_engine import DockerEngine

log = logging.getLogger(__name__)


class DockerPauses:
    """Fills ``docker_environment.Pauses``."""

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine

    def pause(self, container_id: str) -> None:
        self._ask("pause", container_id)

    def unpause(self, container_id: str) -> None:
        self._ask("unpause", container_id)

    def _ask(self, what: str, container_id: str) -> None:
        from docker.errors import APIError  # noqa: PLC0415 -- optional, and slow to import

        try:
            getattr(self._engine.api(), what)(container_id)
        except APIError as refused:
            # It is so already, does not run any more, or is gone.
            if not refused.is_client_error():
                log.warning("%s of container %s failed: %s", what, container_id[:12], refused)
