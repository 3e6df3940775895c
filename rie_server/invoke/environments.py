"""One execution environment and one invocation on its way: the mutable records of this stage.

Not thread-safe by themselves: every field is read and written under the fleet's lock, except where it says otherwise.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rie_server.errors import LambdaError
from rie_server.invoke.environment_extensions import EnvironmentExtensions
from rie_server.invoke.freezing import Frost
from rie_server.limits import INIT_TIMEOUT_AHEAD_SECONDS, INIT_TIMEOUT_SECONDS
from rie_server.model.environment import LEGAL_MOVES, MANAGED_INSTANCES, ON_DEMAND, RuntimeMove, RuntimeState
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.ports import EnvironmentLog, RunningEnvironment, Timer
from rie_server.streaming import ResponseSink

if TYPE_CHECKING:
    from rie_server.invoke.pool import Pool
    from rie_server.invoke.trace_record import TraceRecord


class Invocation:
    """An accepted request until it has its result.

    Attributes:
        waiting_since, started_at: monotonic seconds; ``started_at`` is when a runtime got it (or, when initialization
            is repeated for it, when that began): its timeout counts from there.
        sink: who takes a streamed response; None collects it.
        deadline_epoch_ms: what the runtime is told as ``Lambda-Runtime-Deadline-Ms``.
        trace: set where the invocation is sampled.
        runtime_id: ``Lambda-Runtime-Invocation-Id``, where several run in one environment.
        lingers: the invocation is answered before it is over, because extensions still work: it occupies its place
            until ``end``.

    Args:
        on_end: gives its place in the concurrency back.
    """

    __slots__ = (
        "_on_end",
        "_on_result",
        "deadline_epoch_ms",
        "function",
        "lingers",
        "request",
        "runtime_id",
        "sink",
        "started_at",
        "trace",
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
        *,
        sink: ResponseSink | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.request = request
        self.sink = sink
        self.function = function
        self.trace_header = trace_header
        self.waiting_since = waiting_since
        self.trace: TraceRecord | None = None
        self.started_at = 0.0
        self.deadline_epoch_ms = 0
        self.runtime_id: str | None = None
        self.lingers = False
        self._on_end = on_end
        self._on_result = on_result

    def tell_start(self, log: EnvironmentLog) -> None:
        """START."""
        request = self.request
        log.started(
            request.request_id,
            want_tail=request.want_log_tail,
            trace_header=self.trace_header,
            segments=None if self.trace is None else self.trace.segments,
            tenant_id=request.tenant_id,
        )

    def finish(self, payload: bytes, function_error: str | None, log_tail: bytes | None = None) -> None:
        """Delivers the answer. Whoever took the invocation off its environment calls this, once, without the lock."""
        if not self.lingers:
            self.end()
        self._on_result(
            InvokeResult(
                payload=payload,
                function_error=function_error,
                executed_version=self.function.version,
                log_tail=log_tail if self.request.want_log_tail else None,
                trace_header=None if self.trace is None else self.trace_header,
            )
        )

    def end(self) -> None:
        """Gives back the place that the invocation occupies; the first call counts."""
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()

    def refuse(self, refusal: LambdaError) -> None:
        """Ends an invocation that never reached a runtime."""
        self.end()
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
        frost: where environments are frozen between invocations, whether this one is.
        bound: the environment was started again for one invocation after its first initialization failed.
        poll: set while the runtime waits in ``next``.
        invocation: set from the hand-over (or the binding) to the answer.
        last_request_id: of the invocation that was handed over last, also after its answer.
        init_duration_ms: set when initialization has ended, taken by the first REPORT.
        restore_started_at, restore_duration_ms: likewise, of an environment with SnapStart: when it was told that it
            has been restored, and how long its runtime took to go on.
        deadline: monotonic seconds after which what runs now has timed out; None while nothing runs. An invocation
            runs until its runtime asks for the next one, not only until its answer.
        timer, timer_due: one timer per environment, armed again only when a deadline falls before it.
        extensions: None in an environment that has none, which then pays nothing for them.
    """

    __slots__ = (
        "bound",
        "deadline",
        "extensions",
        "frost",
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
        "restore_duration_ms",
        "restore_started_at",
        "running",
        "state",
        "timer",
        "timer_due",
    )

    # See ``sharing``.
    is_shared = False
    is_seat = False

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
        self.restore_started_at: float | None = None
        self.restore_duration_ms: float | None = None
        self.idle_since = 0.0
        self.frost: Frost | None = None
        self.deadline: float | None = None
        self.timer: Timer | None = None
        self.timer_due = 0.0
        self.extensions: EnvironmentExtensions | None = None

    @property
    def initialization_type(self) -> str:
        """``AWS_LAMBDA_INITIALIZATION_TYPE``."""
        if self.function.max_concurrency is not None:
            return MANAGED_INSTANCES
        if self.function.snap_start:
            return "snap-start"
        return "provisioned-concurrency" if self.provisioned else ON_DEMAND

    @property
    def init_timeout_seconds(self) -> float:
        """How long initialization may take, if no invocation waits for it alone."""
        if self.provisioned or self.function.snap_start:
            return max(INIT_TIMEOUT_AHEAD_SECONDS, self.function.timeout_seconds)
        return INIT_TIMEOUT_SECONDS

    def move(self, move: RuntimeMove) -> None:
        """Raises KeyError for a move that the table does not have."""
        self.state = LEGAL_MOVES[self.state, move]

    def take_invocation(self) -> Invocation | None:
        """Hands the duty to answer to the caller; nobody else gets it again."""
        invocation, self.invocation = self.invocation, None
        return invocation

    def take_invocations(self) -> list[tuple["Environment", Invocation]]:
        """Likewise, of everything that runs here; with who is to be named in the log."""
        invocation = self.take_invocation()
        return [] if invocation is None else [(self, invocation)]
