"""Executors that have Docker: alone, or beside processes."""

from rie_server.executors.docker import DockerExecutor
from rie_server.executors.process import ProcessExecutor
from rie_server.model.environment import EnvironmentSpec
from rie_server.model.function import FunctionVersion
from rie_server.ports import EnvironmentObserver, Executor, ImagePreparer, RunningEnvironment


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
