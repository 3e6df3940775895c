"""Where an invocation and a runtime meet: the Runtime API's four calls, as an environment makes them.

Promises: an environment sees and answers its own invocations only; every move that the table of
``model.environment`` does not have is denied; an answer counts once.

Thread-safe and never blocking. Each call raises RuntimeApiError where AWS answers with an error.
"""

from rie_server.errors import RuntimeApiError, invalid_request_id, payload_too_large
from rie_server.invoke.answers import Answers
from rie_server.invoke.environment_extensions import Ending
from rie_server.invoke.environments import Environment, Invocation, Poll
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.roster import NOTHING
from rie_server.invoke.streamed_response import StreamedResponse
from rie_server.invoke.supervisor import Supervisor
from rie_server.limits import RESPONSE_PAYLOAD_BYTES
from rie_server.model.environment import INITIALIZING, LEGAL_MOVES, RuntimeMove, RuntimeState
from rie_server.model.function_errors import INVALID_RESPONSE_MODE, RESPONSE_TOO_LARGE_PAYLOAD, UNHANDLED
from rie_server.ports import Clock
from rie_server.streaming import Hold


class Mailbox:
    """
    Args:
        stream_bandwidth: bytes a second of a streamed response after its first 6 MB; 0 for no limit.
    """

    def __init__(
        self, *, fleet: Fleet, supervisor: Supervisor, answers: Answers, clock: Clock, stream_bandwidth: int = 0
    ) -> None:
        self._fleet = fleet
        self._supervisor = supervisor
        self._answers = answers
        self._clock = clock
        self._stream_bandwidth = stream_bandwidth

    def next(self, environment_id: str, poll: Poll, *, resumed: bool = False) -> None:
        """Answers ``poll`` with the next invocation, now or later.

        The first call ends initialization; a call while an invocation runs gets the same event again. Where there are
        extensions, a call that would end a phase is held until they ask for their next event, too.

        Args:
            resumed: the call was held.
        """
        fleet = self._fleet
        held: Environment | None = None
        repeated: Invocation | None = None
        fresh: Invocation | None = None
        plan = NOTHING
        with fleet.lock:
            environment = fleet.roster.environments.get(environment_id)
            if environment is None:
                return  # it is being stopped, and its connection ends with it: an error would only confuse its log
            before = environment.state
            if environment.extensions is not None and before in _PHASES and not resumed:
                environment.extensions.held = poll
                held = self._hold(environment, poll)
            elif environment.is_shared:
                environment, fresh, plan = self._supervisor.seating.sit_down(environment, poll)
            else:
                _permit(environment, RuntimeMove.NEXT)
                environment.move(RuntimeMove.NEXT)
                self._leave(environment, before)
                if environment.invocation is None:
                    fresh, plan = fleet.ready(environment, poll)
                else:
                    repeated = environment.invocation
                    if environment.bound:
                        fleet.assign(environment, repeated)
        if before is RuntimeState.RESTORING and held is None:
            environment.log.restore_ended(
                duration_ms=environment.restore_duration_ms or 0.0, status="success", error_type=None
            )
        if before is RuntimeState.RESPONSE_SENT and environment.log.is_observed:
            environment.log.runtime_ready()
        if held is not None:
            self.resume(held)
        elif fresh is not None:
            fleet.hand_over(environment, fresh, poll)
        elif repeated is not None:
            if environment.extensions is not None:
                environment.extensions.deliver()
            poll.deliver(repeated)
        if plan is not NOTHING:
            fleet.carry_out(plan)

    def _hold(self, environment: Environment, poll: Poll) -> Environment:
        """Under the lock: of a shared environment every worker's call is held, not only the last."""
        if environment.is_shared:
            self._supervisor.seating.hold(environment, poll)
        return environment

    def resume(self, environment: Environment) -> None:
        """Ends the phase of an environment with extensions when nobody works any more: its log, then the phase."""
        with self._fleet.lock:
            extensions = environment.extensions
            if extensions is None or extensions.held is None or not extensions.is_everybody_ready:
                return
            is_init = environment.state in INITIALIZING
            polls, extensions.held = [extensions.held], None
            if environment.is_shared:
                polls = self._supervisor.seating.held(environment)
            polls = [poll for poll in polls if poll.is_connected()]
            if environment.state not in _PHASES or not polls:
                return  # a runtime that still lives asks again
        if is_init:
            extensions.write_to(environment.log)
        self._answers.end(environment)
        for poll in polls:
            self.next(environment.id, poll, resumed=True)

    def response(self, environment_id: str, request_id: str, payload: bytes, *, runtime_id: str | None = None) -> None:
        """The function's result.

        Args:
            runtime_id: ``Lambda-Runtime-Invocation-Id``, which some runtimes send back.
        """
        environment, invocation = self._take(environment_id, request_id, RuntimeMove.RESPONSE, runtime_id)
        self._answer(environment, invocation, payload, None)

    def begin_response(
        self, environment_id: str, request_id: str, content_type: str, hold: Hold, *, runtime_id: str | None = None
    ) -> StreamedResponse:
        """The function's result, of which the runtime writes one piece after the other.

        Args:
            hold: holds the runtime back while nobody takes what it writes.
        """
        with self._fleet.lock:
            environment = self._addressed(environment_id, request_id, runtime_id)
            _permit(environment, RuntimeMove.RESPONSE)
            invocation = environment.invocation
            if invocation is None:
                raise invalid_request_id()
            environment.move(RuntimeMove.BEGIN_RESPONSE)
        response = StreamedResponse(
            environment,
            invocation,
            hold=hold,
            end=self._end_response,
            answers=self._answers,
            clock=self._clock,
            bytes_per_second=self._stream_bandwidth,
        )
        response.begin(content_type)
        return response

    def _end_response(self, environment: Environment, invocation: Invocation, *, answered: bool) -> bool:
        """Whether the invocation was still there to be ended; ``answered`` by its runtime, or else by the platform."""
        with self._fleet.lock:
            if environment.invocation is not invocation:  # its exit or its deadline was first
                if environment.is_seat:
                    self._supervisor.seating.came_late(environment, invocation)
                return False
            environment.take_invocation()
            environment.move(RuntimeMove.END_RESPONSE)
            if answered and environment.extensions is not None:
                environment.extensions.ending = Ending(invocation)
            environment.pool.finishing += 1
            if environment.is_seat:
                self._supervisor.seating.answered(environment)
            return True

    def unreadable_response(self, environment_id: str, request_id: str, *, runtime_id: str | None = None) -> None:
        """The runtime answered in a mode that does not exist: the answer is refused, and the invocation has failed."""
        environment, invocation = self._take(environment_id, request_id, RuntimeMove.RESPONSE, runtime_id)
        payload = INVALID_RESPONSE_MODE.payload(request_id)
        self._answers.answer(environment, invocation, payload, UNHANDLED)
        raise RuntimeApiError(400, "InvalidFunctionResponseMode", "Invalid function response mode")

    def error(self, environment_id: str, request_id: str, payload: bytes, *, runtime_id: str | None = None) -> None:
        """The function raised; ``payload`` goes to the caller as it is."""
        environment, invocation = self._take(environment_id, request_id, RuntimeMove.ERROR, runtime_id)
        self._answer(environment, invocation, payload, UNHANDLED)

    def init_error(self, environment_id: str, payload: bytes, error_type: str) -> None:
        """Initialization failed; the runtime is expected to exit now."""
        self._fail_init(environment_id, payload, error_type, RuntimeMove.INIT_ERROR)

    def _fail_init(self, environment_id: str, payload: bytes, error_type: str, move: RuntimeMove) -> None:
        with self._fleet.lock:
            environment = self._fleet.roster.environments.get(environment_id)
            if environment is None:
                raise invalid_request_id()
            _permit(environment, move)
            environment.move(move)
            self._supervisor.expect_exit(environment, payload, error_type)

    def restore_next(self, environment_id: str) -> None:
        """The runtime of a version with SnapStart has been initialized; when this returns, it has been restored."""
        with self._fleet.lock:
            environment = self._fleet.roster.environments.get(environment_id)
            if environment is None:
                raise invalid_request_id()
            if not environment.function.snap_start:
                raise _denied(environment.state, RuntimeMove.RESTORE_NEXT)
            _permit(environment, RuntimeMove.RESTORE_NEXT)
            environment.move(RuntimeMove.RESTORE_NEXT)
            self._supervisor.begin_restore(environment)
        environment.log.restore_started()

    def restore_error(self, environment_id: str, payload: bytes, error_type: str) -> None:
        """What the runtime does after it was restored has failed; it is expected to exit now."""
        self._fail_init(environment_id, payload, error_type, RuntimeMove.RESTORE_ERROR)

    def _answer(self, environment: Environment, invocation: Invocation, payload: bytes, error: str | None) -> None:
        if len(payload) > RESPONSE_PAYLOAD_BYTES:
            self._answers.answer(environment, invocation, RESPONSE_TOO_LARGE_PAYLOAD, UNHANDLED)
            raise payload_too_large(RESPONSE_PAYLOAD_BYTES)
        self._answers.answer(environment, invocation, payload, error)

    def _leave(self, environment: Environment, before: RuntimeState) -> None:
        """Under the lock: ends what the environment was doing before it asked for the next invocation."""
        if before is RuntimeState.RESPONSE_SENT:
            environment.deadline = None
            environment.pool.finishing -= 1
            if environment.extensions is not None:
                environment.extensions.forget_ending()
        elif before is RuntimeState.STARTED or before is RuntimeState.RESTORING:
            self._supervisor.end_init(environment)
        elif before is RuntimeState.READY and environment.poll is not None:
            environment.pool.rouse(environment)
            environment.poll = None

    def _addressed(self, environment_id: str, request_id: str, runtime_id: str | None) -> Environment:
        """Under the lock: the environment that answers, if it is its own last invocation that it answers; of a shared
        one the worker's seat.
        """
        environment = self._fleet.roster.environments.get(environment_id)
        if environment is None:
            raise invalid_request_id()
        if environment.is_shared:
            return self._supervisor.seating.addressed(environment, request_id, runtime_id)
        if environment.last_request_id != request_id:
            raise invalid_request_id()
        return environment

    def _take(
        self, environment_id: str, request_id: str, move: RuntimeMove, runtime_id: str | None
    ) -> tuple[Environment, Invocation]:
        """The invocation that this answer is for. AWS looks at the id first and at the state second."""
        with self._fleet.lock:
            environment = self._addressed(environment_id, request_id, runtime_id)
            _permit(environment, move)
            invocation = environment.take_invocation()
            if invocation is None:
                raise invalid_request_id()
            environment.move(move)
            if environment.extensions is not None:
                environment.extensions.ending = Ending(invocation)
            environment.pool.finishing += 1
            if environment.is_seat:
                self._supervisor.seating.answered(environment)
            return environment, invocation


# The runtime's ``next`` ends them, and its extensions' with it.
_PHASES = (RuntimeState.STARTED, RuntimeState.RESTORING, RuntimeState.RESPONSE_SENT)


def _permit(environment: Environment, move: RuntimeMove) -> None:
    state = environment.state
    if environment.extensions is not None and environment.extensions.held is not None:
        state = RuntimeState.READY  # for the runtime the phase has ended
    if (state, move) not in LEGAL_MOVES:
        raise _denied(state, move)


def _denied(state: RuntimeState, move: RuntimeMove) -> RuntimeApiError:
    return RuntimeApiError(
        403,
        "InvalidStateTransition",
        f"State transition from {state} to {move} failed for runtime. Error: State transition is not allowed",
    )
