# noqa: INP001 - a script, not a module
"""Event source mappings and their checkpoints.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "mappings",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("shard_id", sa.String(512), primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
