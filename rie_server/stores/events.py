"""The durable queue of asynchronous events, in the database.

Thread-safe, and safe between servers that share the database: an event is claimed by one of them, for as long as its
lease lasts. Claimed events stay in the table, so a crash leaves them to be released and run again. A change by somebody
who does not hold the event (any more) changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, literal_column, select, text, update

from rie_server.errors import LeaseLostError
from rie_server.model.async_event import QueuedEvent
from rie_server.ports import OnDurable
from rie_server.stores.batch import Batch
from rie_server.stores.database import Database
from rie_server.stores.database_clock import database_now
from rie_server.stores.driver_insert import DriverInsert
from rie_server.stores.event_rows import FIRST_COLUMNS, event_of, first_columns, is_untouched, progress
from rie_server.stores.schema import CLAIMED, QUEUED, events

# Few enough for the variables a statement may have in any database.
_ROWS_PER_STATEMENT = 500

_insert = insert(events).values(state=QUEUED)
# As good as every event comes like this: what is the same for all of them is said once and not bound row by row.
_insert_untouched = DriverInsert(
    insert(events).values(
        state=literal_column(f"'{QUEUED}'"), attempts=literal_column("0"), refusals=literal_column("0")
    ),
    FIRST_COLUMNS,
)
# One seek in the index per lane, however many events wait in each: a GROUP BY would read them all.
_lanes = text(
    """
    WITH RECURSIVE lanes (lane) AS (
        SELECT min(lane) FROM events WHERE state = 'queued'
        UNION ALL
        SELECT (SELECT min(events.lane) FROM events WHERE events.state = 'queued' AND events.lane > lanes.lane)
        FROM lanes WHERE lanes.lane IS NOT NULL
    )
    SELECT lanes.lane, (
        SELECT min(events.due_at) FROM events WHERE events.state = 'queued' AND events.lane = lanes.lane
    ) FROM lanes WHERE lanes.lane IS NOT NULL
    """
)
_due = (
    select(events)
    .where(events.c.state == QUEUED, events.c.lane == bindparam("sought"), events.c.due_at <= bindparam("now"))
    .order_by(events.c.due_at, events.c.sequence)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_lease_end = database_now() + bindparam("lease_seconds")
_claim = (
    update(events)
    .where(events.c.sequence.in_(bindparam("sequences", expanding=True)))
    .values(state=CLAIMED, lease_owner=bindparam("owner"), lease_expires_at=_lease_end)
)
_held = (
    events.c.request_id == bindparam("sought"),
    events.c.lease_owner == bindparam("owner"),
    events.c.state == CLAIMED,
)
_save = update(events).where(*_held)
# One statement for all of them, because SQLite's driver hands the interpreter over and back for each that it runs.
_remove = delete(events).where(
    events.c.request_id.in_(bindparam("sought", expanding=True)),
    events.c.lease_owner == bindparam("owner"),
    events.c.state == CLAIMED,
)
_renew = (
    update(events)
    .where(events.c.state == CLAIMED, events.c.lease_owner == bindparam("owner"))
    .values(lease_expires_at=_lease_end)
)
_free: dict[str, Any] = {"state": QUEUED, "lease_owner": None, "lease_expires_at": None}
_release = (
    update(events)
    .where(events.c.state == CLAIMED, events.c.lease_owner.in_(bindparam("owners", expanding=True)))
    .values(**_free)
)
_owners = select(events.c.lease_owner).where(events.c.state == CLAIMED).distinct()
_release_expired = (
    update(events).where(events.c.state == CLAIMED, events.c.lease_expires_at < database_now()).values(**_free)
)


class DatabaseEventStore:
    """Fills ``ports.EventStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._additions = Batch(database, _insert_untouched.execute)
        # Whoever has run an event goes on without waiting for this.
        self._removals = Batch(database, _remove_rows, can_wait=True)

    def add(self, event: QueuedEvent, on_durable: OnDurable) -> None:
        if is_untouched(event):
            self._additions.submit(first_columns(event), on_durable)
            return
        row = first_columns(event) | progress(event)
        self._database.submit(lambda connection: connection.execute(_insert, row), lambda _, error: on_durable(error))

    def lanes(self) -> Mapping[str, float]:
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(_lanes)}

    def claim(
        self, owner: str, allotted: Mapping[str, int], *, now: float, lease_seconds: float
    ) -> Sequence[QueuedEvent]:
        def work(connection: Connection) -> Sequence[QueuedEvent]:
            claimed: list[QueuedEvent] = []
            for lane, most in allotted.items():
                due = {"sought": lane, "now": now, "most": min(most, _ROWS_PER_STATEMENT)}
                if rows := connection.execute(_due, due).all():
                    lease = {"owner": owner, "lease_seconds": lease_seconds}
                    connection.execute(_claim, {"sequences": [row.sequence for row in rows], **lease})
                claimed.extend(event_of(row) for row in rows)
            return claimed

        return self._database.write(work)

    def save(self, event: QueuedEvent, owner: str, due_at: float | None, on_durable: OnDurable) -> None:
        changes = progress(event) | ({} if due_at is None else {"due_at": due_at, **_free})
        holder = {"sought": event.request.request_id, "owner": owner}

        def work(connection: Connection) -> int:
            return connection.execute(_save.values(**changes), holder).rowcount

        def done(saved: int | None, error: Exception | None) -> None:
            on_durable(LeaseLostError() if saved == 0 else error)

        self._database.submit(work, done)

    def remove(self, request_id: str, owner: str, on_durable: OnDurable) -> None:
        self._removals.submit({"sought": request_id, "owner": owner}, on_durable)

    def renew(self, owner: str, lease_seconds: float) -> None:
        lease = {"owner": owner, "lease_seconds": lease_seconds}
        self._database.write(lambda connection: connection.execute(_renew, lease).rowcount)

    def release(self, is_gone: Callable[[str], bool]) -> int:
        with self._database.read() as connection:
            gone = [owner for owner in connection.execute(_owners).scalars() if owner is not None and is_gone(owner)]

        def work(connection: Connection) -> int:
            released = connection.execute(_release, {"owners": gone}).rowcount if gone else 0
            return released + connection.execute(_release_expired).rowcount

        return self._database.write(work)

    def __iter__(self) -> Iterator[QueuedEvent]:
        after = 0
        while True:
            page = select(events).where(events.c.sequence > after).order_by(events.c.sequence)
            with self._database.read() as connection:
                rows = connection.execute(page.limit(_ROWS_PER_STATEMENT)).all()
            if not rows:
                return
            yield from (event_of(row) for row in rows)
            after = rows[-1].sequence


def _remove_rows(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    held: dict[str, list[str]] = {}
    for row in rows:
        held.setdefault(row["owner"], []).append(row["sought"])
    for owner, request_ids in held.items():
        for start in range(0, len(request_ids), _ROWS_PER_STATEMENT):
            connection.execute(_remove, {"sought": request_ids[start : start + _ROWS_PER_STATEMENT], "owner": owner})
