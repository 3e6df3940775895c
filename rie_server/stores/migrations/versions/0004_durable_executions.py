# noqa: INP001 - a script, not a module
"""Durable executions, their operations and their history.

Revision 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "durable_executions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("function_key", sa.String(256), nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("is_plain", sa.Boolean, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("wake_at", sa.Float),
        sa.Column("expires_at", sa.Float),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("lease_owner", sa.String(128)),
        sa.Column("lease_expires_at", sa.Float),
    )
    for name, columns in (
        ("by_start", ["function_key", "started_at", "id"]),
        ("by_wake", ["wake_at"]),
        ("by_expiry", ["expires_at"]),
        ("by_owner", ["lease_owner"]),
    ):
        op.create_index(f"durable_executions_{name}", "durable_executions", columns)
    op.create_index("durable_executions_by_name", "durable_executions", ["function_key", "name"], unique=True)
    op.create_table(
        "durable_operations",
        sa.Column("execution_id", sa.String(36), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("touched", sa.Integer, nullable=False),
        sa.Column("parent_id", sa.String(64)),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("hides_children", sa.Boolean, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("durable_operations_by_sequence", "durable_operations", ["execution_id", "sequence"])
    op.create_index("durable_operations_by_change", "durable_operations", ["execution_id", "touched"])
    op.create_table(
        "durable_events",
        sa.Column("execution_id", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
