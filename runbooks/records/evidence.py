"""What is kept of one run beside its own rows: its runbook as it was, its messages, its events, and whether
the chain from them to the next signed head is whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from runbooks.records import chain
from runbooks.records.audit_tables import audit_checkpoints, audit_events, audit_names
from runbooks.records.run_tables import outbox
from runbooks.records.runs import source_of
from runbooks.records.schema import cards
from runbooks.records.search import Window

#: Events that are checked in one transaction.
PIECE = 5_000


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message in Slack. `text` is what was posted, where that is still kept."""

    kind: str
    channel: str
    ts: str
    at: datetime
    name: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A part of the chain that was computed anew. `fault` says what does not fit, and at which event; `hash`
    is that of the last one."""

    count: int
    hash: str
    fault: str = ""


def runbook_of(connection: Connection, snapshot: str) -> tuple[str, str]:
    """The path and the text of the runbook as it was when the run began."""
    return source_of(connection, snapshot)


def messages(connection: Connection, run: str) -> tuple[Message, ...]:
    """Where the run stood in Slack: its cards, and what was posted beside them and is still kept."""
    posted = connection.execute(
        select(cards).where(cards.c.correlation == run, cards.c.ts.is_not(None)).order_by(cards.c.created_at)
    ).all()
    card = next((row for row in posted if row.kind == "run"), None)
    found = [
        Message(kind=f"card of the {row.kind}", channel=row.channel, ts=row.ts, at=row.created_at)
        for row in posted
    ]
    query = select(outbox).where(outbox.c.run == run).order_by(outbox.c.created_at, outbox.c.id)
    found += [
        Message(
            kind=row.kind,
            channel=row.channel or (card.channel if card else ""),
            ts=row.ts or "",
            at=row.created_at,
            name=str(row.body.get("name", "")),
            text=str(row.body.get("text", "")),
        )
        for row in connection.execute(query)
    ]
    return tuple(found)


def checkpoints(
    connection: Connection, within: Window
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """The signed heads right before the window, and at its end or behind it; None where there is none."""
    table = audit_checkpoints
    before = select(table).where(table.c.seq < within.first).order_by(table.c.seq.desc(), table.c.at.desc())
    after = (
        select(table)
        .where(table.c.seq >= within.last, table.c.kind == "anchor")
        .order_by(table.c.seq, table.c.at)
    )
    found = [connection.execute(query.limit(1)).first() for query in (before, after)]
    one, other = (dict(row._mapping) if row else None for row in found)
    return one, other


def check(connection: Connection, within: Window, prev: str = "", limit: int = PIECE) -> Checked:
    """Computes the first events of the window anew. `prev`: the hash of the one before them, where it is
    known."""
    query = (
        select(audit_events, audit_names.c.salt, audit_names.c.name, audit_names.c.removed_at)
        .outerjoin(audit_names, audit_names.c.mark == audit_events.c.actor_mark)
        .where(audit_events.c.seq >= within.first, audit_events.c.seq <= within.last)
        .order_by(audit_events.c.seq)
        .limit(limit)
    )
    seq = within.first
    for row in connection.execute(query):
        if fault := _fault(row, seq, prev):
            return Checked(count=seq - within.first, hash=prev, fault=fault)
        seq, prev = seq + 1, row.hash
    if seq <= min(within.last, within.first + limit - 1):
        return Checked(count=seq - within.first, hash=prev, fault=f"event {seq} is missing")
    return Checked(count=seq - within.first, hash=prev)


def _fault(row: Any, seq: int, prev: str) -> str:
    if row.seq != seq:
        return f"event {seq} is missing"
    if prev and row.prev != prev:
        return f"event {seq} does not follow the one before it"
    if chain.hash_of(row._mapping) != row.hash:
        return f"event {seq} was changed"
    if row.actor_mark and row.removed_at is None:
        if row.name is None:
            return f"the name in event {seq} is missing"
        if chain.mark_of(row.salt, row.name) != row.actor_mark:
            return f"the name in event {seq} was changed"
    return ""
