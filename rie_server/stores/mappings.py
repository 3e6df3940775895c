"""Event source mappings in the database, one JSON document each. Thread-safe. Fills ``polling.MappingStore``.

Safe between servers that share the database: a change is made of what is stored then, and two that add the same mapping
come one after the other.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from rie_server.model.event_source import EventSourceMapping
from rie_server.model.event_source_document import mapping_from_document, mapping_to_document
from rie_server.stores.database import Database
from rie_server.stores.schema import checkpoints, mapping_leases, mappings

_all = select(mappings.c.document).order_by(mappings.c.uuid)
_one = select(mappings.c.document).where(mappings.c.uuid == bindparam("sought")).with_for_update()
_insert = insert(mappings)
_replace = update(mappings).where(mappings.c.uuid == bindparam("sought"))
_delete = delete(mappings).where(mappings.c.uuid == bindparam("sought"))
_delete_checkpoints = delete(checkpoints).where(checkpoints.c.uuid == bindparam("sought"))
_delete_lease = delete(mapping_leases).where(mapping_leases.c.uuid == bindparam("sought"))
# Readers go on; SQLite has one writer anyway.
_exclude_writers = text("LOCK TABLE mappings IN SHARE ROW EXCLUSIVE MODE")


class DatabaseMappingStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Sequence[EventSourceMapping]:
        with self._database.read() as connection:
            return _load(connection)

    def add(self, mapping: EventSourceMapping, check: Callable[[Sequence[EventSourceMapping]], None]) -> None:
        document = mapping_to_document(mapping)

        def work(connection: Connection) -> None:
            if connection.dialect.name == "postgresql":
                connection.execute(_exclude_writers)
            check(_load(connection))
            connection.execute(_insert, {"uuid": mapping.uuid, "document": document})

        self._database.write(work)

    def change(self, uuid: str, rule: Callable[[EventSourceMapping], EventSourceMapping]) -> EventSourceMapping | None:
        def work(connection: Connection) -> EventSourceMapping | None:
            document = connection.execute(_one, {"sought": uuid}).scalar()
            if document is None:
                return None
            current = mapping_from_document(document)
            changed = rule(current)
            if changed != current:
                connection.execute(_replace, {"sought": uuid, "document": mapping_to_document(changed)})
            return changed

        return self._database.write(work)

    def delete(self, uuid: str) -> None:
        def work(connection: Connection) -> None:
            for statement in (_delete_checkpoints, _delete_lease, _delete):
                connection.execute(statement, {"sought": uuid})

        self._database.write(work)


def _load(connection: Connection) -> Sequence[EventSourceMapping]:
    return [mapping_from_document(document) for document in connection.execute(_all).scalars()]
