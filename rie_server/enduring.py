"""Ports of durable executions: the fifth page of ``ports``.

``durable`` is the stage, ``stores`` keep what it does; they meet here. Methods may be called from any thread.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableExecution, DurableOperation, ExecutionStatus

T = TypeVar("T")

# What is to become of an execution; it gets None where there is no such execution. It works on nothing but the draft,
# may run twice, and what it raises undoes all that it has done.
Rule = Callable[[DurableDraft | None], T]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExecution:
    """An execution with its input, which is JSON as it came."""

    execution: DurableExecution
    input_payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Generic[T]):
    """What a rule has made of an execution.

    Attributes:
        value: that the rule has returned.
        execution: as it is from now on; None where there is none.
        wake_at: when something is due for it (in the end: to forget it), or for an execution that has begun with this
            change.
    """

    value: T
    execution: DurableExecution | None
    wake_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatePage:
    """Operations in the order in which they began.

    Attributes:
        after: for the next page; None where there is none.
    """

    operations: Sequence[DurableOperation]
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionQuery:
    """Which executions are listed, and in which order.

    Attributes:
        function_key: the unqualified ARN.
        started_after, started_before: exclusive, in seconds since the epoch.
        after: when the last one of the page before began, and its id.
    """

    function_key: str
    version: str | None = None
    name: str | None = None
    status: ExecutionStatus | None = None
    started_after: float | None = None
    started_before: float | None = None
    oldest_first: bool = False
    after: tuple[float, str] | None = None
    most: int


class DurableStore(Protocol):
    """Keeps durable executions. A change is durable, and visible, when its caller hears of it; changes of one execution
    come one after the other, whichever server makes them. What cannot be written is a ServiceException.
    """

    def add(
        self,
        draft: DurableDraft,
        input_payload: str,
        on_done: Callable[[StoredExecution | None, Exception | None], None],
    ) -> None:
        """Stores a new execution, or finds the one of that name that the function has already: ``on_done`` gets it.
        Returns at once; ``on_done`` is called on the store's thread and must not block.
        """

    def change(self, execution_id: str, rule: Rule[T], *, wanted: Collection[str] = ()) -> Changed[T]:
        """Applies ``rule``; what it raises is raised here.

        Args:
            wanted: ids of operations that the rule looks at apart from those that are open or unseen.
        """

    def change_later(
        self, execution_id: str, rule: Rule[T], on_done: Callable[[Changed[T] | None, Exception | None], None]
    ) -> None:
        """``change`` that returns at once; ``on_done`` is called on the store's thread and must not block."""

    def load(self, execution_id: str) -> StoredExecution | None: ...

    def state(self, execution_id: str, *, after: int, most: int, most_bytes: int) -> StatePage:
        """The operations that a replay needs, from the one behind ``after`` on; at least one, if there is one."""

    def history(
        self, execution_id: str, *, after: int | None, most: int, newest_first: bool
    ) -> Sequence[Mapping[str, Any]]:
        """Events, from the one behind number ``after`` on."""

    def list(self, query: ExecutionQuery) -> Sequence[DurableExecution]: ...

    def due(self, *, now: float, most: int) -> Sequence[DurableExecution]:
        """Executions for which something is to be done, the longest due first."""

    def next_due(self, *, after: float) -> float | None:
        """When the next execution is due, or to be forgotten, after that moment."""

    def delete(self, execution_id: str) -> None:
        """Forgets an execution with all that belongs to it."""

    def delete_expired(self, *, now: float) -> int:
        """Forgets those whose time has come; returns how many."""

    def renew(self, owner: str, lease_seconds: float) -> None:
        """All invocations of ``owner`` last for ``lease_seconds`` from now."""

    def abandoned(self, is_gone: Callable[[str], bool]) -> Sequence[tuple[str, str]]:
        """Executions whose invocation's server is gone, or has been silent for too long, and that server."""
