"""What is older than all who may ask for it may be removed from the audit log, and a person's name forgotten.

On PostgreSQL by functions of the owner's: the role that Maint logs in with may do nothing else to the log.
"""

import sqlalchemy as sa
from alembic import op

from runbooks.errors import RecordsError

revision = "0004"
down_revision = "0003"

_REFUSAL = "audit events are never changed or removed"
_REMOVABLE = """OLD.seq <= (SELECT COALESCE(MAX(seq), 0) FROM audit_checkpoints WHERE kind = 'prune')
        AND NOT EXISTS (SELECT 1 FROM switches WHERE name = 'audit.hold')"""

# Who has Maint's login can write a checkpoint that nobody signed: what is young stays all the same.
_SQLITE_DELETE = f"""CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
    WHEN NOT ({_REMOVABLE} AND OLD.at < strftime('%Y-%m-%d %H:%M:%f', 'now', '-30 days'))
    BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"""

_POSTGRES = (
    f"""CREATE OR REPLACE FUNCTION maint_check_audit_events_delete() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, {{schema}}, pg_temp AS $$
    BEGIN
        IF {_REMOVABLE} AND OLD.at < now() - interval '30 days' THEN RETURN OLD; END IF;
        RAISE EXCEPTION '{_REFUSAL}';
    END $$""",
    # The oldest first, so that what is left is always one piece. The lock is that of maint_append_event: who
    # has it may be about to use a name that no event has any more.
    """CREATE FUNCTION maint_prune_events(p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        v_upto bigint;
        v_count bigint;
    BEGIN
        SELECT max(seq) INTO v_upto FROM (
            SELECT e.seq FROM {schema}.audit_events e
            WHERE e.seq <= (SELECT COALESCE(max(c.seq), 0) FROM {schema}.audit_checkpoints c
                            WHERE c.kind = 'prune')
            ORDER BY e.seq LIMIT p_limit
        ) old;
        DELETE FROM {schema}.audit_events WHERE seq <= v_upto;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        DELETE FROM {schema}.audit_targets WHERE seq <= v_upto;
        IF v_count = 0 THEN
            PERFORM pg_advisory_xact_lock(x'6D61696E7461'::bigint);
            DELETE FROM {schema}.audit_names n WHERE NOT EXISTS (
                SELECT 1 FROM {schema}.audit_events e WHERE e.actor_id = n.actor_id AND e.actor_mark = n.mark
            );
        END IF;
        RETURN v_count;
    END $$""",
    """CREATE FUNCTION maint_forget_names(p_actor_id text, p_at timestamptz) RETURNS SETOF text
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        UPDATE {schema}.audit_names SET name = '', salt = '', removed_at = p_at
        WHERE actor_id = p_actor_id AND removed_at IS NULL RETURNING mark
    $$""",
    "REVOKE ALL ON FUNCTION maint_prune_events, maint_forget_names FROM PUBLIC",
)


def upgrade() -> None:
    connection = op.get_bind()
    # To find what a row of the index is about when its event goes.
    op.create_index("ix_audit_targets_seq", "audit_targets", ["seq"])
    if connection.dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_events_no_delete")
        op.execute(_SQLITE_DELETE)
        return
    schema = connection.dialect.identifier_preparer.quote(
        str(connection.scalar(sa.text("SELECT current_schema()")))
    )
    for statement in _POSTGRES:
        connection.exec_driver_sql(statement.replace("{schema}", schema))


def downgrade() -> None:
    raise RecordsError("Maint does not migrate back: restore a backup from before the upgrade.")
