"""How far each mapping has come in its shards, in the database. Thread-safe. Fills ``polling.CheckpointStore``.

The database's one writer runs what it is given in order, so a checkpoint never becomes durable before an earlier one;
checkpoints that come while it is busy share a commit.
"""

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from rie_server.ports import OnDurable
from rie_server.stores.database import Database, Work
from rie_server.stores.schema import checkpoints

log = logging.getLogger(__name__)

_load = select(checkpoints.c.shard_id, checkpoints.c.document).where(checkpoints.c.uuid == bindparam("sought"))
_mine = (checkpoints.c.uuid == bindparam("sought"), checkpoints.c.shard_id == bindparam("sought_shard"))
_insert = insert(checkpoints)
_replace = update(checkpoints).where(*_mine)
_delete = delete(checkpoints).where(*_mine)


class DatabaseCheckpointStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, uuid: str) -> Mapping[str, Mapping[str, Any]]:
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(_load, {"sought": uuid})}

    def save(self, uuid: str, shard_id: str, document: Mapping[str, Any], on_durable: OnDurable | None = None) -> None:
        content = dict(document)

        def work(connection: Connection) -> None:
            place = {"sought": uuid, "sought_shard": shard_id}
            if connection.execute(_replace, {**place, "document": content}).rowcount == 0:
                connection.execute(_insert, {"uuid": uuid, "shard_id": shard_id, "document": content})

        self._submit(work, on_durable)

    def forget(self, uuid: str, shard_id: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(_delete, {"sought": uuid, "sought_shard": shard_id})

        self._submit(work, None)

    def _submit(self, work: Work[None], on_durable: OnDurable | None) -> None:
        def done(_: None, error: Exception | None) -> None:
            if on_durable is not None:
                on_durable(error)
            elif error is not None:
                # Records are polled again from an earlier checkpoint: at least once is kept.
                log.warning("A checkpoint was not stored: %s", error)

        self._database.submit(work, done)
