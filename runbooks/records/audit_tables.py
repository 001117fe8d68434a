"""The audit log's tables: events, the names of their actors, which targets they are about, checkpoints."""

from sqlalchemy import Column, Index, Table, Text, text

from runbooks.records.columns import Serial, UtcTime, Words
from runbooks.records.schema import metadata

#: Who did what, on what, from where, and how it went; each event with the hash of the one before it.
#: Rows are only ever added, by `chain`; triggers refuse the rest.
audit_events = Table(
    "audit_events",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=False),
    Column("id", Words(26), nullable=False, unique=True),
    Column("at", UtcTime, nullable=False),
    Column("actor_kind", Words(20), nullable=False),
    Column("actor_id", Words(100), nullable=False),
    Column("actor_mark", Words(64), nullable=False),
    Column("team", Words(100), nullable=False),
    Column("action", Words(100), nullable=False),
    Column("object", Words(500), nullable=False),
    Column("outcome", Words(20), nullable=False),
    Column("channel", Words(100), nullable=False),
    Column("channel_name", Words(200), nullable=False),
    Column("correlation", Words(100), nullable=False),
    Column("permalink", Words(500), nullable=False),
    Column("runbook", Words(200), nullable=False),
    Column("targets", Words(8000), nullable=False),
    Column("details", Text, nullable=False),
    Column("prev", Words(64), nullable=False),
    Column("hash", Words(64), nullable=False),
)
Index("ix_audit_events_actor", audit_events.c.actor_id, audit_events.c.seq)
Index("ix_audit_events_action", audit_events.c.action, audit_events.c.seq)
Index("ix_audit_events_correlation", audit_events.c.correlation, audit_events.c.seq)
Index("ix_audit_events_runbook", audit_events.c.runbook, audit_events.c.seq)
Index("ix_audit_events_at", audit_events.c.at)
#: What is not the everyday: refusals and failures are few, and looked for.
NOTABLE = text("outcome NOT IN ('ok', 'accepted')")
Index(
    "ix_audit_events_notable",
    audit_events.c.outcome,
    audit_events.c.seq,
    sqlite_where=NOTABLE,
    postgresql_where=NOTABLE,
)

#: What actors were called at the time. The chain holds `mark`, the sha256 of `salt:name`: without its salt
#: it tells nothing, and so a name can be removed while the chain holds.
audit_names = Table(
    "audit_names",
    metadata,
    Column("mark", Words(64), primary_key=True),
    Column("salt", Words(32), nullable=False),
    Column("actor_kind", Words(20), nullable=False),
    Column("actor_id", Words(100), nullable=False),
    Column("name", Words(200), nullable=False),
    Column("removed_at", UtcTime),
)
_STANDS = audit_names.c.removed_at.is_(None)
Index(
    "ix_audit_names_actor",
    audit_names.c.actor_kind,
    audit_names.c.actor_id,
    audit_names.c.name,
    unique=True,
    sqlite_where=_STANDS,
    postgresql_where=_STANDS,
)

#: Where to find the events about a target. Made from the events' own `targets`, which the chain holds.
audit_targets = Table(
    "audit_targets",
    metadata,
    Column("target", Words(200), primary_key=True),
    Column("seq", Serial, primary_key=True, autoincrement=False, index=True),
    sqlite_with_rowid=False,
)

#: Signed heads of the chain: `anchor`, to be kept elsewhere too; `prune`, up to which events were removed.
#: `slot` names what may be made once (`2026-11-22`). `document` is the very text that was signed.
audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("id", Words(26), primary_key=True),
    Column("kind", Words(20), nullable=False),
    Column("slot", Words(100), nullable=False, unique=True),
    Column("seq", Serial, nullable=False, index=True),
    Column("hash", Words(64), nullable=False),
    Column("count", Serial, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("key_id", Words(64), nullable=False),
    Column("signature", Words(200), nullable=False),
    Column("previous", Words(64), nullable=False),
    Column("document", Text, nullable=False),
)
