"""What is asked of durable executions in lists, as SQL. Pure but for ``next_due``, which reads."""

from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, tuple_

from rie_server.enduring import ExecutionQuery
from rie_server.stores.schema import durable_executions

_executions = durable_executions.c
_next = [
    select(func.min(column)).where(column > bindparam("after"))
    for column in (_executions.wake_at, _executions.expires_at)
]


def listing(query: ExecutionQuery) -> Select[Any]:
    """Documents of the executions that ``query`` means."""
    place = tuple_(_executions.started_at, _executions.id)
    statement = select(_executions.document).where(
        _executions.function_key == query.function_key, _executions.is_plain.is_(False)
    )
    equal = ((_executions.version, query.version), (_executions.name, query.name), (_executions.status, query.status))
    for column, value in equal:
        if value is not None:
            statement = statement.where(column == str(value))
    if query.started_after is not None:
        statement = statement.where(_executions.started_at > query.started_after)
    if query.started_before is not None:
        statement = statement.where(_executions.started_at < query.started_before)
    if query.after is not None:
        last = tuple_(*query.after)
        statement = statement.where(place > last if query.oldest_first else place < last)
    order = (_executions.started_at, _executions.id)
    return statement.order_by(*(order if query.oldest_first else (one.desc() for one in order))).limit(query.most)


def next_due(connection: Connection, after: float) -> float | None:
    """When the next execution after that moment wakes or is forgotten."""
    moments = [connection.execute(one, {"after": after}).scalar() for one in _next]
    return min((moment for moment in moments if moment is not None), default=None)
