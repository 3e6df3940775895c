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
        self.unread: list[bytes] = []

    def flush_output(self) -> None:
        while self.unread:
            self.observer.on_output(self.unread.pop(0))

    def peak_memory_mb(self, *, max_age_seconds: float = 0.0) -> int:
        return 0 if self.stopped else 21

    def stop(self, *, grace_seconds: float = 0.0) -> None:
        self.stopped = True

    def exit(self, *, status: int | None = None, signal: int | None = None) -> None:
        self.observer.on_exit(EnvironmentExit(status=status, signal=signal))


class FakeExecutor:
    name = "fake"

    def __init__(self) -> None:
        self.started: list[FakeRunning] = []
        self.failure: EnvironmentStartError | None = None

    def start(self, spec: EnvironmentSpec, observer: EnvironmentObserver) -> FakeRunning:
        if self.failure is not None:
            raise self.failure
        running = FakeRunning(spec, observer)
        self.started.append(running)
        return running

    def supports(self, function: FunctionVersion) -> str | None:
        return None

    def remove_orphans(self) -> int:
        return 0

    def close(self) -> None: ...
