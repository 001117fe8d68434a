"""The audit log becomes a chain: every event holds the hash of the one before it.

What was released is never edited: types and the format of the hash stand here as they were, not imported.
"""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from runbooks.errors import RecordsError

revision = "0003"
down_revision = "0002"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_NOTABLE = sa.text("outcome NOT IN ('ok', 'accepted')")
_STANDS = sa.text("removed_at IS NULL")

_EVENT_TEXTS = (
    "actor_kind",
    "actor_id",
    "actor_mark",
    "team",
    "action",
    "object",
    "outcome",
    "channel",
    "channel_name",
    "correlation",
    "permalink",
    "runbook",
    "targets",
    "details",
)

_REFUSAL = "audit events are never changed or removed"
_REMOVABLE = """OLD.seq <= (SELECT COALESCE(MAX(seq), 0) FROM audit_checkpoints WHERE kind = 'prune')
        AND NOT EXISTS (SELECT 1 FROM switches WHERE name = 'audit.hold')"""
# A name may only be forgotten: both of what makes its mark at once, and for good.
_FORGOTTEN = """OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL AND NEW.name = '' AND NEW.salt = ''
        AND NEW.mark = OLD.mark AND NEW.actor_kind = OLD.actor_kind AND NEW.actor_id = OLD.actor_id"""
_UNUSED = """NOT EXISTS
        (SELECT 1 FROM audit_events WHERE actor_id = OLD.actor_id AND actor_mark = OLD.mark)"""


def _sqlite_triggers() -> Iterable[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for table, key in (
        ("audit_events", "seq = NEW.seq OR id = NEW.id"),
        ("audit_checkpoints", "id = NEW.id"),
    ):
        yield f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"
        # INSERT OR REPLACE removes the old row without asking the other triggers.
        yield f"""CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
            WHEN EXISTS (SELECT 1 FROM {table} WHERE {key}) {refuse}"""  # noqa: S608 - constants
    for table, change, unless in (
        ("audit_events", "delete", f"WHEN NOT ({_REMOVABLE})"),
        ("audit_checkpoints", "delete", ""),
        ("audit_names", "update", f"WHEN NOT ({_FORGOTTEN})"),
        ("audit_names", "delete", f"WHEN NOT ({_UNUSED})"),
    ):
        yield f"CREATE TRIGGER {table}_no_{change} BEFORE {change.upper()} ON {table} {unless} {refuse}"


# What a hash is made of: each value with its length in bytes before it.
_HASHED = " || ".join(
    f"length(convert_to({value}, 'UTF8'))::text || ':' || {value}"
    for value in (
        "v_prev",
        "v_seq::text",
        "p_id",
        """to_char(v_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
        "p_actor_kind",
        "p_actor_id",
        "v_mark",
        "p_team",
        "p_action",
        "p_object",
        "p_outcome",
        "p_channel",
        "p_channel_name",
        "p_correlation",
        "p_permalink",
        "p_runbook",
        "p_targets",
        "p_details",
    )
)

# Under READ COMMITTED every statement in it sees what was committed when it began: the head is read after the
# lock was taken. "mainta" in ASCII is the lock, held until the transaction ends. It runs as its
# owner, so that who may only call it can add what fits to the chain, and nothing else.
_POSTGRES_APPEND = """
CREATE FUNCTION maint_append_event(
    p_id text, p_at timestamptz, p_actor_kind text, p_actor_id text, p_team text, p_action text,
    p_object text, p_outcome text, p_channel text, p_channel_name text, p_correlation text,
    p_permalink text, p_runbook text, p_targets text, p_details text, p_actor_name text, p_once boolean
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head record;
    v_seq bigint := 1;
    v_at timestamptz := p_at;
    v_prev text := repeat('0', 64);
    v_mark text := '';
    v_salt text;
    v_hash text;
BEGIN
    PERFORM pg_advisory_xact_lock(x'6D61696E7461'::bigint);
    IF p_once AND EXISTS (SELECT 1 FROM {schema}.audit_events WHERE id = p_id) THEN
        RETURN 0;
    END IF;
    SELECT e.seq, e.at, e.hash INTO head FROM {schema}.audit_events e ORDER BY e.seq DESC LIMIT 1;
    IF FOUND THEN
        v_seq := head.seq + 1;
        v_prev := head.hash;
        v_at := greatest(p_at, head.at);
    END IF;
    IF p_actor_name <> '' THEN
        SELECT n.mark INTO v_mark FROM {schema}.audit_names n
            WHERE n.actor_kind = p_actor_kind AND n.actor_id = p_actor_id AND n.name = p_actor_name
            AND n.removed_at IS NULL;
        IF NOT FOUND THEN
            v_salt := replace(gen_random_uuid()::text, '-', '');
            v_mark := encode(sha256(convert_to(v_salt || ':' || p_actor_name, 'UTF8')), 'hex');
            INSERT INTO {schema}.audit_names (mark, salt, actor_kind, actor_id, name)
                VALUES (v_mark, v_salt, p_actor_kind, p_actor_id, p_actor_name);
        END IF;
    END IF;
    v_hash := encode(sha256(convert_to({hashed}, 'UTF8')), 'hex');
    INSERT INTO {schema}.audit_events (
        seq, id, at, actor_kind, actor_id, actor_mark, team, action, object, outcome, channel, channel_name,
        correlation, permalink, runbook, targets, details, prev, hash
    ) VALUES (
        v_seq, p_id, v_at, p_actor_kind, p_actor_id, v_mark, p_team, p_action, p_object, p_outcome, p_channel,
        p_channel_name, p_correlation, p_permalink, p_runbook, p_targets, p_details, v_prev, v_hash
    );
    IF p_targets <> '' THEN
        INSERT INTO {schema}.audit_targets (target, seq)
            SELECT DISTINCT unnest(string_to_array(p_targets, ' ')), v_seq;
    END IF;
    RETURN v_seq;
END $$
"""


def _postgres_triggers(schema: str) -> Iterable[str]:
    yield f"""CREATE FUNCTION maint_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"""
    # Last, or a temporary table of that name would be asked instead.
    within = f"SET search_path = pg_catalog, {schema}, pg_temp"
    for table, name, condition, kept in (
        ("audit_events", "delete", _REMOVABLE, "OLD"),
        ("audit_names", "update", _FORGOTTEN, "NEW"),
        ("audit_names", "delete", _UNUSED, "OLD"),
    ):
        yield f"""CREATE FUNCTION maint_check_{table}_{name}() RETURNS trigger LANGUAGE plpgsql {within} AS $$
            BEGIN IF {condition} THEN RETURN {kept}; END IF; RAISE EXCEPTION '{_REFUSAL}'; END $$"""
        yield f"""CREATE TRIGGER {table}_check_{name} BEFORE {name.upper()} ON {table}
            FOR EACH ROW EXECUTE FUNCTION maint_check_{table}_{name}()"""
    for table, refused in (
        ("audit_events", "UPDATE OR TRUNCATE"),
        ("audit_names", "TRUNCATE"),
        ("audit_checkpoints", "UPDATE OR DELETE OR TRUNCATE"),
    ):
        yield f"""CREATE TRIGGER {table}_only_insert BEFORE {refused} ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION maint_refuse_audit_change()"""


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    op.execute("CREATE TEMPORARY TABLE maint_old_events AS SELECT * FROM audit_events")
    op.drop_table("audit_events")
    if not sqlite:
        op.execute("DROP FUNCTION refuse_to_change_audit_events()")
    _create_tables()
    if sqlite:
        _copy_on_sqlite(connection)
        for trigger in _sqlite_triggers():
            op.execute(trigger)
    else:
        schema = connection.dialect.identifier_preparer.quote(
            str(connection.scalar(sa.text("SELECT current_schema()")))
        )
        connection.exec_driver_sql(_POSTGRES_APPEND.replace("{hashed}", _HASHED).replace("{schema}", schema))
        op.execute("REVOKE ALL ON FUNCTION maint_append_event FROM PUBLIC")
        op.execute(
            "DO $$ DECLARE e record; BEGIN FOR e IN SELECT * FROM maint_old_events ORDER BY seq LOOP "
            "PERFORM maint_append_event(e.id, e.at, e.actor_kind, e.actor_id, e.team, e.action, e.object, "
            "e.outcome, e.channel, e.channel_name, e.correlation, '', "
            "COALESCE((SELECT r.runbook FROM runs r WHERE r.id = e.correlation), ''), '', e.details, "
            "e.actor_name, false); END LOOP; END $$"
        )
        for trigger in _postgres_triggers(schema):
            connection.exec_driver_sql(trigger)
    op.execute("DROP TABLE maint_old_events")


def _create_tables() -> None:
    op.create_table(
        "audit_events",
        sa.Column("seq", _SERIAL, nullable=False, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in (*_EVENT_TEXTS, "prev", "hash")),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_events"),
        sa.UniqueConstraint("id", name="uq_audit_events_id"),
    )
    for name, column in (
        ("actor", "actor_id"),
        ("action", "action"),
        ("correlation", "correlation"),
        ("runbook", "runbook"),
    ):
        op.create_index(f"ix_audit_events_{name}", "audit_events", [column, "seq"])
    op.create_index("ix_audit_events_at", "audit_events", ["at"])
    op.create_index(
        "ix_audit_events_notable",
        "audit_events",
        ["outcome", "seq"],
        sqlite_where=_NOTABLE,
        postgresql_where=_NOTABLE,
    )
    op.create_table(
        "audit_names",
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("removed_at", _TIME),
        sa.PrimaryKeyConstraint("mark", name="pk_audit_names"),
    )
    op.create_index(
        "ix_audit_names_actor",
        "audit_names",
        ["actor_kind", "actor_id", "name"],
        unique=True,
        sqlite_where=_STANDS,
        postgresql_where=_STANDS,
    )
    op.create_table(
        "audit_targets",
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("seq", _SERIAL, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("target", "seq", name="pk_audit_targets"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("slot", sa.Text, nullable=False),
        sa.Column("seq", _SERIAL, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("count", _SERIAL, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_checkpoints"),
        sa.UniqueConstraint("slot", name="uq_audit_checkpoints_slot"),
    )
    op.create_index("ix_audit_checkpoints_seq", "audit_checkpoints", ["seq"])


def _copy_on_sqlite(connection: Any) -> None:
    """Chains the events that there are, in their order. Their times never go back from now on."""
    names: dict[tuple[str, str, str], str] = {}
    columns = ("seq", "id", "at", *_EVENT_TEXTS, "prev", "hash")
    add = f"INSERT INTO audit_events ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - constants
    old = connection.execute(
        sa.text(
            "SELECT o.*, COALESCE((SELECT r.runbook FROM runs r WHERE r.id = o.correlation), '') AS runbook "
            "FROM maint_old_events o ORDER BY o.seq"
        ).columns(at=_TIME)
    )
    prev, latest = "0" * 64, datetime(1, 1, 1)  # noqa: DTZ001 - as SQLite has it
    for seq, row in enumerate(old, start=1):
        latest = max(latest, row.at)
        kept = dict(row._mapping) | {"permalink": "", "targets": "", "actor_mark": ""}
        if row.actor_name:
            person = (row.actor_kind, row.actor_id, row.actor_name)
            kept["actor_mark"] = names.get(person) or _add_name(connection, person)
            names[person] = kept["actor_mark"]
        at = latest.replace(tzinfo=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        values = [str(seq), row.id, at, *(kept[name] for name in _EVENT_TEXTS)]
        digest = hashlib.sha256()
        for value in (prev, *values):
            raw = value.encode()
            digest.update(b"%d:%b" % (len(raw), raw))
        stored = latest.isoformat(sep=" ", timespec="microseconds")
        connection.exec_driver_sql(add, (seq, row.id, stored, *values[3:], prev, digest.hexdigest()))
        prev = digest.hexdigest()


def _add_name(connection: Any, person: tuple[str, str, str]) -> str:
    salt = secrets.token_hex(16)
    mark = hashlib.sha256(f"{salt}:{person[2]}".encode()).hexdigest()
    connection.exec_driver_sql(
        "INSERT INTO audit_names (mark, salt, actor_kind, actor_id, name) VALUES (?, ?, ?, ?, ?)",
        (mark, salt, *person),
    )
    return mark


def downgrade() -> None:
    raise RecordsError("Maint does not migrate back: restore a backup from before the upgrade.")
