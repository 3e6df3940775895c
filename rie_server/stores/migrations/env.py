# noqa: INP001 - a script, not a module
"""Alembic's entry point: runs the scripts on the connection that ``stores.migrate`` hands over, in its transaction."""

from alembic import context

from rie_server.stores.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
