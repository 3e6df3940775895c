"""Images: whether they are here, and getting them here. Fills the ``ImagePreparer`` port. Thread-safe."""

import threading
from typing import Any

from rie_server.errors import EnvironmentStartError
from rie_server.executors.docker_engine import DockerEngine, EngineUnavailableError
from rie_server.executors.docker_failures import missing_image
from rie_server.ports import Clock

_ABSENCE_SECONDS = 5.0


class DockerImages:
    def __init__(self, *, engine: DockerEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._present: set[str] = set()
        self._absent_since: dict[str, float] = {}
        self._extensions: dict[str, tuple[str, ...]] = {}

    def prepare_image(self, image_uri: str) -> str:
        try:
            api = self._engine.api()
        except EngineUnavailableError as refused:
            raise EnvironmentStartError("Sandbox.Failure", str(refused)) from refused
        found = self._inspect(api, image_uri)
        if found is None:
            self._pull(api, image_uri)
            found = self._inspect(api, image_uri)
        if found is None:
            raise missing_image(image_uri)
        for digest in found.get("RepoDigests") or ():
            return str(digest).rpartition("@")[2]
        return str(found["Id"])

    def is_present(self, image: str) -> bool:
        """Whether the image is on this machine; remembered for ever when it is and for some seconds when not.

        Raises:
            EngineUnavailableError: nobody knows.
        """
        with self._lock:
            if image in self._present:
                return True
            since = self._absent_since.get(image)
        now = self._clock.monotonic()
        if since is not None and now - since < _ABSENCE_SECONDS:
            return False
        present = self._inspect(self._engine.api(), image) is not None
        with self._lock:
            if present:
                self._present.add(image)
            else:
                self._absent_since[image] = now
        return present

    def forget(self, image: str) -> None:
        """The image has turned out to be gone."""
        with self._lock:
            self._present.discard(image)

    def command_of(self, image: str) -> tuple[str, ...] | None:
        """The command an image brings along: an entry point of the function's own does not take it away."""
        found = self._inspect(self._engine.api(), image)
        command = (found or {}).get("Config", {}).get("Cmd")
        return tuple(command) if command else None

    def start_of(self, image: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The entry point and the command that an image brings along."""
        config = (self._inspect(self._engine.api(), image) or {}).get("Config", {})
        return tuple(config.get("Entrypoint") or ()), tuple(config.get("Cmd") or ())

    def extensions_of(self, image: str) -> tuple[str, ...] | None:
        """The extensions in an image; None when nobody has looked into what its name means now."""
        found = self._inspect(self._engine.api(), image)
        return None if found is None else self._extensions.get(found["Id"])

    def remember_extensions(self, image: str, names: tuple[str, ...]) -> tuple[str, ...]:
        """Keeps what was found in an image, which never changes; its name may come to mean another one."""
        found = self._inspect(self._engine.api(), image)
        if found is not None:
            self._extensions[found["Id"]] = names
        return names

    def _inspect(self, api: Any, image: str) -> dict[str, Any] | None:
        from docker.errors import APIError, NotFound  # noqa: PLC0415 -- optional, and slow to import

        try:
            found: dict[str, Any] = api.inspect_image(image)
        except NotFound:
            return None
        except APIError as refused:
            if refused.is_client_error():
                raise missing_image(image, str(refused.explanation)) from refused
            raise EngineUnavailableError(f"the Docker engine refuses: {refused.explanation}") from refused
        return found

    def _pull(self, api: Any, image: str) -> None:
        from docker.errors import APIError  # noqa: PLC0415 -- optional, and slow to import
        from docker.utils import parse_repository_tag  # noqa: PLC0415 -- the same

        repository, tag = parse_repository_tag(image)
        try:
            for step in api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                if "error" in step:
                    raise missing_image(image, str(step["error"]))
        except APIError as refused:
            raise missing_image(image, str(refused.explanation)) from refused
