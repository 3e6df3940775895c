"""Brings a database to the revision this server knows, or says in one line why it cannot.

A new database is created straight from ``schema`` and stamped; Alembic, which costs a quarter of a second and 12 MB to
import, is loaded only when an older one has to be moved. Everything happens in the caller's transaction.
"""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from rie_server.errors import ConfigurationError
from rie_server.stores.schema import HEAD, REVISIONS, VERSION_TABLE, metadata

# As Alembic itself declares it.
_version = Table(
    VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True, key="version", nullable=False)
)


def bring_up_to_date(connection: Connection, place: str) -> None:
    """Creates or upgrades the tables.

    Args:
        place: the database in words for a person.

    Raises:
        ConfigurationError: the database is another application's, or was written by a newer server.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables:
        create_at_head(connection)
        return
    if VERSION_TABLE not in tables:
        raise ConfigurationError(f"{place} is not a database of this server; it holds other tables.")
    stored = connection.execute(select(_version.c.version)).scalar()
    if stored not in REVISIONS:
        raise ConfigurationError(
            f"{place} was written by a newer version of this server (revision {stored}; this one knows {HEAD})."
        )
    if stored != HEAD:
        upgrade(connection)


def create_at_head(connection: Connection) -> None:
    metadata.create_all(connection)
    _version.create(connection)
    connection.execute(_version.insert().values(version=HEAD))


def upgrade(connection: Connection) -> None:
    """Runs the scripts that lie between the stored revision and ``HEAD``."""
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
