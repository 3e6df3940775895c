"""A durable execution as it stands: its own record, its operations, and what an invocation of it carries.

Pure data. Errors are ``ErrorObject``s under the API's own member names; times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rie_server.model.durable_config import DurableConfig
from rie_server.model.durable_names import CheckpointToken, DurableArn

ErrorObject = Mapping[str, Any]


class ExecutionStatus(StrEnum):
    RUNNING = "RUNNING"
    PAUSING = "PAUSING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    STOPPED = "STOPPED"


ENDED = frozenset(
    {ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT, ExecutionStatus.STOPPED}
)


class OperationType(StrEnum):
    EXECUTION = "EXECUTION"
    CONTEXT = "CONTEXT"
    STEP = "STEP"
    WAIT = "WAIT"
    CALLBACK = "CALLBACK"
    CHAINED_INVOKE = "CHAINED_INVOKE"


class OperationStatus(StrEnum):
    STARTED = "STARTED"
    PENDING = "PENDING"
    READY = "READY"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    STOPPED = "STOPPED"


# What an execution waits for while no invocation of it runs.
_WAITED_FOR = frozenset(
    {
        (OperationType.STEP, OperationStatus.PENDING),
        (OperationType.WAIT, OperationStatus.STARTED),
        (OperationType.CALLBACK, OperationStatus.STARTED),
        (OperationType.CHAINED_INVOKE, OperationStatus.STARTED),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableOperation:
    """
    Attributes:
        sequence: operations come in the order in which they began.
        touched: the number of its last change among all changes of the execution.
        due_at: when a timer of it goes off, while it waits.
        details: what belongs to its type: results and errors, attempts, options; see ``durable_description``.
    """

    id: str
    sequence: int
    touched: int
    type: OperationType
    status: OperationStatus
    started_at: float
    parent_id: str | None = None
    name: str | None = None
    sub_type: str | None = None
    ended_at: float | None = None
    due_at: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether the execution waits for it."""
        return (self.type, self.status) in _WAITED_FOR

    @property
    def hides_children(self) -> bool:
        """Whether a replay does not look at what happened inside it."""
        is_over = self.type is OperationType.CONTEXT and self.ended_at is not None
        return is_over and not self.details.get("ReplayChildren", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningInvocation:
    """The one invocation that works on an execution.

    Attributes:
        id: its request id.
        owner: the server that runs it.
        is_revoked: the execution was paused meanwhile: it may not checkpoint any more.
    """

    id: str
    owner: str
    started_at: float
    is_revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentOperation:
    """The CHAINED_INVOKE of another execution that began this one.

    Attributes:
        is_told: whether it knows how this one ended.
    """

    execution_id: str
    operation_id: str
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOrigin:
    """The event that began an execution for which nobody waits.

    Attributes:
        qualifier: as the caller named the function.
        is_told: whether its dead-letter queue has heard of a failure, or the event has none.
    """

    request_id: str
    qualifier: str | None
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCheckpoint:
    """For a caller that has lost the answer to its checkpoint and sends it again."""

    client_token: str
    token: str
    operation_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """
    Attributes:
        stops_timeout: the execution timeout stands still meanwhile.
    """

    requested_at: float
    reason: str | None
    stops_timeout: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """The last PauseDurableExecution or ResumeDurableExecution with a ClientToken."""

    token: str
    operation: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableExecution:
    """The record of an execution, without its operations and its history.

    Attributes:
        is_plain: an ordinary function that a durable one has invoked: it runs once, has no operations, and goes when
            its parent knows the result.
        trace_header: every invocation begins with it, so replays are no rounds of a loop.
        result_limit_bytes: 6 MB where a caller waits, 1 MB elsewhere.
        timeout_at: when the execution has taken too long.
        run_at: when the function is to be invoked; None while there is nothing for it to do.
        failures: invocations in a row that ended in a function error; likewise ``refusals``, where the function could
            not be run, and ``idle_answers``, that wait for nothing.
        token: checkpoints so far; ``changes``, ``operations`` and ``events`` count what has happened, too.
        seen: the last change that the handler knows of.
        timeout_left_seconds: while the execution timeout stands still.
    """

    arn: DurableArn
    status: ExecutionStatus
    started_at: float
    config: DurableConfig
    timeout_at: float
    trace_header: str = ""
    tenant_id: str | None = None
    result_limit_bytes: int
    is_plain: bool = False
    parent: ParentOperation | None = None
    origin: EventOrigin | None = None
    result: str | None = None
    error: ErrorObject | None = None
    ended_at: float | None = None
    invocation: RunningInvocation | None = None
    run_at: float | None = None
    failures: int = 0
    refusals: int = 0
    idle_answers: int = 0
    token: int = 0
    changes: int = 0
    seen: int = 0
    operations: int = 0
    events: int = 0
    last_checkpoint: LastCheckpoint | None = None
    pause: Pause | None = None
    timeout_left_seconds: float | None = None
    last_request: ClientRequest | None = None

    @property
    def is_over(self) -> bool:
        return self.status in ENDED

    @property
    def owes_news(self) -> bool:
        """Whether it is over, and somebody has to hear of that: its parent, or a dead-letter queue."""
        if not self.is_over:
            return False
        failed = self.status is not ExecutionStatus.SUCCEEDED
        untold = self.origin is not None and failed and not self.origin.is_told
        return untold or (self.parent is not None and not self.parent.is_told)

    @property
    def is_halted(self) -> bool:
        """Whether the function is not to be invoked, whatever happens."""
        return self.status in {ExecutionStatus.PAUSING, ExecutionStatus.PAUSED}

    @property
    def expires_at(self) -> float | None:
        """When it is forgotten."""
        if self.ended_at is None or self.owes_news:
            return None
        return self.ended_at if self.is_plain else self.ended_at + self.config.retention_days * 86_400.0

    @property
    def checkpoint_token(self) -> str:
        """What the running invocation has to show with its next checkpoint."""
        invocation_id = "" if self.invocation is None else self.invocation.id
        return str(CheckpointToken(execution_id=self.arn.id, invocation_id=invocation_id, sequence=self.token))
