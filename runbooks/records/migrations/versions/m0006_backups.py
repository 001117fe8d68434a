"""Backups, and what steps remember of their last time.

What was released is never edited: types and limits stand here as they were, not imported.
"""

import sqlalchemy as sa
from alembic import op

from runbooks.errors import RecordsError

revision = "0006"
down_revision = "0005"

_TIME = sa.DateTime(timezone=True)
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "backups",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("database", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("taken_at", _TIME, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("bytes", _SERIAL, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("encrypted", sa.Boolean, nullable=False),
        sa.Column("places", sa.Text, nullable=False),
        sa.Column("server_version", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("proven_at", _TIME),
        sa.Column("restored_at", _TIME),
        sa.Column("hold", sa.Text, nullable=False),
        sa.Column("removed_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_backups"),
    )
    op.create_index("ix_backups_target", "backups", ["target", "taken_at"])
    op.create_table(
        "step_memory",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_step_memory"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_step_memory_at", "step_memory", ["at"])
    op.create_index("ix_step_memory_series", "step_memory", ["kind", "target", "name", "at"])


def downgrade() -> None:
    raise RecordsError("Maint does not migrate back: restore a backup from before the upgrade.")
