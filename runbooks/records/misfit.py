"""Says what happened to the first event that does not fit. Asked only when there is one: it looks around."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, select
from sqlalchemy.exc import DBAPIError

from runbooks.records.audit_tables import audit_events
from runbooks.records.chain import hash_of

#: How far from its place an event is looked for that was numbered anew.
_FAR = 2_000


class How(StrEnum):
    """What was done to the log."""

    CHANGED = "changed"  #: a column of the event says something else
    REMOVED = "removed"  #: the event is not there
    INSERTED = "inserted"  #: the event was put between others
    REORDERED = "reordered"  #: the event stands at another's place
    CUT_OFF = "cut off"  #: an anchor knows later events than there are
    REWRITTEN = "rewritten"  #: the chain holds, but is not the one that was anchored
    NAME = "name"  #: a name was removed without a word, or there is none
    CHECKPOINT = "checkpoint"  #: a checkpoint was removed, changed, or signed by nobody


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """The first event (or checkpoint, at its `seq`) that does not fit, and how."""

    seq: int
    how: How
    text: str
    id: str = ""


def classify(connection: Connection, seq: int, prev: str) -> Misfit:
    """What happened at `seq`, where an event was to follow the one with the hash `prev`; empty: any."""
    row = _at(connection, seq)
    if row is None:
        after = connection.scalar(select(audit_events.c.seq).where(audit_events.c.seq > seq).limit(1))
        if after is None:
            return Misfit(seq=seq, how=How.REMOVED, text=f"Event {seq} is not there.")
        first = connection.scalar(
            select(audit_events.c.seq).where(audit_events.c.seq > seq).order_by(audit_events.c.seq).limit(1)
        )
        gone = f"Event {seq} is" if first == seq + 1 else f"Events {seq} to {(first or seq) - 1} are"
        return Misfit(seq=seq, how=How.REMOVED, text=f"{gone} not there.")
    own = _place(row)
    if own == seq:
        if not prev or row["prev"] == prev:
            text = f"Event {seq} has a time before that of the one before it."
            return Misfit(seq=seq, how=How.CHANGED, text=text, id=str(row["id"]))
        return _not_following(seq, row)
    if own is None:
        text = f"Event {seq} was changed after it was written: its columns do not give its hash."
        return Misfit(seq=seq, how=How.CHANGED, text=text, id=str(row["id"]))
    return _moved(connection, seq, own, prev, row)


def _not_following(seq: int, row: RowMapping) -> Misfit:
    """It is whole, but was hashed after another event than the one that stands before it."""
    if seq == 1:
        text = "Event 1 names an event before it: what came first was removed, and the rest numbered anew."
        return Misfit(seq=1, how=How.REMOVED, text=text, id=str(row["id"]))
    text = f"Event {seq} does not follow event {seq - 1}: that one was replaced or changed, and hashed anew."
    return Misfit(seq=seq - 1, how=How.CHANGED, text=text, id=str(row["id"]))


def _moved(connection: Connection, seq: int, own: int, prev: str, row: RowMapping) -> Misfit:
    """What stands there was hashed as the event `own`."""
    id_ = str(row["id"])
    if own < seq:
        # The one before took its place: everything from there on was numbered anew.
        text = f"An event was inserted: what was event {own} stands at {seq}."
        return Misfit(seq=own, how=How.INSERTED, text=text, id=id_)
    elsewhere = connection.scalar(
        select(audit_events.c.seq).where(audit_events.c.prev == prev, audit_events.c.seq != seq).limit(1)
    )
    if elsewhere is not None:
        text = f"Events were reordered: event {own} stands at {seq}, and event {seq} at {elsewhere}."
        return Misfit(seq=seq, how=How.REORDERED, text=text, id=id_)
    text = f"Event {seq} was removed, and later ones numbered anew: what was event {own} stands there."
    return Misfit(seq=seq, how=How.REMOVED, text=text, id=id_)


def _place(row: RowMapping) -> int | None:
    """The number with which those columns give the hash: its own, or one near by."""
    for far in range(_FAR):
        for number in {row["seq"] + far, row["seq"] - far}:
            if number > 0 and _hash(row, number) == row["hash"]:
                return int(number)
    return None


def _hash(row: RowMapping, number: int) -> str:
    try:
        return hash_of({**row, "seq": number})
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""  # a value of another type, or a time that is none


def _at(connection: Connection, seq: int) -> RowMapping | None:
    try:
        return connection.execute(select(audit_events).where(audit_events.c.seq == seq)).mappings().first()
    except (ValueError, TypeError, DBAPIError):
        # What was written there is no time: it is there, and is not what was hashed.
        columns = [column for column in audit_events.c if column.name != "at"]
        return connection.execute(select(*columns).where(audit_events.c.seq == seq)).mappings().first()
