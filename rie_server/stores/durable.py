"""Durable executions in the database. Thread-safe. Fills ``enduring.DurableStore``.

A rule runs inside the database's transaction, on the writer's thread, with the execution's row locked: so no two
changes of an execution ever meet, not even those of two servers, and nothing has to be kept in memory to be right.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update

from rie_server.enduring import Changed, ExecutionQuery, Rule, StatePage, StoredExecution
from rie_server.errors import LambdaError
from rie_server.model.durable_document import execution_of, operation_of
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableExecution, DurableOperation
from rie_server.model.durable_replay import OperationOutline, replayed
from rie_server.stores.database import Database
from rie_server.stores.database_clock import database_now
from rie_server.stores.durable_queries import listing, next_due
from rie_server.stores.durable_rows import event_rows, execution_row, operation_row
from rie_server.stores.schema import durable_events, durable_executions, durable_operations

T = TypeVar("T")

# A server that invokes may be silent for so long; it renews its leases several times meanwhile.
LEASE_SECONDS = 60.0
_ROWS_PER_STATEMENT = 500

_executions, _operations, _events = durable_executions.c, durable_operations.c, durable_events.c
_sought: BindParameter[str] = bindparam("sought")
_locked = select(_executions.document).where(_executions.id == _sought).with_for_update()
_stored = select(_executions.document, _executions.input).where(_executions.id == _sought)
_named = select(_executions.document, _executions.input).where(
    _executions.function_key == bindparam("function"), _executions.name == bindparam("named")
)
_loaded = select(_operations.document).where(
    _operations.execution_id == _sought,
    (_operations.is_open)
    | (_operations.touched > bindparam("seen"))
    | (_operations.id.in_(bindparam("wanted", expanding=True))),
)
_outlines = select(_operations.id, _operations.sequence, _operations.parent_id, _operations.hides_children).where(
    _operations.execution_id == _sought
)
_chosen = select(_operations.document).where(
    _operations.execution_id == _sought, _operations.id.in_(bindparam("chosen", expanding=True))
)
_write_execution = update(durable_executions).where(_executions.id == _sought)
_write_operation = update(durable_operations).where(
    _operations.execution_id == bindparam("sought"), _operations.id == bindparam("sought_operation")
)
_lease_end = database_now() + bindparam("lease_seconds")
_renew = (
    update(durable_executions).where(_executions.lease_owner == bindparam("owner")).values(lease_expires_at=_lease_end)
)
_owners = select(_executions.lease_owner).where(_executions.lease_owner.is_not(None)).distinct()
_held = select(_executions.id, _executions.lease_owner).where(
    _executions.lease_owner.in_(bindparam("owners", expanding=True))
    | ((_executions.lease_owner.is_not(None)) & (_executions.lease_expires_at < database_now()))
)
_due = (
    select(_executions.document)
    .where(_executions.wake_at <= bindparam("now"))
    .order_by(_executions.wake_at)
    .limit(bindparam("most"))
)
_expired = select(_executions.id).where(_executions.expires_at <= bindparam("now")).limit(_ROWS_PER_STATEMENT)


class DurableExecutionStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- changing -----------------------------------------------------------------------------------------------------

    def add(
        self,
        draft: DurableDraft,
        input_payload: str,
        on_done: Callable[[StoredExecution | None, Exception | None], None],
    ) -> None:
        function = str(draft.execution.arn.function.unqualified)

        def work(connection: Connection) -> StoredExecution:
            named = {"function": function, "named": draft.execution.arn.name}
            found = connection.execute(_named, named).one_or_none()
            if found is not None:
                return StoredExecution(execution=execution_of(found[0]), input_payload=found[1])
            _insert(connection, draft, input_payload)
            return StoredExecution(execution=draft.execution, input_payload=input_payload)

        self._database.submit(work, on_done)

    def change(self, execution_id: str, rule: Rule[T], *, wanted: Collection[str] = ()) -> Changed[T]:
        done = threading.Event()
        outcome: list[Any] = [None, None]

        def on_done(changed: Changed[T] | None, error: Exception | None) -> None:
            outcome[:] = changed, error
            done.set()

        self._submit(execution_id, rule, wanted, on_done)
        done.wait()
        if outcome[1] is not None:
            raise outcome[1]
        changed: Changed[T] = outcome[0]
        return changed

    def change_later(
        self, execution_id: str, rule: Rule[T], on_done: Callable[[Changed[T] | None, Exception | None], None]
    ) -> None:
        self._submit(execution_id, rule, (), on_done)

    def delete(self, execution_id: str) -> None:
        self._database.write(lambda connection: _delete(connection, [execution_id]))

    def delete_expired(self, *, now: float) -> int:
        def work(connection: Connection) -> int:
            expired = list(connection.execute(_expired, {"now": now}).scalars())
            if expired:
                _delete(connection, expired)
            return len(expired)

        return self._database.write(work)

    def renew(self, owner: str, lease_seconds: float) -> None:
        lease = {"owner": owner, "lease_seconds": lease_seconds}
        self._database.write(lambda connection: connection.execute(_renew, lease).rowcount)

    def _submit(
        self,
        execution_id: str,
        rule: Rule[T],
        wanted: Collection[str],
        on_done: Callable[[Changed[T] | None, Exception | None], None],
    ) -> None:
        def work(connection: Connection) -> Changed[T] | LambdaError:
            draft = _draft(connection, execution_id, wanted)
            try:
                value = rule(draft)
            except LambdaError as refusal:
                # Not raised here: a write that fails makes its neighbours in the transaction run again.
                return refusal
            if draft is None:
                return Changed(value=value, execution=None, wake_at=None)
            _save(connection, draft)
            moments = [one.wake_at for one in (draft, *(child for child, _ in draft.children))]
            moments.append(draft.execution.expires_at)
            wake_at = min((moment for moment in moments if moment is not None), default=None)
            return Changed(value=value, execution=draft.execution, wake_at=wake_at)

        def done(changed: Changed[T] | LambdaError | None, error: Exception | None) -> None:
            if isinstance(changed, LambdaError):
                on_done(None, changed)
            else:
                on_done(changed, error)

        self._database.submit(work, done)

    # --- reading ------------------------------------------------------------------------------------------------------

    def load(self, execution_id: str) -> StoredExecution | None:
        with self._database.read() as connection:
            found = connection.execute(_stored, {"sought": execution_id}).one_or_none()
        return None if found is None else StoredExecution(execution=execution_of(found[0]), input_payload=found[1])

    def state(self, execution_id: str, *, after: int, most: int, most_bytes: int) -> StatePage:
        with self._database.read() as connection:
            rows = connection.execute(_outlines, {"sought": execution_id}).all()
            known = {
                row.id: OperationOutline(
                    id=row.id, sequence=row.sequence, parent_id=row.parent_id, hides_children=row.hides_children
                )
                for row in rows
            }
            ids = [one for one in replayed(known.values()) if known[one].sequence > after]
            page = self._page(connection, execution_id, ids[:most], most_bytes)
        is_last = len(page) == len(ids)
        return StatePage(operations=page, after=None if is_last else page[-1].sequence)

    @staticmethod
    def _page(
        connection: Connection, execution_id: str, ids: Sequence[str], most_bytes: int
    ) -> Sequence[DurableOperation]:
        page: list[DurableOperation] = []
        size = 0
        for start in range(0, len(ids), _ROWS_PER_STATEMENT):
            chosen = {"sought": execution_id, "chosen": ids[start : start + _ROWS_PER_STATEMENT]}
            found = (operation_of(row) for row in connection.execute(_chosen, chosen).scalars())
            for operation in sorted(found, key=lambda one: one.sequence):
                size += _weight(operation)
                if page and size > most_bytes:
                    return page
                page.append(operation)
        return page

    def history(
        self, execution_id: str, *, after: int | None, most: int, newest_first: bool
    ) -> Sequence[Mapping[str, Any]]:
        query = select(_events.document).where(_events.execution_id == execution_id).limit(most)
        if newest_first:
            query = query.order_by(_events.number.desc())
            query = query if after is None else query.where(_events.number < after)
        else:
            query = query.order_by(_events.number)
            query = query if after is None else query.where(_events.number > after)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def list(self, query: ExecutionQuery) -> Sequence[DurableExecution]:
        with self._database.read() as connection:
            return [execution_of(row) for row in connection.execute(listing(query)).scalars()]

    def due(self, *, now: float, most: int) -> Sequence[DurableExecution]:
        with self._database.read() as connection:
            return [execution_of(row) for row in connection.execute(_due, {"now": now, "most": most}).scalars()]

    def next_due(self, *, after: float) -> float | None:
        with self._database.read() as connection:
            return next_due(connection, after)

    def abandoned(self, is_gone: Callable[[str], bool]) -> Sequence[tuple[str, str]]:
        with self._database.read() as connection:
            owners = [owner for owner in connection.execute(_owners).scalars() if owner is not None and is_gone(owner)]
            return [(row[0], row[1]) for row in connection.execute(_held, {"owners": owners})]


def _draft(connection: Connection, execution_id: str, wanted: Collection[str]) -> DurableDraft | None:
    document = connection.execute(_locked, {"sought": execution_id}).scalar()
    if document is None:
        return None
    execution = execution_of(document)
    ids = {execution_id, *wanted}
    if execution.last_checkpoint is not None:
        ids.update(execution.last_checkpoint.operation_ids)
    sought = {"sought": execution_id, "seen": execution.seen, "wanted": sorted(ids)}
    loaded = (operation_of(row) for row in connection.execute(_loaded, sought).scalars())
    return DurableDraft(execution, {operation.id: operation for operation in loaded})


def _insert(connection: Connection, draft: DurableDraft, input_payload: str) -> None:
    execution_id = draft.execution.arn.id
    connection.execute(insert(durable_executions), {"id": execution_id, "input": input_payload, **execution_row(draft)})
    _save_parts(connection, draft)


def _save(connection: Connection, draft: DurableDraft) -> None:
    row = execution_row(draft)
    lease = {"lease_expires_at": None if row["lease_owner"] is None else database_now() + LEASE_SECONDS}
    connection.execute(_write_execution.values(**row, **lease), {"sought": draft.execution.arn.id})
    _save_parts(connection, draft)
    for child, input_payload in draft.children:
        _insert(connection, child, input_payload)


def _save_parts(connection: Connection, draft: DurableDraft) -> None:
    execution_id = draft.execution.arn.id
    new: list[dict[str, Any]] = []
    for operation in draft.changed.values():
        row = operation_row(execution_id, operation)
        place = {"sought": execution_id, "sought_operation": operation.id}
        if operation.id in draft.known:
            connection.execute(_write_operation.values(**row), place)
        else:
            new.append(row)
    if new:
        connection.execute(insert(durable_operations), new)
    if draft.events:
        connection.execute(insert(durable_events), event_rows(draft))


def _delete(connection: Connection, ids: Sequence[str]) -> None:
    connection.execute(delete(durable_events).where(_events.execution_id.in_(ids)))
    connection.execute(delete(durable_operations).where(_operations.execution_id.in_(ids)))
    connection.execute(delete(durable_executions).where(_executions.id.in_(ids)))


def _weight(operation: DurableOperation) -> int:
    """About how many bytes it takes in a page."""
    details = operation.details
    return 512 + len(details.get("Result") or "") + len(str(details.get("Error") or ""))
