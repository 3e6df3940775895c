"""The Shutdown phase of environments with extensions: SIGTERM for the runtime, SHUTDOWN for those who asked for it.

Promises: an environment ends within AWS's budget, whoever does not answer; whoever ends sooner is not waited for.
Thread-safe and never blocking: what may block happens on the supervisor's threads. Environments without extensions do
not come here.
"""

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Protocol

from rie_server.invoke.environment_extensions import EnvironmentExtensions
from rie_server.invoke.environments import Environment
from rie_server.model.extension import (
    EXTERNAL_SHUTDOWN_SECONDS,
    INTERNAL_SHUTDOWN_SECONDS,
    RUNTIME_SHUTDOWN_SECONDS,
    shutdown_event,
)
from rie_server.ports import Clock

_PATIENCE_SECONDS = EXTERNAL_SHUTDOWN_SECONDS + 1.0
_LOOK_SECONDS = 0.01

Carry = Callable[[Environment], None]


class Threads(Protocol):
    """The part of ``concurrent.futures.ThreadPoolExecutor`` that is used here."""

    def submit(self, fn: Carry, environment: Environment, /) -> object: ...

    def shutdown(self, *, wait: bool) -> None: ...


class Shutdowns:
    """
    Args:
        lock: the fleet's.
        end: ends every process of an environment; may block.

    Attributes:
        ending: environments by id while they shut down: off the fleet's books, and their extensions still call.
    """

    def __init__(self, *, lock: Lock, clock: Clock, threads: Threads, end: Carry) -> None:
        self.ending: dict[str, Environment] = {}
        self._lock = lock
        self._clock = clock
        self._threads = threads
        self._end = end

    def begin(self, environment: Environment, extensions: EnvironmentExtensions) -> None:
        """An environment that has been buried ends; its extensions have a moment for it."""
        seconds = extensions.shutdown_seconds
        with self._lock:
            if environment.id in self.ending or extensions.is_over:
                return
            extensions.shutdown_deadline = self._clock.monotonic() + seconds
            self.ending[environment.id] = environment
            if extensions.is_runtime_due:
                extensions.is_runtime_gone = True  # it has not been there yet
            is_runtime_gone = extensions.is_runtime_gone
        self._clock.call_later(seconds, partial(self._over, environment, extensions))
        if is_runtime_gone:
            self.look_at(environment)
            return
        grace = runtime_seconds(seconds)
        if grace < seconds:
            # Whether or not news of its end has come by then.
            self._clock.call_later(grace, partial(self.runtime_exited, environment))
        self._threads.submit(self._end_runtime, environment)

    def runtime_exited(self, environment: Environment) -> None:
        """The runtime's process has ended, or nobody waits for it any longer."""
        if environment.extensions is not None:
            environment.extensions.is_runtime_gone = True
            self.look_at(environment)

    def look_at(self, environment: Environment) -> None:
        """A process of the environment has ended: the next step, if it is due."""
        extensions = environment.extensions
        with self._lock:
            if extensions is None or environment.id not in self.ending or not extensions.is_runtime_gone:
                return
            if not extensions.is_told:
                extensions.shut_down(shutdown_event(extensions.reason, deadline_epoch_ms=self._deadline(extensions)))
            is_over = not extensions.waited_for
        environment.log.flush()
        extensions.deliver()
        if is_over:
            self._over(environment, extensions)

    def wait(self) -> None:
        """Blocks until every shutdown that has begun is over."""
        give_up_at = self._clock.monotonic() + _PATIENCE_SECONDS
        while self.ending and self._clock.monotonic() < give_up_at:
            self._clock.sleep(_LOOK_SECONDS)

    def _deadline(self, extensions: EnvironmentExtensions) -> int:
        """Milliseconds since the epoch."""
        assert extensions.shutdown_deadline is not None
        return int((self._clock.now() + extensions.shutdown_deadline - self._clock.monotonic()) * 1000)

    def _end_runtime(self, environment: Environment) -> None:
        if environment.running is not None and environment.extensions is not None:
            environment.running.end_runtime(grace_seconds=runtime_seconds(environment.extensions.shutdown_seconds))

    def _over(self, environment: Environment, extensions: EnvironmentExtensions) -> None:
        with self._lock:
            if extensions.is_over:
                return
            extensions.is_over = True
        self._threads.submit(self._end, environment)
        # Not before: who waits for this to be empty shuts the threads down.
        with self._lock:
            self.ending.pop(environment.id, None)


def runtime_seconds(shutdown_seconds: float) -> float:
    """The runtime's part of the time: all of it where there are only internal extensions, which live in it."""
    return shutdown_seconds if shutdown_seconds <= INTERNAL_SHUTDOWN_SECONDS else RUNTIME_SHUTDOWN_SECONDS
