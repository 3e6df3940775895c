"""Which of the servers that share a database polls which mapping. Thread-safe. Fills ``polling.MappingLeases``.

Leases run by the database's own clock, the only one that all of them share.
"""

from collections.abc import Callable, Collection
from functools import cache
from importlib import import_module
from typing import cast

from sqlalchemy import Connection, Insert, bindparam, delete, or_, select, update

from rie_server.stores.database import Database
from rie_server.stores.database_clock import database_now
from rie_server.stores.schema import mapping_leases

_leases = mapping_leases.c
_lease_end = database_now() + bindparam("lease_seconds")
_owners = select(_leases.owner).distinct()
# One by one and in order: two servers that claim the same mappings do not wait for each other in a circle.
_take = (
    update(mapping_leases)
    .where(
        _leases.uuid == bindparam("sought"),
        or_(
            _leases.owner == bindparam("claimant"),
            _leases.expires_at < database_now(),
            _leases.owner.in_(bindparam("gone", expanding=True)),
        ),
    )
    .values(owner=bindparam("claimant"), expires_at=_lease_end)
)
_first = {"uuid": bindparam("sought"), "owner": bindparam("claimant"), "expires_at": _lease_end}
_release = delete(mapping_leases).where(
    _leases.owner == bindparam("claimant"), _leases.uuid.in_(bindparam("uuids", expanding=True))
)


class DatabaseMappingLeases:
    """
    Args:
        owner: how this server names itself.
        is_gone: whether it is certain that whoever another lease names has died.
    """

    def __init__(self, database: Database, *, owner: str, is_gone: Callable[[str], bool]) -> None:
        self._database = database
        self._owner = owner
        self._is_gone = is_gone

    def claim(self, uuids: Collection[str], lease_seconds: float) -> Collection[str]:
        if not uuids:
            return frozenset()
        with self._database.read() as connection:
            others = [owner for owner in connection.execute(_owners).scalars() if owner != self._owner]
        gone = [owner for owner in others if self._is_gone(owner)]

        def work(connection: Connection) -> Collection[str]:
            return frozenset(uuid for uuid in sorted(uuids) if self._claim(connection, uuid, gone, lease_seconds))

        return self._database.write(work)

    def release(self, uuids: Collection[str]) -> None:
        if uuids:
            members = {"claimant": self._owner, "uuids": list(uuids)}
            self._database.write(lambda connection: connection.execute(_release, members).rowcount)

    def _claim(self, connection: Connection, uuid: str, gone: list[str], lease_seconds: float) -> bool:
        lease = {"sought": uuid, "claimant": self._owner, "lease_seconds": lease_seconds}
        if connection.execute(_take, {**lease, "gone": gone}).rowcount:
            return True
        return connection.execute(_insert(connection.dialect.name), lease).scalar() is not None


@cache
def _insert(dialect: str) -> Insert:
    """Loads the dialect that is spoken: the other one would cost every start a twentieth of its time."""
    insert = import_module(f"sqlalchemy.dialects.{dialect}").insert
    return cast(Insert, insert(mapping_leases).values(_first).on_conflict_do_nothing().returning(_leases.uuid))
