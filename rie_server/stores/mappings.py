"""Event source mappings in the database, one JSON document each. Thread-safe. Fills ``polling.MappingStore``."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from rie_server.model.event_source import EventSourceMapping
from rie_server.model.event_source_document import mapping_from_document, mapping_to_document
from rie_server.stores.database import Database
from rie_server.stores.schema import checkpoints, mappings

_insert = insert(mappings)
_replace = update(mappings).where(mappings.c.uuid == bindparam("sought"))
_delete = delete(mappings).where(mappings.c.uuid == bindparam("sought"))
_delete_checkpoints = delete(checkpoints).where(checkpoints.c.uuid == bindparam("sought"))


class DatabaseMappingStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Sequence[EventSourceMapping]:
        with self._database.read() as connection:
            documents = connection.execute(select(mappings.c.document).order_by(mappings.c.uuid)).scalars().all()
        return [mapping_from_document(document) for document in documents]

    def save(self, mapping: EventSourceMapping) -> None:
        document = mapping_to_document(mapping)

        def work(connection: Connection) -> None:
            if connection.execute(_replace, {"sought": mapping.uuid, "document": document}).rowcount == 0:
                connection.execute(_insert, {"uuid": mapping.uuid, "document": document})

        self._database.write(work)

    def delete(self, uuid: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(_delete_checkpoints, {"sought": uuid})
            connection.execute(_delete, {"sought": uuid})

        self._database.write(work)
