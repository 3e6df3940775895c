"""The durable queue of asynchronous events, in the database.

Thread-safe, and safe between processes that share the database: an event is claimed by one of them. Claimed events
stay in the table, so a crash leaves them to be released and run again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.invocation import InvokeRequest
from rie_server.stores.database import Database
from rie_server.stores.schema import CLAIMED, QUEUED, events

_OPTIONS: Mapping[str, Any] = {
    "want_log_tail": False,
    "client_context": None,
    "cognito_identity": None,
    "trace_header": None,
    "tenant_id": None,
}
# Few enough for the variables a statement may have in any database.
_ROWS_PER_STATEMENT = 500
_ORDER = (events.c.due_at, events.c.sequence)

_insert = insert(events)
_delete = delete(events).where(events.c.request_id == bindparam("sought"))
_free = {"state": QUEUED, "lease_owner": None}
_due = select(events).where(events.c.state == QUEUED, events.c.due_at <= bindparam("now")).order_by(*_ORDER)
_claim = (
    update(events)
    .where(events.c.sequence.in_(bindparam("sequences", expanding=True)))
    .values(state=CLAIMED, lease_owner=bindparam("owner"))
)
_postpone = (
    update(events)
    .where(events.c.request_id == bindparam("sought"))
    .values(due_at=bindparam("due"), refusals=events.c.refusals + 1, **_free)
)
_release = (
    update(events)
    .where(events.c.state == CLAIMED, events.c.lease_owner.in_(bindparam("owners", expanding=True)))
    .values(**_free)
)


class DatabaseEventStore:
    """Fills ``ports.EventStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event: QueuedEvent, on_durable: Callable[[Exception | None], None]) -> None:
        row = _row(event)

        def work(connection: Connection) -> None:
            connection.execute(_insert, row)

        self._database.submit(work, lambda _, error: on_durable(error))

    def claim(self, owner: str, limit: int, *, now: float) -> Sequence[QueuedEvent]:
        due = _due.limit(min(limit, _ROWS_PER_STATEMENT)).with_for_update(skip_locked=True)

        def work(connection: Connection) -> Sequence[QueuedEvent]:
            rows = connection.execute(due, {"now": now}).all()
            if rows:
                connection.execute(_claim, {"sequences": [row.sequence for row in rows], "owner": owner})
            return [_event(row) for row in rows]

        return self._database.write(work)

    def next_due_at(self) -> float | None:
        with self._database.read() as connection:
            return connection.execute(select(func.min(events.c.due_at)).where(events.c.state == QUEUED)).scalar()

    def postpone(self, request_id: str, due_at: float, on_durable: Callable[[Exception | None], None]) -> None:
        def work(connection: Connection) -> None:
            connection.execute(_postpone, {"sought": request_id, "due": due_at})

        self._database.submit(work, lambda _, error: on_durable(error))

    def remove(self, request_id: str, on_durable: Callable[[Exception | None], None]) -> None:
        def work(connection: Connection) -> None:
            connection.execute(_delete, {"sought": request_id})

        self._database.submit(work, lambda _, error: on_durable(error))

    def claim_owners(self) -> Sequence[str]:
        claimed = select(events.c.lease_owner).where(events.c.state == CLAIMED).distinct()
        with self._database.read() as connection:
            return [owner for owner in connection.execute(claimed).scalars() if owner is not None]

    def release(self, owners: Sequence[str]) -> int:
        if not owners:
            return 0
        gone = list(owners)
        return self._database.write(lambda connection: connection.execute(_release, {"owners": gone}).rowcount)

    def __iter__(self) -> Iterator[QueuedEvent]:
        after = 0
        while True:
            page = select(events).where(events.c.sequence > after).order_by(events.c.sequence)
            with self._database.read() as connection:
                rows = connection.execute(page.limit(_ROWS_PER_STATEMENT)).all()
            if not rows:
                return
            yield from (_event(row) for row in rows)
            after = rows[-1].sequence


def _row(event: QueuedEvent) -> dict[str, Any]:
    request = event.request
    options = {name: getattr(request, name) for name, default in _OPTIONS.items() if getattr(request, name) != default}
    return {
        "request_id": request.request_id,
        "function_key": str(request.function.unqualified),
        "qualifier": request.function.qualifier,
        "payload": request.payload,
        "options": options or None,
        "enqueued_at": event.enqueued_at,
        "state": QUEUED,
        "due_at": event.enqueued_at,
        "attempts": event.attempts,
        "refusals": event.refusals,
    }


def _event(row: Row[Any]) -> QueuedEvent:
    _, _, _, region, account, _, name = row.function_key.split(":")
    request = InvokeRequest(
        function=FunctionArn(region=region, account=account, name=name, qualifier=row.qualifier),
        payload=bytes(row.payload),
        request_id=row.request_id,
        **(row.options or {}),
    )
    return QueuedEvent(request=request, enqueued_at=row.enqueued_at, attempts=row.attempts, refusals=row.refusals)
