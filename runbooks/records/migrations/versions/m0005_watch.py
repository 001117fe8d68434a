"""Schedules, freezes, reports, trends, alerts, and who is told of them.

What was released is never edited: types and limits stand here as they were, not imported.
"""

import sqlalchemy as sa
from alembic import op

from runbooks.errors import RecordsError

revision = "0005"
down_revision = "0004"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("paused_by", sa.Text, nullable=False),
        sa.Column("paused_reason", sa.Text, nullable=False),
        sa.Column("paused_at", _TIME),
        sa.Column("skip_next", sa.Boolean, nullable=False),
        sa.Column("last_fire", _TIME),
        sa.Column("next_fire", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
    )
    op.create_table(
        "ticks",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("fire_at", _TIME, nullable=False),
        sa.Column("local", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("queued_after", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("claimed_until", _TIME),
        sa.Column("wake_at", _TIME),
        sa.Column("out_by", _TIME),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ticks"),
    )
    op.create_index(
        "ix_ticks_awaited",
        "ticks",
        ["out_by"],
        sqlite_where=sa.text("out_by IS NOT NULL"),
        postgresql_where=sa.text("out_by IS NOT NULL"),
    )
    op.create_index(
        "ix_ticks_due",
        "ticks",
        ["wake_at"],
        sqlite_where=sa.text("wake_at IS NOT NULL"),
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_index("ix_ticks_schedule", "ticks", ["schedule", "fire_at"])
    op.create_table(
        "freezes",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("targets", sa.Text, nullable=False),
        sa.Column("environments", sa.Text, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by_id", sa.Text, nullable=False),
        sa.Column("by_name", sa.Text, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_freezes"),
    )
    op.create_index(
        "ix_freezes_open",
        "freezes",
        ["until"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("states", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("started", _TIME, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("posted_channel", sa.Text, nullable=False),
        sa.Column("posted_ts", sa.Text),
        sa.Column("noted_at", _TIME),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
    )
    op.create_index("ix_reports_schedule", "reports", ["schedule", "kind", "started"])
    op.create_index("ix_reports_started", "reports", ["started"])
    op.create_index(
        "ix_reports_to_note",
        "reports",
        ["started"],
        sqlite_where=sa.text("posted_ts IS NOT NULL AND noted_at IS NULL"),
        postgresql_where=sa.text("posted_ts IS NOT NULL AND noted_at IS NULL"),
    )
    op.create_table(
        "trends",
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("resolution", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("ok", sa.Integer, nullable=False),
        sa.Column("warning", sa.Integer, nullable=False),
        sa.Column("critical", sa.Integer, nullable=False),
        sa.Column("unknown", sa.Integer, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("mean", sa.Double),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        sa.Column("p50", sa.Double),
        sa.Column("p95", sa.Double),
        sa.Column("p99", sa.Double),
        sa.PrimaryKeyConstraint("runbook", "step", "target", "kind", "resolution", "at", name="pk_trends"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_trends_at", "trends", ["resolution", "at"])
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("external_key", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("storm", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("annotations", sa.Text, nullable=False),
        sa.Column("links", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column("resolved_at", _TIME),
        sa.Column("resolved_by", sa.Text, nullable=False),
        sa.Column("resolve_reason", sa.Text, nullable=False),
        sa.Column("acked_by_id", sa.Text, nullable=False),
        sa.Column("acked_by_name", sa.Text, nullable=False),
        sa.Column("acked_at", _TIME),
        sa.Column("snoozed_until", _TIME),
        sa.Column("pending_since", _TIME),
        sa.Column("clear_since", _TIME),
        sa.Column("flaps", sa.Text, nullable=False),
        sa.Column("flapping", sa.Boolean, nullable=False),
        sa.Column("expected_by", _TIME),
        sa.Column("stale", sa.Boolean, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("level_round", sa.Integer, nullable=False),
        sa.Column("level_at", _TIME),
        sa.Column("wake_at", _TIME),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_channel", "alerts", ["channel", "opened_at"])
    op.create_index(
        "ix_alerts_due",
        "alerts",
        ["wake_at"],
        sqlite_where=sa.text("wake_at IS NOT NULL"),
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_index(
        "ix_alerts_expected",
        "alerts",
        ["expected_by"],
        sqlite_where=sa.text("expected_by IS NOT NULL"),
        postgresql_where=sa.text("expected_by IS NOT NULL"),
    )
    op.create_index("ix_alerts_fingerprint", "alerts", ["fingerprint", "opened_at"])
    op.create_index(
        "ix_alerts_level",
        "alerts",
        ["level_at"],
        sqlite_where=sa.text("level_at IS NOT NULL"),
        postgresql_where=sa.text("level_at IS NOT NULL"),
    )
    op.create_index("ix_alerts_opened", "alerts", ["opened_at"])
    op.create_index(
        "ix_alerts_storm",
        "alerts",
        ["storm"],
        sqlite_where=sa.text("storm != ''"),
        postgresql_where=sa.text("storm != ''"),
    )
    op.create_index(
        "uq_alerts_open",
        "alerts",
        ["fingerprint"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "alert_changes",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("by_id", sa.Text, nullable=False),
        sa.Column("by_name", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_changes"),
    )
    op.create_index("ix_alert_changes_alert", "alert_changes", ["alert", "at"])
    op.create_table(
        "notices",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("wake_at", _TIME),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("done_at", _TIME),
        sa.Column("failed_at", _TIME),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
    )
    op.create_index(
        "ix_notices_due",
        "notices",
        ["wake_at"],
        sqlite_where=sa.text("wake_at IS NOT NULL"),
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_index("ix_notices_subject", "notices", ["subject"])
    op.create_table(
        "ladders",
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("told", sa.Integer, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("rests", sa.Boolean, nullable=False),
        sa.Column("acknowledged", sa.Boolean, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("wake_at", _TIME),
        sa.PrimaryKeyConstraint("about", "subject", name="pk_ladders"),
    )
    op.create_index(
        "ix_ladders_due",
        "ladders",
        ["wake_at"],
        sqlite_where=sa.text("wake_at IS NOT NULL"),
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_table(
        "rotations_overrides",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("rotation", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("by_id", sa.Text, nullable=False),
        sa.Column("by_name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rotations_overrides"),
    )
    op.create_index("ix_rotations_overrides_rotation", "rotations_overrides", ["rotation", "until"])


def downgrade() -> None:
    raise RecordsError("Maint does not migrate back: restore a backup from before the upgrade.")
