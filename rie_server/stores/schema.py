"""The tables, as SQLAlchemy Core sees them, and the revision they stand at.

Pure declarations. A new database is created from here in one step; an older one is brought here by the scripts under
``migrations/``, and a test holds the two equal. Whoever changes a table adds a script and moves ``HEAD``.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

REVISIONS: Final = ("0001", "0002", "0003", "0004")
HEAD: Final = REVISIONS[-1]

# Our own name, so that a database shared with another application that uses Alembic is told apart.
VERSION_TABLE: Final = "rie_schema_version"

metadata = MetaData()

functions = Table(
    "functions",
    metadata,
    Column("key", String(256), primary_key=True),
    Column("document", JSON, nullable=False),
)

# ``queued``: free to be claimed from ``due_at`` on. ``claimed``: being run, or its records being sent, by
# ``lease_owner`` until ``lease_expires_at``. An event with ``ended`` is not run again, whatever its state.
QUEUED: Final = "queued"
CLAIMED: Final = "claimed"

# SQLite counts up a 64-bit row id by itself only when the type is spelt INTEGER.
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")

events = Table(
    "events",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("request_id", String(128), nullable=False, unique=True),
    Column("function_key", String(256), nullable=False),
    Column("qualifier", String(128)),
    Column("payload", LargeBinary, nullable=False),
    # The rest of the request; NULL where everything has its default, as it mostly has.
    Column("options", JSON(none_as_null=True)),
    Column("enqueued_at", Float, nullable=False),
    Column("state", String(16), nullable=False),
    # Lanes are served in turn; see ``QueuedEvent.lane``.
    Column("lane", String(320), nullable=False),
    Column("due_at", Float, nullable=False),
    # ``attempts`` counts runs that ended in a function error, ``refusals`` the throttles and service errors since the
    # last run; only the former use up MaximumRetryAttempts.
    Column("attempts", Integer, nullable=False),
    Column("refusals", Integer, nullable=False),
    # What the last run answered: the payload, and the rest of it.
    Column("response", LargeBinary),
    Column("last_run", JSON(none_as_null=True)),
    # How the event ended, and which of its records have been delivered; NULL while it is to be run.
    Column("ended", JSON(none_as_null=True)),
    Column("lease_owner", String(128)),
    # By the database's own clock, in seconds since the epoch.
    Column("lease_expires_at", Float),
    Index("events_by_lane", "state", "lane", "due_at", "sequence"),
)

mappings = Table(
    "mappings",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("document", JSON, nullable=False),
)

# How far a mapping has come in each shard of its source. A mapping takes its checkpoints with it.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("shard_id", String(512), primary_key=True),
    Column("document", JSON, nullable=False),
)

# Durable executions. The document is the whole record but for the input, which never changes; what is looked for lies
# in columns beside it. ``wake_at``: when something is to be done without anybody's asking.
durable_executions = Table(
    "durable_executions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("function_key", String(256), nullable=False),
    Column("version", String(16), nullable=False),
    Column("name", String(64), nullable=False),
    # What a durable function has invoked and is not durable itself is shown to nobody.
    Column("is_plain", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("wake_at", Float),
    Column("expires_at", Float),
    Column("document", JSON, nullable=False),
    Column("input", Text, nullable=False),
    # The server whose invocation works on it, and until when it may be silent, by the database's own clock.
    Column("lease_owner", String(128)),
    Column("lease_expires_at", Float),
    Index("durable_executions_by_name", "function_key", "name", unique=True),
    Index("durable_executions_by_start", "function_key", "started_at", "id"),
    Index("durable_executions_by_wake", "wake_at"),
    Index("durable_executions_by_expiry", "expires_at"),
    Index("durable_executions_by_owner", "lease_owner"),
)

durable_operations = Table(
    "durable_operations",
    metadata,
    Column("execution_id", String(36), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("touched", Integer, nullable=False),
    Column("parent_id", String(64)),
    Column("is_open", Boolean, nullable=False),
    # Whether a replay does not look at what happened inside it.
    Column("hides_children", Boolean, nullable=False),
    Column("document", JSON, nullable=False),
    Index("durable_operations_by_sequence", "execution_id", "sequence"),
    Index("durable_operations_by_change", "execution_id", "touched"),
)

durable_events = Table(
    "durable_events",
    metadata,
    Column("execution_id", String(36), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("document", JSON, nullable=False),
)

# Which of the servers that share the database polls a mapping; a mapping takes its lease with it.
mapping_leases = Table(
    "mapping_leases",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("owner", String(128), nullable=False),
    # By the database's own clock, in seconds since the epoch.
    Column("expires_at", Float, nullable=False),
)
