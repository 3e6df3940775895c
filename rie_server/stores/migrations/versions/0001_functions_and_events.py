# noqa: INP001 - a script, not a module
"""Functions and the queue of asynchronous events.

Revision 0001, after nothing. A script is never edited once released: it says what the tables were, not what they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "functions",
        sa.Column("key", sa.String(256), primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column(
            "sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("request_id", sa.String(128), nullable=False, unique=True),
        sa.Column("function_key", sa.String(256), nullable=False),
        sa.Column("qualifier", sa.String(128)),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("options", sa.JSON),
        sa.Column("enqueued_at", sa.Float, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("lane", sa.String(320), nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("refusals", sa.Integer, nullable=False),
        sa.Column("response", sa.LargeBinary),
        sa.Column("last_run", sa.JSON),
        sa.Column("ended", sa.JSON),
        sa.Column("lease_owner", sa.String(128)),
        sa.Column("lease_expires_at", sa.Float),
    )
    op.create_index("events_by_lane", "events", ["state", "lane", "due_at", "sequence"])
