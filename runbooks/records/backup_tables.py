"""The tables of what is kept for databases and logs: backups, and what steps remember of their last time."""

from sqlalchemy import Boolean, Column, Double, Index, Table

from runbooks.records.columns import Json, Serial, UtcTime, Words
from runbooks.records.schema import metadata

#: One row is one backup, written when it is whole in every place; what was removed keeps its row.
backups = Table(
    "backups",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("target", Words(200), nullable=False),
    Column("database", Words(200), nullable=False),
    Column("name", Words(500), nullable=False),  # of its file, the same in every place
    Column("taken_at", UtcTime, nullable=False),  # when its snapshot was taken
    Column("kind", Words(20), nullable=False),  # full, schema, data
    Column("format", Words(20), nullable=False),  # custom, directory
    Column("bytes", Serial, nullable=False),  # of the stored file
    Column("sha256", Words(64), nullable=False),  # of the stored file
    Column("encrypted", Boolean, nullable=False),
    Column("places", Json, nullable=False),  # [{"kind": "folder", "where": …}, …]
    Column("server_version", Words(100), nullable=False),
    Column("seconds", Double, nullable=False),  # that it took
    Column("facts", Json, nullable=False),  # what the snapshot had: rows by table, checksums, collation
    Column("run", Words(26), nullable=False),
    Column("proven_at", UtcTime),  # when it was last restored, and was what the snapshot had
    Column("restored_at", UtcTime),  # when people last restored it
    Column("hold", Words(1000), nullable=False),  # why it must be kept; empty: it need not be
    Column("removed_at", UtcTime),
)
Index("ix_backups_target", backups.c.target, backups.c.taken_at)

#: What steps remember: of which kind, on which target, about what (`name`), and when it was so.
step_memory = Table(
    "step_memory",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("kind", Words(100), nullable=False),
    Column("target", Words(200), nullable=False),
    Column("name", Words(500), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("value", Json, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_step_memory_series", step_memory.c.kind, step_memory.c.target, step_memory.c.name, step_memory.c.at)
Index("ix_step_memory_at", step_memory.c.at)
