"""What an executor tells of one environment, passed on to those who act on it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from rie_server.errors import EnvironmentStartError
from rie_server.invoke.environments import Environment
from rie_server.model.environment import EnvironmentExit
from rie_server.model.function_errors import PlatformError
from rie_server.model.log_record import LogRecord

# Who has reported an error exits by itself; its last lines are worth waiting for, not longer than this.
LAST_WORDS_SECONDS = 1.0


class InitFailure:
    """Why an environment, or its initialization, came to nothing: the platform's words, or the runtime's own report.

    Attributes:
        again: a second initialization may mend it.
    """

    __slots__ = ("again", "error", "reported")

    def __init__(self, error: PlatformError, reported: bytes | None = None, *, again: bool = True) -> None:
        self.error = error
        self.reported = reported
        self.again = again

    def payload(self, request_id: str) -> bytes:
        return self.error.payload(request_id) if self.reported is None else self.reported


def not_started(refusal: EnvironmentStartError | None = None) -> InitFailure:
    """What follows from a start that was refused; without ``refusal`` from one that failed in a way nobody expected.

    A second one would fare no better.
    """
    if refusal is None:
        error = PlatformError(error_type="Sandbox.Failure", message="The environment could not be started")
    else:
        error = PlatformError(error_type=refusal.error_type, message=str(refusal))
    return InitFailure(error, again=False)


class ExtensionListener(Protocol):
    """Who acts on news of external extensions."""

    def expect(self, environment: Environment, names: Sequence[str]) -> None: ...

    def exited(self, environment: Environment, name: str, exit_: EnvironmentExit) -> None: ...


class Watch:
    """Fills the port ``EnvironmentObserver``."""

    __slots__ = ("_environment", "_exited", "_extensions")

    def __init__(
        self,
        environment: Environment,
        exited: Callable[[Environment, EnvironmentExit], None],
        extensions: ExtensionListener,
    ) -> None:
        self._environment = environment
        self._exited = exited
        self._extensions = extensions

    def on_output(self, line: bytes) -> None:
        self._environment.log.output(line)

    def on_record(self, record: LogRecord) -> None:
        self._environment.log.record(record)

    def on_exit(self, exit_: EnvironmentExit) -> None:
        self._exited(self._environment, exit_)

    def on_extensions(self, names: Sequence[str]) -> None:
        self._extensions.expect(self._environment, names)

    def on_extension_output(self, line: bytes) -> None:
        self._environment.log.extension_output(line)

    def on_extension_exit(self, name: str, exit_: EnvironmentExit) -> None:
        self._extensions.exited(self._environment, name, exit_)
