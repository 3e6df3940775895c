"""Where an invocation and a runtime meet: the Runtime API's four calls, as an environment makes them.

Promises: an environment sees and answers its own invocations only; every move that the table of
``model.environment`` does not have is denied; an answer counts once.

Thread-safe and never blocking. Each call raises RuntimeApiError where AWS answers with an error.
"""

from rie_server.errors import RuntimeApiError
from rie_server.invoke.answers import Answers
from rie_server.invoke.environments import Environment, Invocation, Poll
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.roster import NOTHING
from rie_server.invoke.supervisor import Supervisor
from rie_server.limits import RESPONSE_PAYLOAD_BYTES
from rie_server.model.environment import RuntimeMove, RuntimeState
from rie_server.model.function_errors import INVALID_RESPONSE_MODE, RESPONSE_TOO_LARGE_PAYLOAD, UNHANDLED


class Mailbox:
    def __init__(self, *, fleet: Fleet, supervisor: Supervisor, answers: Answers) -> None:
        self._fleet = fleet
        self._supervisor = supervisor
        self._answers = answers

    def next(self, environment_id: str, poll: Poll) -> None:
        """Answers ``poll`` with the next invocation, now or later.

        The first call ends initialization; a call while an invocation runs gets the same event again.
        """
        fleet = self._fleet
        repeated: Invocation | None = None
        fresh: Invocation | None = None
        plan = NOTHING
        with fleet.lock:
            environment = fleet.roster.environments.get(environment_id)
            if environment is None:
                return  # it is being stopped, and its connection ends with it: an error would only confuse its log
            before = environment.state
            _permit(environment, RuntimeMove.NEXT)
            environment.move(RuntimeMove.NEXT)
            self._leave(environment, before)
            if environment.invocation is None:
                fresh, plan = fleet.ready(environment, poll)
            else:
                repeated = environment.invocation
                if environment.bound:
                    fleet.assign(environment, repeated)
        if fresh is not None:
            fleet.hand_over(environment, fresh, poll)
        elif repeated is not None:
            poll.deliver(repeated)
        if plan is not NOTHING:
            fleet.carry_out(plan)

    def response(self, environment_id: str, request_id: str, payload: bytes) -> None:
        """The function's result."""
        environment, invocation = self._take(environment_id, request_id, RuntimeMove.RESPONSE)
        self._answer(environment, invocation, payload, None)

    def unreadable_response(self, environment_id: str, request_id: str) -> None:
        """The runtime answered in a mode that does not exist: the answer is refused, and the invocation has failed."""
        environment, invocation = self._take(environment_id, request_id, RuntimeMove.RESPONSE)
        payload = INVALID_RESPONSE_MODE.payload(request_id)
        self._answers.answer(environment, invocation, payload, UNHANDLED)
        raise RuntimeApiError(400, "InvalidFunctionResponseMode", "Invalid function response mode")

    def error(self, environment_id: str, request_id: str, payload: bytes) -> None:
        """The function raised; ``payload`` goes to the caller as it is."""
        environment, invocation = self._take(environment_id, request_id, RuntimeMove.ERROR)
        self._answer(environment, invocation, payload, UNHANDLED)

    def init_error(self, environment_id: str, payload: bytes, error_type: str) -> None:
        """Initialization failed; the runtime is expected to exit now."""
        with self._fleet.lock:
            environment = self._fleet.roster.environments.get(environment_id)
            if environment is None:
                raise _invalid_request_id()
            _permit(environment, RuntimeMove.INIT_ERROR)
            environment.move(RuntimeMove.INIT_ERROR)
            self._supervisor.expect_exit(environment, payload, error_type)

    def _answer(self, environment: Environment, invocation: Invocation, payload: bytes, error: str | None) -> None:
        if len(payload) > RESPONSE_PAYLOAD_BYTES:
            self._answers.answer(environment, invocation, RESPONSE_TOO_LARGE_PAYLOAD, UNHANDLED)
            raise RuntimeApiError(
                413,
                "RequestEntityTooLarge",
                f"Exceeded maximum allowed payload size ({RESPONSE_PAYLOAD_BYTES} bytes).",
            )
        self._answers.answer(environment, invocation, payload, error)

    def _leave(self, environment: Environment, before: RuntimeState) -> None:
        """Under the lock: ends what the environment was doing before it asked for the next invocation."""
        if before is RuntimeState.RESPONSE_SENT:
            environment.deadline = None
            environment.pool.finishing -= 1
        elif before is RuntimeState.STARTED:
            self._supervisor.end_init(environment)
        elif before is RuntimeState.READY and environment.poll is not None:
            environment.pool.rouse(environment)
            environment.poll = None

    def _take(self, environment_id: str, request_id: str, move: RuntimeMove) -> tuple[Environment, Invocation]:
        """The invocation that this answer is for. AWS looks at the id first and at the state second."""
        with self._fleet.lock:
            environment = self._fleet.roster.environments.get(environment_id)
            if environment is None or environment.last_request_id != request_id:
                raise _invalid_request_id()
            _permit(environment, move)
            invocation = environment.take_invocation()
            if invocation is None:
                raise _invalid_request_id()
            environment.move(move)
            environment.pool.finishing += 1
            return environment, invocation


def _permit(environment: Environment, move: RuntimeMove) -> None:
    if not environment.may(move):
        raise RuntimeApiError(
            403,
            "InvalidStateTransition",
            f"State transition from {environment.state} to {move} failed for runtime. "
            "Error: State transition is not allowed",
        )


def _invalid_request_id() -> RuntimeApiError:
    return RuntimeApiError(400, "InvalidRequestID", "Invalid request ID")
