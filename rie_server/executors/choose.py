"""Chooses what runs functions, by the ``RIE_EXECUTOR`` setting, and says what it chose. Thread-safe.

``auto`` takes Docker for whatever it can run there, and processes for zip functions otherwise: where no engine answers,
or where there is no image for the runtime.
"""

from typing import Protocol, TypeVar

from rie_server.config import Settings
from rie_server.errors import EnvironmentStartError
from rie_server.executors.docker import DockerExecutor
from rie_server.executors.process import ProcessExecutor
from rie_server.model.environment import EnvironmentSpec
from rie_server.model.function import FunctionVersion
from rie_server.ports import Clock, EnvironmentObserver, Executor, ImagePreparer, RunningEnvironment, RuntimeEndpoints


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


class OnlyDocker(DockerExecutor):
    @property
    def images(self) -> ImagePreparer:
        return self

    @property
    def choice(self) -> str:
        reason = self.unavailable()
        return "functions run in Docker containers" if reason is None else f"functions cannot run now: {reason}"


class AutoExecutor:
    """Docker where it can, else processes; decided anew for every start, because an engine may come or go."""

    name = "auto"

    def __init__(self, *, docker: DockerExecutor, process: ProcessExecutor) -> None:
        self._docker = docker
        self._process = process

    @property
    def images(self) -> ImagePreparer:
        return self._docker

    @property
    def choice(self) -> str:
        reason = self._docker.unavailable()
        if reason is None:
            return "functions run in Docker containers, zip functions without a runtime image as processes"
        return f"zip functions run as processes; images cannot run: {reason}"

    def start(self, spec: EnvironmentSpec, observer: EnvironmentObserver) -> RunningEnvironment:
        return self._executor_of(spec.function).start(spec, observer)

    def supports(self, function: FunctionVersion) -> str | None:
        in_docker = self._docker.supports(function)
        if in_docker is None:
            return None
        as_process = self._process.supports(function)
        if as_process is None:
            return None
        return in_docker if function.image_uri is not None else f"{as_process}; {in_docker}"

    def remove_orphans(self) -> int:
        return self._process.remove_orphans() + self._docker.remove_orphans()

    def close(self) -> None:
        self._docker.close()
        self._process.close()

    def bridge_gateway(self) -> str | None:
        return self._docker.bridge_gateway()

    def _executor_of(self, function: FunctionVersion) -> Executor:
        if function.image_uri is not None or self._docker.supports(function) is None:
            return self._docker
        return self._process


_Process = TypeVar("_Process", bound=ProcessExecutor)
_Docker = TypeVar("_Docker", bound=DockerExecutor)


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

    def docker(kind: type[_Docker]) -> _Docker:
        image = settings.runtime_image
        return kind(server_id=server_id, owner=owner, runtime_image=image, endpoints=endpoints, clock=clock)

    match settings.executor:
        case "process":
            return process(OnlyProcesses)
        case "docker":
            return docker(OnlyDocker)
        case _:
            return AutoExecutor(docker=docker(DockerExecutor), process=process(ProcessExecutor))
