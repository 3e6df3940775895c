"""Starts environments, watches over what runs in them, and buries them.

Promises: an invocation whose runtime exits, is killed, fails to start or exceeds its time is answered at once with
AWS's error; a failed initialization is tried once more inside the first invocation, as in AWS; whatever was started is
stopped. Thread-safe; starting and stopping block, so they happen on threads of this module's own.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial

from rie_server.errors import EnvironmentStartError
from rie_server.invoke.answers import Answers
from rie_server.invoke.environments import Environment, Invocation
from rie_server.invoke.extension_supervisor import ExtensionSupervisor
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.seating import Seating
from rie_server.invoke.shutdown import Shutdowns, Threads
from rie_server.invoke.watch import LAST_WORDS_SECONDS, InitFailure, Watch, not_started
from rie_server.limits import RESTORE_TIMEOUT_SECONDS
from rie_server.model.environment import AT_WORK, INITIALIZING, EnvironmentExit, EnvironmentSpec, RuntimeState
from rie_server.model.extension import ShutdownReason
from rie_server.model.function_errors import PlatformError, exited, timed_out
from rie_server.model.snap_start import restore_refusal
from rie_server.ports import Clock, Executor

log = logging.getLogger(__name__)


class Supervisor:
    """
    Args:
        variables: what the runtime of an environment finds in its own; may block.
        threads: where environments are started and stopped; ``close`` shuts it down.

    Attributes:
        seating: the workers of environments in which several invocations run at a time.
        shutdowns: environments with extensions that end.
        extensions: the part of this that only extensions need.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        executor: Executor,
        clock: Clock,
        variables: Callable[[Environment], Mapping[str, str]],
        threads: Threads,
        answers: Answers,
    ) -> None:
        self._fleet = fleet
        self._executor = executor
        self._clock = clock
        self._variables = variables
        self._threads = threads
        self._answers = answers
        self._init_failures: dict[str, InitFailure] = {}
        self.shutdowns = Shutdowns(lock=fleet.lock, clock=clock, threads=threads, end=self._stop)
        self.extensions = ExtensionSupervisor(
            fleet=fleet,
            clock=clock,
            threads=threads,
            shutdowns=self.shutdowns,
            ended=self._ended,
            init_failed=self._init_failed,
        )
        self.seating = Seating(fleet=fleet, answers=answers, end_init=self.end_init)
        fleet.start = self.start
        fleet.stop = self.stop
        fleet.on_deadline = self.deadline_passed

    def start(self, environment: Environment) -> None:
        self._threads.submit(self._start, environment)

    def stop(self, environment: Environment) -> None:
        extensions = environment.extensions
        if extensions is None or environment.running is None:
            self._threads.submit(self._stop, environment)
            return
        self._answers.end(environment)
        shut_down = partial(self.shutdowns.begin, environment, extensions)
        if self._fleet.freezer is None:
            shut_down()
        else:
            self._fleet.freezer.when_thawed(environment, shut_down)

    def close(self) -> None:
        """Waits until every start and stop that was asked for is done."""
        self.shutdowns.wait()
        self._threads.shutdown(wait=True)

    # --- initialization ------------------------------------------------------------------------------------------

    def end_init(self, environment: Environment) -> None:
        """Under the fleet's lock: the runtime has asked for its first invocation.

        The log is told here, once in an environment's life, because nobody may begin an invocation before.
        """
        environment.deadline = None
        now = self._clock.monotonic()
        init_ms = (now - environment.init_started_at) * 1000
        if environment.restore_started_at is not None:
            environment.restore_duration_ms = (now - environment.restore_started_at) * 1000
        elif not environment.bound:
            environment.init_duration_ms = init_ms
        if environment.restore_started_at is None:
            phase = "invoke" if environment.bound else "init"
            environment.log.init_ended(duration_ms=init_ms, phase=phase)
        environment.log = environment.log.settled()
        if not environment.bound:
            environment.pool.initialized(environment)
            if environment.provisioned and environment.pool.allotment is not None:
                environment.pool.allotment.came_to_stand()

    def begin_restore(self, environment: Environment) -> None:
        """Under the fleet's lock: the runtime has been initialized, and is told that it has been restored."""
        environment.restore_started_at = self._clock.monotonic()
        init_ms = (environment.restore_started_at - environment.init_started_at) * 1000
        environment.log.init_ended(duration_ms=init_ms, phase="init")
        environment.deadline = environment.restore_started_at + RESTORE_TIMEOUT_SECONDS
        self._fleet.arm(environment)

    def expect_exit(self, environment: Environment, payload: bytes, error_type: str) -> None:
        """Under the fleet's lock: the runtime has reported that its initialization failed, and exits."""
        self._init_failures[environment.id] = InitFailure(PlatformError(error_type=error_type, message=""), payload)
        environment.deadline = self._clock.monotonic() + LAST_WORDS_SECONDS
        self._fleet.arm(environment)

    def _start(self, environment: Environment) -> None:
        function = environment.function
        # Before the clock of the initialization runs: it may have to ask for credentials.
        variables = self._variables(environment)
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
        environment.log.init_started(environment.initialization_type)
        if bound_to is not None:
            bound_to.tell_start(environment.log)
        spec = EnvironmentSpec(environment_id=environment.id, function=function, variables=variables)
        try:
            running = self._executor.start(spec, Watch(environment, self.exited, self.extensions))
        except EnvironmentStartError as failure:
            self._init_failed(environment, not_started(failure))
            return
        except Exception:
            log.exception("Environment %s of %s could not be started", environment.id, function.arn)
            self._init_failed(environment, not_started())
            return
        with self._fleet.lock:
            environment.running = running
            stopped = environment.id not in self._fleet.roster.environments
        if stopped:
            running.stop()
        elif environment.extensions is not None:
            self.extensions.registered(environment)

    def _init_failed(self, environment: Environment, failure: InitFailure) -> None:
        """Ends a failed initialization.

        The first failure starts another environment for the invocation that has waited longest, whose time runs from
        then on; the second one (and one that a new attempt cannot mend) is that invocation's answer.
        """
        fleet, pool = self._fleet, environment.pool
        with fleet.lock:
            if environment.state not in INITIALIZING:
                return
            bound = environment.bound
            owed = environment.take_invocation() if bound else fleet.who_waits_for(environment)
            refusal = restore_refusal(environment.state, overdue=failure.error.status == "timeout")
            again = owed is not None and failure.again and refusal is None and not (bound or environment.is_shared)
            successor = fleet.roster.create(pool, bound_to=owed) if again else None
            fleet.roster.bury(environment)
            self._init_failures.pop(environment.id, None)
            began_at = environment.restore_started_at or environment.init_started_at
            duration_ms = (self._clock.monotonic() - began_at) * 1000
        error = failure.error
        if environment.extensions is not None:
            environment.extensions.write_to(environment.log)
        error_type = error.error_type if error.status == "error" else None
        if refusal is None:
            phase = "invoke" if bound else "init"
            environment.log.init_failed(
                duration_ms=duration_ms, phase=phase, status=error.status, error_type=error_type
            )
        else:
            environment.log.restore_ended(duration_ms=duration_ms, status=error.status, error_type=error_type)
        if successor is not None:
            self.start(successor)
        elif owed is not None and refusal is not None:
            owed.refuse(refusal)
        elif owed is not None:
            if not bound:
                owed.started_at = self._clock.monotonic()
                owed.tell_start(environment.log)
            self._answers.fail(environment, owed, error, failure.payload(owed.request.request_id))
        # Not before REPORT: a process that is gone cannot be asked how much memory it has used.
        self.stop(environment)
        fleet.settle(pool)

    # --- the end -------------------------------------------------------------------------------------------------

    def exited(self, environment: Environment, exit_: EnvironmentExit) -> None:
        """The runtime process has ended, whatever it was doing."""
        extensions = environment.extensions
        error = exited(exit_)
        if extensions is not None:
            self.shutdowns.runtime_exited(environment)
            if extensions.fatal_type is not None:
                error = PlatformError(error_type=extensions.fatal_type, message=error.message)
        reported = self._init_failures.get(environment.id)
        self._ended(environment, reported or InitFailure(error, again=exit_.launch_error is None))

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
        if environment.is_seat:
            self.seating.overdue(environment)
            return
        failure = self._init_failures.get(environment.id)
        extensions, reason = environment.extensions, ShutdownReason.TIMEOUT
        if extensions is not None and extensions.fatal_type is not None:
            reason = ShutdownReason.FAILURE
            failure = InitFailure(PlatformError(error_type=extensions.fatal_type, message="exit code 0"))
        failure = failure or InitFailure(timed_out(environment.function.timeout_seconds))
        self._ended(environment, failure, reason, overdue=True)

    def _ended(
        self,
        environment: Environment,
        failure: InitFailure,
        reason: ShutdownReason = ShutdownReason.FAILURE,
        *,
        overdue: bool = False,
    ) -> None:
        """The environment is of no use any more; whom it owes an answer gets ``failure``.

        Args:
            overdue: only if what it does is still late.
        """
        with self._fleet.lock:
            if overdue and (environment.deadline is None or environment.deadline > self._clock.monotonic()):
                return
            state = environment.state
            if environment.extensions is not None and state is not RuntimeState.STOPPED:
                environment.extensions.reason = reason
            owed: list[tuple[Environment, Invocation]] = []
            if state is RuntimeState.READY or state in AT_WORK:
                owed = environment.take_invocations()
                self._fleet.roster.bury(environment)
        if state in INITIALIZING:
            self._init_failed(environment, failure)
        elif state is not RuntimeState.STOPPED:
            for place, invocation in owed:
                payload = failure.payload(invocation.request.request_id)
                self._answers.fail(place, invocation, failure.error, payload)
            self._answers.end(environment, failure.error)
            self.stop(environment)
            self._fleet.settle(environment.pool)

    def _stop(self, environment: Environment) -> None:
        try:
            if environment.running is not None:
                environment.running.stop()
        except Exception:
            log.exception("Environment %s could not be stopped cleanly", environment.id)
        # What its runtime had reported, if it was stopped before it could exit.
        self._init_failures.pop(environment.id, None)
        environment.log.close()
