"""Runs: what is to be done, what was done, what people are asked, who holds what.

What was released is never edited: types and limits stand here as they were, not imported.
"""

import sqlalchemy as sa
from alembic import op

from runbooks.errors import RecordsError

revision = "0002"
down_revision = "0001"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tokens", sa.Double, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_budgets"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("claimed_until", _TIME),
        sa.Column("sent_at", _TIME),
        sa.Column("ts", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index(
        "ix_outbox_unsent",
        "outbox",
        ["created_at"],
        sqlite_where=sa.text("sent_at IS NULL"),
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_table(
        "replicas",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("lease_until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_replicas"),
    )
    op.create_table(
        "run_snapshots",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_run_snapshots"),
    )
    op.create_table(
        "switches",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("by_id", sa.Text, nullable=False),
        sa.Column("by_name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_switches"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("plan_digest", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("waiting_on", sa.Text, nullable=False),
        sa.Column("wake_at", _TIME),
        sa.Column("segment", sa.Integer, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("executor", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("stopping", sa.Text, nullable=False),
        sa.Column("stop_reason", sa.Text, nullable=False),
        sa.Column("requester_kind", sa.Text, nullable=False),
        sa.Column("requester_id", sa.Text, nullable=False),
        sa.Column("requester_name", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("channel_name", sa.Text, nullable=False),
        sa.Column("rollback_of", sa.Text),
        sa.Column("locks", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.ForeignKeyConstraint(["snapshot"], ["run_snapshots.digest"], name="fk_runs_snapshot"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("key", name="uq_runs_key"),
    )
    op.create_index("ix_runs_created", "runs", ["created_at"])
    op.create_index(
        "ix_runs_due",
        "runs",
        ["wake_at"],
        sqlite_where=sa.text("wake_at IS NOT NULL"),
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_index("ix_runs_state", "runs", ["state", "created_at"])
    op.create_index("ix_runs_waiting", "runs", ["waiting_on", "created_at"])
    op.create_table(
        "asks",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("choices", sa.Text, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("deadline", _TIME),
        sa.Column("remind_at", _TIME),
        sa.Column("reminded", sa.Integer, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("answered_by", sa.Text, nullable=False),
        sa.Column("answered_name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("closed_at", _TIME),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_asks_run"),
        sa.PrimaryKeyConstraint("id", name="pk_asks"),
        sa.UniqueConstraint("run", "path", "kind", "round", name="uq_asks_round"),
    )
    op.create_index(
        "ix_asks_open",
        "asks",
        ["remind_at"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "effects",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step_attempt", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("repeatable", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("executor", sa.Text, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_effects_run"),
        sa.PrimaryKeyConstraint("id", name="pk_effects"),
        sa.UniqueConstraint("run", "path", "name", "attempt", name="uq_effects_attempt"),
    )
    op.create_table(
        "locks",
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_locks_run"),
        sa.PrimaryKeyConstraint("target", name="pk_locks"),
    )
    op.create_index("ix_locks_run", "locks", ["run"])
    op.create_table(
        "run_steps",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("outputs", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_run_steps_run"),
        sa.PrimaryKeyConstraint("run", "path", name="pk_run_steps"),
    )
    op.create_table(
        "votes",
        sa.Column("ask", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("choice", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("break_glass", sa.Boolean, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["ask"], ["asks.id"], name="fk_votes_ask"),
        sa.PrimaryKeyConstraint("ask", "person", name="pk_votes"),
    )
    op.add_column("cards", sa.Column("drawn", sa.Integer, server_default="0", nullable=False))
    op.add_column("cards", sa.Column("wanted", sa.Integer, server_default="0", nullable=False))
    op.add_column("cards", sa.Column("priority", sa.Integer, server_default="0", nullable=False))
    op.add_column("cards", sa.Column("drawn_at", _TIME))
    op.add_column("cards", sa.Column("claimed_until", _TIME))
    op.create_index("ix_cards_correlation", "cards", ["correlation"])
    op.create_index(
        "ix_cards_stale",
        "cards",
        ["priority"],
        sqlite_where=sa.text("drawn < wanted"),
        postgresql_where=sa.text("drawn < wanted"),
    )


def downgrade() -> None:
    raise RecordsError("Maint does not migrate back: restore a backup from before the upgrade.")
