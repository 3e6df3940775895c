"""One execution environment and one invocation on its way: the mutable records of this stage.

Not thread-safe by themselves: every field is read and written under the fleet's lock, except where it says otherwise.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rie_server.errors import LambdaError
from rie_server.limits import INIT_TIMEOUT_AHEAD_SECONDS, INIT_TIMEOUT_SECONDS
from rie_server.model.environment import LEGAL_MOVES, RuntimeMove, RuntimeState
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.ports import EnvironmentLog, RunningEnvironment, Timer

if TYPE_CHECKING:
    from rie_server.invoke.pool import Pool


class Invocation:
    """An accepted request until it has its result.

    Attributes:
        waiting_since, started_at: monotonic seconds; ``started_at`` is when a runtime got it (or, when initialization
            is repeated for it, when that began): its timeout counts from there.
        deadline_epoch_ms: what the runtime is told as ``Lambda-Runtime-Deadline-Ms``.
    """

    __slots__ = (
        "_on_result",
        "deadline_epoch_ms",
        "function",
        "request",
        "started_at",
        "trace_header",
        "waiting_since",
    )

    def __init__(
        self,
        request: InvokeRequest,
        function: FunctionVersion,
        trace_header: str,
        on_result: Callable[[InvokeResult], None],
        waiting_since: float,
    ) -> None:
        self.request = request
        self.function = function
        self.trace_header = trace_header
        self.waiting_since = waiting_since
        self.started_at = 0.0
        self.deadline_epoch_ms = 0
        self._on_result = on_result

    def finish(self, payload: bytes, function_error: str | None, log_tail: bytes | None = None) -> None:
        """Delivers the answer. Whoever took the invocation off its environment calls this, once, without the lock."""
        self._on_result(
            InvokeResult(
                payload=payload,
                function_error=function_error,
                executed_version=self.function.version,
                log_tail=log_tail if self.request.want_log_tail else None,
            )
        )

    def refuse(self, refusal: LambdaError) -> None:
        """Ends an invocation that never reached a runtime."""
        self._on_result(
            InvokeResult(payload=b"", function_error=None, executed_version=self.function.version, refusal=refusal)
        )


class Poll(Protocol):
    """A runtime that waits in ``next``."""

    def is_connected(self) -> bool:
        """Whether the runtime still listens; asked at the moment of the hand-over."""

    def deliver(self, invocation: Invocation) -> None: ...


class Environment:
    """One execution environment.

    Attributes:
        pool: where it belongs; also after its end.
        provisioned: it was started ahead, by provisioned concurrency, and is kept whether or not anybody calls.
        bound: the environment was started again for one invocation after its first initialization failed.
        poll: set while the runtime waits in ``next``.
        invocation: set from the hand-over (or the binding) to the answer.
        last_request_id: of the invocation that was handed over last, also after its answer.
        init_duration_ms: set when initialization has ended, taken by the first REPORT.
        deadline: monotonic seconds after which what runs now has timed out; None while nothing runs. An invocation
            runs until its runtime asks for the next one, not only until its answer.
        timer, timer_due: one timer per environment, armed again only when a deadline falls before it.
    """

    __slots__ = (
        "bound",
        "deadline",
        "function",
        "id",
        "idle_since",
        "init_duration_ms",
        "init_started_at",
        "invocation",
        "last_request_id",
        "log",
        "poll",
        "pool",
        "provisioned",
        "running",
        "state",
        "timer",
        "timer_due",
    )

    def __init__(self, environment_id: str, pool: "Pool", log: EnvironmentLog, *, provisioned: bool = False) -> None:
        self.id = environment_id
        self.pool = pool
        self.function: FunctionVersion = pool.function
        self.log = log
        self.provisioned = provisioned
        self.state = RuntimeState.STARTED
        self.bound = False
        self.running: RunningEnvironment | None = None
        self.poll: Poll | None = None
        self.invocation: Invocation | None = None
        self.last_request_id: str | None = None
        self.init_started_at = 0.0
        self.init_duration_ms: float | None = None
        self.idle_since = 0.0
        self.deadline: float | None = None
        self.timer: Timer | None = None
        self.timer_due = 0.0

    @property
    def initialization_type(self) -> str:
        """``AWS_LAMBDA_INITIALIZATION_TYPE``."""
        return "provisioned-concurrency" if self.provisioned else "on-demand"

    @property
    def init_timeout_seconds(self) -> float:
        """How long initialization may take, if no invocation waits for it alone."""
        if self.provisioned:
            return max(INIT_TIMEOUT_AHEAD_SECONDS, self.function.timeout_seconds)
        return INIT_TIMEOUT_SECONDS

    def may(self, move: RuntimeMove) -> bool:
        return (self.state, move) in LEGAL_MOVES

    def move(self, move: RuntimeMove) -> None:
        """Raises KeyError for a move that the table does not have: ask ``may`` first."""
        self.state = LEGAL_MOVES[self.state, move]

    def take_invocation(self) -> Invocation | None:
        """Hands the duty to answer to the caller; nobody else gets it again."""
        invocation, self.invocation = self.invocation, None
        return invocation
