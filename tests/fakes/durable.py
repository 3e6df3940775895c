"""Durable executions in memory, held to the contract suite ``tests/contract/test_durable_store.py``; and their control
plane without anybody who invokes.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rie_server.durable.dead_letters import DeadLetters
from rie_server.durable.executions import DurableExecutions
from rie_server.durable.runner import DurableRunner
from rie_server.durable.waiting import Waiters
from rie_server.enduring import Changed, ExecutionQuery, Rule, StatePage, StoredExecution
from rie_server.errors import ServiceException
from rie_server.model.arn import FunctionArn
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableExecution, DurableOperation
from rie_server.model.durable_replay import OperationOutline, replayed
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.ports import Clock, FunctionCatalog
from tests.fakes.invoker import FakeInvoker

T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    execution: DurableExecution
    input_payload: str
    operations: dict[str, DurableOperation] = field(default_factory=dict)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    wake_at: float | None = None


class MemoryDurableStore:
    """Commits at once and calls back on the caller's thread. Leases never expire here.

    Attributes:
        failure: while set, nothing is written, and whoever wants to is told of it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._kept: dict[str, _Kept] = {}
        self.failure: Exception | None = None

    def add(
        self,
        draft: DurableDraft,
        input_payload: str,
        on_done: Callable[[StoredExecution | None, Exception | None], None],
    ) -> None:
        if self.failure is not None:
            on_done(None, self.failure)
            return
        arn = draft.execution.arn
        with self._lock:
            found = [
                one
                for one in self._kept.values()
                if (one.execution.arn.function.unqualified, one.execution.arn.name)
                == (arn.function.unqualified, arn.name)
            ]
            if not found:
                found = [self._insert(draft, input_payload)]
        on_done(StoredExecution(execution=found[0].execution, input_payload=found[0].input_payload), None)

    def change(self, execution_id: str, rule: Rule[T], *, wanted: Collection[str] = ()) -> Changed[T]:
        if self.failure is not None:
            raise self.failure
        with self._lock:
            kept = self._kept.get(execution_id)
            if kept is None:
                return Changed(value=rule(None), execution=None, wake_at=None)
            last = kept.execution.last_checkpoint
            ids = {execution_id, *wanted, *(() if last is None else last.operation_ids)}
            loaded = {
                one.id: one
                for one in kept.operations.values()
                if one.is_open or one.touched > kept.execution.seen or one.id in ids
            }
            draft = DurableDraft(kept.execution, loaded)
            value = rule(draft)
            self._write(kept, draft)
            children = [self._insert(child, given) for child, given in draft.children]
            moments = [kept.execution.expires_at, *(one.wake_at for one in (kept, *children))]
            wake_at = min((one for one in moments if one is not None), default=None)
            return Changed(value=value, execution=kept.execution, wake_at=wake_at)

    def change_later(
        self, execution_id: str, rule: Rule[T], on_done: Callable[[Changed[T] | None, Exception | None], None]
    ) -> None:
        try:
            changed = self.change(execution_id, rule)
        except Exception as error:
            on_done(None, error)
            return
        on_done(changed, None)

    def load(self, execution_id: str) -> StoredExecution | None:
        with self._lock:
            kept = self._kept.get(execution_id)
            return None if kept is None else StoredExecution(execution=kept.execution, input_payload=kept.input_payload)

    def state(self, execution_id: str, *, after: int, most: int, most_bytes: int) -> StatePage:
        with self._lock:
            operations = self._kept[execution_id].operations
            outlines = [
                OperationOutline(
                    id=one.id, sequence=one.sequence, parent_id=one.parent_id, hides_children=one.hides_children
                )
                for one in operations.values()
            ]
            seen = [operations[one] for one in replayed(outlines) if operations[one].sequence > after]
        page: list[DurableOperation] = []
        for operation in seen[:most]:
            if page and sum(_bytes(one) for one in (*page, operation)) > most_bytes:
                break
            page.append(operation)
        return StatePage(operations=page, after=page[-1].sequence if len(page) < len(seen) else None)

    def history(
        self, execution_id: str, *, after: int | None, most: int, newest_first: bool
    ) -> Sequence[Mapping[str, Any]]:
        with self._lock:
            kept = self._kept.get(execution_id)
            events = [] if kept is None else list(kept.events)
        if newest_first:
            events = [one for one in reversed(events) if after is None or one["EventId"] < after]
        else:
            events = [one for one in events if after is None or one["EventId"] > after]
        return events[:most]

    def list(self, query: ExecutionQuery) -> Sequence[DurableExecution]:
        with self._lock:
            found = [one.execution for one in self._kept.values() if _fits(one.execution, query)]
        found.sort(key=_place, reverse=not query.oldest_first)
        if query.after is not None:
            last = query.after
            found = [one for one in found if (_place(one) > last) == query.oldest_first and _place(one) != last]
        return found[: query.most]

    def due(self, *, now: float, most: int) -> Sequence[DurableExecution]:
        with self._lock:
            due = [one for one in self._kept.values() if one.wake_at is not None and one.wake_at <= now]
            return [one.execution for one in sorted(due, key=lambda one: one.wake_at or 0.0)[:most]]

    def next_due(self, *, after: float) -> float | None:
        with self._lock:
            moments = [one for kept in self._kept.values() for one in (kept.wake_at, kept.execution.expires_at)]
        return min((one for one in moments if one is not None and one > after), default=None)

    def delete(self, execution_id: str) -> None:
        with self._lock:
            self._kept.pop(execution_id, None)

    def delete_expired(self, *, now: float) -> int:
        with self._lock:
            moments = {name: kept.execution.expires_at for name, kept in self._kept.items()}
            expired = [name for name, moment in moments.items() if moment is not None and moment <= now]
            for name in expired:
                del self._kept[name]
            return len(expired)

    def renew(self, owner: str, lease_seconds: float) -> None:
        """Leases last."""

    def abandoned(self, is_gone: Callable[[str], bool]) -> Sequence[tuple[str, str]]:
        with self._lock:
            held = [
                (name, kept.execution.invocation.owner)
                for name, kept in self._kept.items()
                if kept.execution.invocation is not None
            ]
        return [(name, owner) for name, owner in held if is_gone(owner)]

    def _insert(self, draft: DurableDraft, input_payload: str) -> _Kept:
        kept = _Kept(draft.execution, input_payload)
        self._kept[draft.execution.arn.id] = kept
        self._write(kept, draft)
        return kept

    @staticmethod
    def _write(kept: _Kept, draft: DurableDraft) -> None:
        kept.execution = draft.execution
        kept.operations.update(draft.changed)
        kept.events.extend(draft.events)
        kept.wake_at = draft.wake_at


def idle_executions(
    catalog: FunctionCatalog, clock: Clock, store: MemoryDurableStore | None = None
) -> DurableExecutions:
    """The control plane on a store in memory; nothing is ever invoked."""
    kept = store or MemoryDurableStore()
    runner = DurableRunner(
        store=kept,
        invoker=FakeInvoker(),
        waiters=Waiters(),
        dead_letters=no_dead_letters(kept),
        clock=clock,
        real=clock,
        owner="test/1",
        is_gone=lambda _: False,
    )
    return DurableExecutions(store=kept, runner=runner, catalog=catalog, clock=clock)


class _NoConfigs:
    def event_invoke_config(self, _: FunctionArn) -> EventInvokeConfig:
        return EventInvokeConfig()


def no_dead_letters(store: MemoryDurableStore) -> DeadLetters:
    """No function has a dead-letter queue."""
    return DeadLetters(store=store, configs=_NoConfigs(), add=lambda _, on_durable: on_durable(None))


def stored(result: StoredExecution | None, error: Exception | None) -> None:
    """For ``add`` where the test only wants it to be there."""
    if result is None:
        raise error or ServiceException("not stored")


def _fits(execution: DurableExecution, query: ExecutionQuery) -> bool:
    function = execution.arn.function
    return (
        not execution.is_plain
        and str(function.unqualified) == query.function_key
        and query.version in {None, function.qualifier}
        and query.name in {None, execution.arn.name}
        and query.status in {None, execution.status}
        and (query.started_after is None or execution.started_at > query.started_after)
        and (query.started_before is None or execution.started_at < query.started_before)
    )


def _place(execution: DurableExecution) -> tuple[float, str]:
    return execution.started_at, execution.arn.id


def _bytes(operation: DurableOperation) -> int:
    return 512 + len(operation.details.get("Result") or "") + len(str(operation.details.get("Error") or ""))
