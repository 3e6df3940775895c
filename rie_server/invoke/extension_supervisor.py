"""Watches over the external extensions of environments: when the runtime may follow them, and what their ends mean.

A part of the supervisor, which carries out what follows. Thread-safe.
"""

from collections.abc import Callable, Sequence

from rie_server.errors import EnvironmentStartError
from rie_server.invoke.environment_extensions import EnvironmentExtensions
from rie_server.invoke.environments import Environment
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.shutdown import Shutdowns, Threads
from rie_server.invoke.watch import LAST_WORDS_SECONDS, InitFailure, not_started
from rie_server.model.environment import EnvironmentExit, RuntimeState
from rie_server.model.function_errors import PlatformError, extension_exited
from rie_server.ports import Clock


class ExtensionSupervisor:
    """
    Args:
        ended: carries out that an environment is of no use any more.
        init_failed: carries out that its initialization has failed.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        clock: Clock,
        threads: Threads,
        shutdowns: Shutdowns,
        ended: Callable[[Environment, InitFailure], None],
        init_failed: Callable[[Environment, InitFailure], None],
    ) -> None:
        self._fleet = fleet
        self._clock = clock
        self._threads = threads
        self._shutdowns = shutdowns
        self._ended = ended
        self._fail_init = init_failed

    def expect(self, environment: Environment, names: Sequence[str]) -> None:
        """External extensions are about to be started in an environment."""
        with self._fleet.lock:
            if environment.extensions is None:
                environment.extensions = EnvironmentExtensions()
            environment.extensions.expect(names)

    def registered(self, environment: Environment) -> None:
        """Starts the runtime once all external extensions have registered."""
        with self._fleet.lock:
            extensions = environment.extensions
            if extensions is None or environment.running is None or not extensions.is_runtime_due:
                return
            if environment.state is not RuntimeState.STARTED or not extensions.is_everybody_registered:
                return
            extensions.is_runtime_due = False
        self._threads.submit(self._start_runtime, environment)

    def _start_runtime(self, environment: Environment) -> None:
        if environment.running is None:
            return
        try:
            environment.running.start_runtime()
        except EnvironmentStartError as failure:
            self._fail_init(environment, not_started(failure))

    def expect_exit(self, environment: Environment, error_type: str) -> None:
        """Under the fleet's lock: an extension has reported an error and exits; what runs fails with it."""
        assert environment.extensions is not None
        environment.extensions.fatal_type = environment.extensions.fatal_type or error_type
        last_words = self._clock.monotonic() + LAST_WORDS_SECONDS
        environment.deadline = last_words if environment.deadline is None else min(environment.deadline, last_words)
        self._fleet.arm(environment)

    def give_up(self, environment: Environment) -> None:
        """An extension has reported an error while nothing ran: the environment gets no more work."""
        assert environment.extensions is not None
        error = PlatformError(error_type=str(environment.extensions.fatal_type), message="exit code 0")
        self._ended(environment, InitFailure(error))

    def exited(self, environment: Environment, name: str, exit_: EnvironmentExit) -> None:
        """The process of an external extension has ended, or could not be started."""
        with self._fleet.lock:
            extensions = environment.extensions
            assert extensions is not None
            extensions.exited(name, exit_.launch_error)
            is_stopped = environment.state is RuntimeState.STOPPED
        if is_stopped:
            self._shutdowns.look_at(environment)
        else:
            self._ended(environment, InitFailure(extension_exited(exit_, extensions.fatal_type)))
