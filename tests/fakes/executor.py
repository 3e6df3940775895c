"""An executor whose runtimes are the test: it starts nothing and remembers everything."""

from rie_server.errors import EnvironmentStartError
from rie_server.model.environment import EnvironmentExit, EnvironmentSpec
from rie_server.model.function import FunctionVersion
from rie_server.ports import EnvironmentObserver


class FakeRunning:
    def __init__(self, spec: EnvironmentSpec, observer: EnvironmentObserver) -> None:
        self.spec = spec
        self.observer = observer
        self.stopped = False
        self.frozen = False
        self.runtime_started = False
        self.runtime_grace_seconds: float | None = None
        self.unread: list[bytes] = []

    def flush_output(self) -> None:
        while self.unread:
            self.observer.on_output(self.unread.pop(0))

    def peak_memory_mb(self, *, max_age_seconds: float = 0.0) -> int:
        return 0 if self.stopped else 21

    def start_runtime(self) -> None:
        self.runtime_started = True

    def end_runtime(self, *, grace_seconds: float) -> None:
        self.runtime_grace_seconds = grace_seconds

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False

    def stop(self) -> None:
        self.stopped = True

    def exit(self, *, status: int | None = None, signal: int | None = None) -> None:
        self.observer.on_exit(EnvironmentExit(status=status, signal=signal))

    def extension_exit(self, name: str, *, status: int | None = None, launch_error: str | None = None) -> None:
        self.observer.on_extension_exit(name, EnvironmentExit(status=status, launch_error=launch_error))


class FakeExecutor:
    name = "fake"

    def __init__(self) -> None:
        self.started: list[FakeRunning] = []
        self.failure: EnvironmentStartError | None = None
        self.extensions: tuple[str, ...] = ()

    def start(self, spec: EnvironmentSpec, observer: EnvironmentObserver) -> FakeRunning:
        if self.failure is not None:
            raise self.failure
        running = FakeRunning(spec, observer)
        if self.extensions:
            observer.on_extensions(self.extensions)
        self.started.append(running)
        return running

    def supports(self, function: FunctionVersion) -> str | None:
        return None

    def remove_orphans(self) -> int:
        return 0

    def close(self) -> None: ...
