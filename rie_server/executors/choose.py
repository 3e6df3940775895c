"""Chooses what runs functions, by the ``RIE_EXECUTOR`` setting, and says what it chose. Thread-safe.

``auto`` takes Docker for whatever it can run there, and processes for zip functions otherwise: where no engine answers,
or where there is no image for the runtime. Whoever runs processes alone does not import what Docker needs.
"""

from typing import Protocol, TypeVar

from rie_server.config import Settings
from rie_server.errors import EnvironmentStartError
from rie_server.executors.process import ProcessExecutor
from rie_server.ports import Clock, Executor, ImagePreparer, RuntimeEndpoints


class ChosenExecutor(Executor, Protocol):
    """An executor with what wiring must know of it."""

    @property
    def images(self) -> ImagePreparer: ...

    @property
    def choice(self) -> str:
        """One line for a person: what runs functions here, and why."""

    def bridge_gateway(self) -> str | None:
        """Where the Runtime API must listen for containers; None when there are none."""


class NoImages:
    """Images where only processes run."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def prepare_image(self, image_uri: str) -> str:
        raise EnvironmentStartError("InvalidImage", f"{image_uri} cannot be used: {self._reason}")


class OnlyProcesses(ProcessExecutor):
    images = NoImages("a function image needs Docker, and this server runs processes only")
    choice = "functions run as processes; images need RIE_EXECUTOR=docker or auto"

    def bridge_gateway(self) -> str | None:
        return None


_Process = TypeVar("_Process", bound=ProcessExecutor)


def choose_executor(
    settings: Settings, *, server_id: str, owner: str, endpoints: RuntimeEndpoints, clock: Clock
) -> ChosenExecutor:
    def process(kind: type[_Process]) -> _Process:
        return kind(
            server_id=server_id,
            data_dir=settings.data_dir,
            endpoints=endpoints,
            clock=clock,
            freezing=bool(settings.freeze),
            lambda_url=settings.lambda_url,
        )

    if settings.executor == "process":
        return process(OnlyProcesses)
    from rie_server.executors.docker_choices import AutoExecutor, OnlyDocker  # noqa: PLC0415 - see above

    docker = OnlyDocker(
        server_id=server_id, owner=owner, runtime_image=settings.runtime_image, endpoints=endpoints, clock=clock
    )
    return docker if settings.executor == "docker" else AutoExecutor(docker=docker, process=process(ProcessExecutor))
