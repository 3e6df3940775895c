"""Starts environments, watches over what runs in them, and buries them.

Promises: an invocation whose runtime exits, is killed, fails to start or exceeds its time is answered at once with
AWS's error; a failed initialization is tried once more inside the first invocation, as in AWS; whatever was started is
stopped. Thread-safe; starting and stopping block, so they happen on threads of this module's own.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from rie_server.errors import EnvironmentStartError
from rie_server.invoke.answers import Answers
from rie_server.invoke.environments import Environment
from rie_server.invoke.fleet import Fleet
from rie_server.model.environment import EnvironmentExit, EnvironmentSpec, RuntimeState
from rie_server.model.environment_variables import environment_variables, log_stream_name
from rie_server.model.function_errors import PlatformError, exited, timed_out
from rie_server.ports import Clock, Executor

# A runtime that has reported init/error exits by itself; its last lines are worth waiting for, not longer than this.
LAST_WORDS_SECONDS = 1.0

log = logging.getLogger(__name__)


class Threads(Protocol):
    """The part of ``concurrent.futures.ThreadPoolExecutor`` that is used here."""

    def submit(self, fn: Callable[[Environment], None], environment: Environment, /) -> object: ...

    def shutdown(self, *, wait: bool) -> None: ...


class InitFailure:
    """Why an initialization came to nothing: the platform's words, or the runtime's own report."""

    __slots__ = ("error", "reported")

    def __init__(self, error: PlatformError, reported: bytes | None = None) -> None:
        self.error = error
        self.reported = reported

    def payload(self, request_id: str) -> bytes:
        return self.error.payload(request_id) if self.reported is None else self.reported


class Watch:
    """What an executor tells of one environment."""

    __slots__ = ("_environment", "_supervisor")

    def __init__(self, environment: Environment, supervisor: "Supervisor") -> None:
        self._environment = environment
        self._supervisor = supervisor

    def on_output(self, line: bytes) -> None:
        self._environment.log.output(line)

    def on_exit(self, exit_: EnvironmentExit) -> None:
        self._supervisor.exited(self._environment, exit_)


class Supervisor:
    """
    Args:
        neighbours: AWS endpoint variables of the server that functions must see too.
        lambda_endpoint: where durable functions reach this server.
        threads: where environments are started and stopped; ``close`` shuts it down.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        executor: Executor,
        clock: Clock,
        neighbours: Mapping[str, str],
        threads: Threads,
        answers: Answers,
        lambda_endpoint: str | None = None,
    ) -> None:
        self._fleet = fleet
        self._executor = executor
        self._clock = clock
        self._neighbours = neighbours
        self._lambda_endpoint = lambda_endpoint
        self._threads = threads
        self._answers = answers
        self._init_failures: dict[str, InitFailure] = {}
        fleet.start = self.start
        fleet.stop = self.stop
        fleet.on_deadline = self.deadline_passed

    def start(self, environment: Environment) -> None:
        self._threads.submit(self._start, environment)

    def stop(self, environment: Environment) -> None:
        self._threads.submit(self._stop, environment)

    def close(self) -> None:
        """Waits until every start and stop that was asked for is done."""
        self._threads.shutdown(wait=True)

    # --- initialization ------------------------------------------------------------------------------------------

    def end_init(self, environment: Environment) -> None:
        """Under the fleet's lock: the runtime has asked for its first invocation."""
        environment.deadline = None
        if not environment.bound:
            environment.init_duration_ms = (self._clock.monotonic() - environment.init_started_at) * 1000
            environment.pool.initialized(environment)
            if environment.provisioned and environment.pool.allotment is not None:
                environment.pool.allotment.came_to_stand()

    def expect_exit(self, environment: Environment, payload: bytes, error_type: str) -> None:
        """Under the fleet's lock: the runtime has reported that its initialization failed, and exits."""
        self._init_failures[environment.id] = InitFailure(PlatformError(error_type=error_type, message=""), payload)
        environment.deadline = self._clock.monotonic() + LAST_WORDS_SECONDS
        self._fleet.arm(environment)

    def _start(self, environment: Environment) -> None:
        function = environment.function
        with self._fleet.lock:
            if environment.id not in self._fleet.roster.environments:
                return
            environment.init_started_at = self._clock.monotonic()
            bound_to = environment.invocation
            environment.deadline = (
                environment.init_started_at + environment.init_timeout_seconds
                if bound_to is None
                else bound_to.started_at + function.timeout_seconds
            )
            self._fleet.arm(environment)
        environment.log.init_started()
        if bound_to is not None:
            environment.log.started(bound_to.request.request_id, want_tail=bound_to.request.want_log_tail)
        date = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y/%m/%d")
        log_stream = log_stream_name(function, environment.id, date)
        variables = environment_variables(
            function,
            log_stream=log_stream,
            neighbours=self._neighbours,
            lambda_endpoint=self._lambda_endpoint,
            initialization_type=environment.initialization_type,
        )
        spec = EnvironmentSpec(environment_id=environment.id, function=function, variables=variables)
        try:
            running = self._executor.start(spec, Watch(environment, self))
        except EnvironmentStartError as failure:
            error = PlatformError(error_type=failure.error_type, message=str(failure))
            self._init_failed(environment, InitFailure(error), again=False)
            return
        except Exception:
            log.exception("Environment %s of %s could not be started", environment.id, function.arn)
            error = PlatformError(error_type="Sandbox.Failure", message="The environment could not be started")
            self._init_failed(environment, InitFailure(error), again=False)
            return
        with self._fleet.lock:
            environment.running = running
            stopped = environment.id not in self._fleet.roster.environments
        if stopped:
            running.stop()

    def _init_failed(self, environment: Environment, failure: InitFailure, *, again: bool = True) -> None:
        """Ends a failed initialization.

        The first failure starts another environment for the invocation that has waited longest, whose time runs from
        then on; the second one (and one that a new attempt cannot mend) is that invocation's answer.
        """
        fleet, pool = self._fleet, environment.pool
        with fleet.lock:
            if environment.state not in (RuntimeState.STARTED, RuntimeState.INIT_ERROR):
                return
            bound = environment.bound
            owed = environment.take_invocation() if bound else fleet.who_waits_for(environment)
            successor = fleet.roster.create(pool, bound_to=owed) if owed is not None and again and not bound else None
            fleet.roster.bury(environment)
            self._init_failures.pop(environment.id, None)
            duration_ms = (self._clock.monotonic() - environment.init_started_at) * 1000
        error = failure.error
        environment.log.init_failed(
            duration_ms=duration_ms,
            phase="invoke" if bound else "init",
            status=error.status,
            error_type=error.error_type if error.status == "error" else None,
        )
        if successor is not None:
            self.start(successor)
        elif owed is not None:
            if not bound:
                owed.started_at = self._clock.monotonic()
                environment.log.started(owed.request.request_id, want_tail=owed.request.want_log_tail)
            self._answers.fail(environment, owed, error, failure.payload(owed.request.request_id))
        # Not before REPORT: a process that is gone cannot be asked how much memory it has used.
        self.stop(environment)
        fleet.settle(pool)

    # --- the end -------------------------------------------------------------------------------------------------

    def exited(self, environment: Environment, exit_: EnvironmentExit) -> None:
        """The runtime process has ended, whatever it was doing."""
        with self._fleet.lock:
            state = environment.state
            reported = self._init_failures.get(environment.id)
            owed = None
            if state in (RuntimeState.READY, RuntimeState.RUNNING, RuntimeState.RESPONSE_SENT):
                owed = environment.take_invocation()
                self._fleet.roster.bury(environment)
        if state in (RuntimeState.STARTED, RuntimeState.INIT_ERROR):
            self._init_failed(environment, reported or InitFailure(exited(exit_)))
        elif state is not RuntimeState.STOPPED:
            if owed is not None:
                error = exited(exit_)
                self._answers.fail(environment, owed, error, error.payload(owed.request.request_id))
            self.stop(environment)
            self._fleet.settle(environment.pool)

    def deadline_passed(self, environment: Environment) -> None:
        """The environment's timer: what runs has timed out, unless its deadline has moved on since.

        A runtime that has answered and does not ask for more by then is gone for good: nobody waits for it any longer,
        and it would hold its place for ever.
        """
        with self._fleet.lock:
            environment.timer = None
            if environment.deadline is None:
                return
            if environment.deadline > self._clock.monotonic():
                self._fleet.arm(environment)
                return
            state = environment.state
            reported = self._init_failures.get(environment.id)
            owed = None
            if state in (RuntimeState.RUNNING, RuntimeState.RESPONSE_SENT):
                owed = environment.take_invocation()
                self._fleet.roster.bury(environment)
        error = timed_out(environment.function.timeout_seconds)
        if state in (RuntimeState.STARTED, RuntimeState.INIT_ERROR):
            self._init_failed(environment, reported or InitFailure(error))
        elif state in (RuntimeState.RUNNING, RuntimeState.RESPONSE_SENT):
            if owed is not None:
                self._answers.fail(environment, owed, error, error.payload(owed.request.request_id))
            self.stop(environment)
            self._fleet.settle(environment.pool)

    def _stop(self, environment: Environment) -> None:
        try:
            if environment.running is not None:
                environment.running.stop()
        except Exception:
            log.exception("Environment %s could not be stopped cleanly", environment.id)
        environment.log.close()
