"""How far each escalation has come. Everything here is part of the caller's transaction.

Who changes an alert or an ask holds its row before that of its ladder: two transactions that took them in
different orders would wait for each other for ever.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from runbooks.records.insert import insert_into
from runbooks.records.run_tables import asks
from runbooks.records.runs import as_row
from runbooks.records.watch_tables import ladders

ALERT, ASK = "alert", "ask"


@dataclass(frozen=True, kw_only=True)
class LadderRow:
    """One row. `plan` is empty while nobody looked yet which policy it is."""

    about: str
    subject: str
    due_at: datetime
    wake_at: datetime | None
    policy: str = ""
    severity: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    turn: int = 0
    told: int = 0
    rests: bool = False
    acknowledged: bool = False
    ended: bool = False


def begin(connection: Connection, about: str, subject: str, at: datetime, *, policy: str = "") -> None:
    """An escalation begins, once. Which policy, and who, is looked up at its first step."""
    row = LadderRow(about=about, subject=subject, due_at=at, wake_at=at, policy=policy)
    connection.execute(insert_into(connection, ladders).values(asdict(row)).on_conflict_do_nothing())


def begin_again(connection: Connection, about: str, subject: str, at: datetime) -> None:
    """Its subject has begun, or begun anew: an escalation that had ended goes on from the bottom."""
    begin(connection, about, subject, at)
    connection.execute(
        update(ladders)
        .where(ladders.c.about == about, ladders.c.subject == subject, ladders.c.ended.is_(True))
        .values(
            plan={},
            turn=ladders.c.turn + 1,
            told=0,
            rests=False,
            acknowledged=False,
            ended=False,
            due_at=at,
            wake_at=at,
        )
    )


def wake(connection: Connection, about: str, subject: str, at: datetime) -> None:
    """Its subject has changed: the ladder looks at it at once."""
    connection.execute(
        update(ladders)
        .where(ladders.c.about == about, ladders.c.subject == subject, ladders.c.ended.is_(False))
        .values(wake_at=at)
    )


def wake_of_run(connection: Connection, run: str, at: datetime) -> None:
    """The same for every question of a run."""
    subjects = select(asks.c.id).where(asks.c.run == run)
    connection.execute(
        update(ladders)
        .where(ladders.c.about == ASK, ladders.c.subject.in_(subjects), ladders.c.ended.is_(False))
        .values(wake_at=at)
    )


def due(connection: Connection, now: datetime, limit: int = 50) -> tuple[tuple[str, str], ...]:
    """The ladders to look at now, the most overdue first: what each is about, and the id of that."""
    query = (
        select(ladders.c.about, ladders.c.subject)
        .where(ladders.c.wake_at.is_not(None), ladders.c.wake_at <= now, ladders.c.ended.is_(False))
        .order_by(ladders.c.wake_at, ladders.c.about, ladders.c.subject)
        .limit(limit)
    )
    return tuple((row.about, row.subject) for row in connection.execute(query))


def take(connection: Connection, about: str, subject: str) -> LadderRow | None:
    """The row, held until the transaction ends. Whoever takes it holds its subject already."""
    query = select(ladders).where(ladders.c.about == about, ladders.c.subject == subject)
    row = connection.execute(query.with_for_update()).first()
    return as_row(LadderRow, row) if row else None


def find(connection: Connection, about: str, subject: str) -> LadderRow | None:
    """The row, as it stands."""
    query = select(ladders).where(ladders.c.about == about, ladders.c.subject == subject)
    row = connection.execute(query).first()
    return as_row(LadderRow, row) if row else None


def keep(connection: Connection, row: LadderRow) -> None:
    """Writes a row that was taken."""
    values = asdict(row)
    connection.execute(
        update(ladders)
        .where(ladders.c.about == values.pop("about"), ladders.c.subject == values.pop("subject"))
        .values(values)
    )
