"""The first tables: audit events, deliveries, check results, cards.

What was released is never edited: types and limits stand here as they were, not imported.
"""

import sqlalchemy as sa
from alembic import op

from runbooks.errors import RecordsError

revision = "0001"
down_revision = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)

_REFUSAL = "audit events are never changed or removed"
_SQLITE_TRIGGERS = (
    f"""CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",
    f"""CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",
    # INSERT OR REPLACE removes the old row without asking the trigger above.
    f"""CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
        WHEN EXISTS (SELECT 1 FROM audit_events WHERE seq = NEW.seq OR id = NEW.id)
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",  # noqa: S608 - a constant
)
_POSTGRES_TRIGGERS = (
    f"""CREATE FUNCTION refuse_to_change_audit_events() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$""",
    """CREATE TRIGGER audit_events_only_insert BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_audit_events()""",
)


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("seq", _SERIAL, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("actor_name", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("channel_name", sa.Text, nullable=False),
        sa.Column("correlation", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_events"),
        sa.UniqueConstraint("id", name="uq_audit_events_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_events_actor", "audit_events", ["actor_id", "seq"])
    op.create_index("ix_audit_events_action", "audit_events", ["action", "seq"])
    op.create_index("ix_audit_events_correlation", "audit_events", ["correlation", "seq"])
    op.create_index("ix_audit_events_at", "audit_events", ["at"])
    notable = sa.text("outcome NOT IN ('ok', 'accepted')")
    op.create_index(
        "ix_audit_events_notable",
        "audit_events",
        ["outcome", "seq"],
        sqlite_where=notable,
        postgresql_where=notable,
    )
    triggers = _SQLITE_TRIGGERS if op.get_bind().dialect.name == "sqlite" else _POSTGRES_TRIGGERS
    for trigger in triggers:
        op.execute(trigger)

    op.create_table(
        "deliveries",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_at", "deliveries", ["at"])

    op.create_table(
        "check_results",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("correlation", sa.Text, nullable=False),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("headline", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_check_results"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_check_results_series", "check_results", ["runbook", "step", "target", "kind", "at", "value"]
    )
    op.create_index("ix_check_results_correlation", "check_results", ["correlation"])
    op.create_index("ix_check_results_at", "check_results", ["at"])

    op.create_table(
        "measurements",
        sa.Column("result", _SERIAL, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("number", sa.Double),
        sa.Column("text", sa.Text),
        sa.Column("unit", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("result", "output", name="pk_measurements"),
        sa.ForeignKeyConstraint(
            ["result"], ["check_results.id"], name="fk_measurements_result", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "cards",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("correlation", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("ts", sa.Text),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_cards"),
    )
    unfinished = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_cards_unfinished", "cards", ["created_at"], sqlite_where=unfinished, postgresql_where=unfinished
    )


def downgrade() -> None:
    raise RecordsError("Maint does not migrate back: restore a backup from before the upgrade.")
