"""Messages beside the cards that are to be posted: output and notes in a card's thread, reminders, files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, case, select, update

from runbooks.ids import new_id
from runbooks.records import budgets
from runbooks.records.budgets import Budget
from runbooks.records.cards import ALERT, CLAIM, REPORT, RUN
from runbooks.records.database import scrubber_of
from runbooks.records.insert import insert_into
from runbooks.records.run_tables import outbox
from runbooks.records.schema import cards
from runbooks.records.urgency import URGENT, called_in
from runbooks.scrub import scrubbed

#: Rows that are looked at to find some that may be posted together.
_LOOKED_AT = 100


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One row: what to post. `attempts` counts those before this one."""

    id: str
    run: str
    kind: str
    body: Mapping[str, Any]
    priority: int
    created_at: datetime
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Letters that go to one place: a channel, or the thread of a message there. Ours until `until`."""

    letters: tuple[Letter, ...]
    channel: str
    thread: str | None
    card: str | None  # the id of the card whose thread that is
    until: datetime


def put(
    connection: Connection,
    run: str,
    kind: str,
    body: Mapping[str, Any],
    *,
    channel: str = "",
    priority: int = 1,
    key: str = "",
) -> str:
    """Adds a message within the caller's transaction; returns its id. Without a channel it goes to the thread
    of the card of the run, the report or the alert. One of the same `key` is added once. Secrets are
    scrubbed: another replica, which does not know a run's own, may post it."""
    letter = sha256(key.encode()).hexdigest()[:26] if key else new_id()
    connection.execute(
        insert_into(connection, outbox)
        .values(
            id=letter,
            run=run,
            channel=channel,
            kind=kind,
            body=scrubbed(body, scrubber_of(connection)),
            priority=priority,
            created_at=datetime.now(UTC),
            attempts=0,
        )
        .on_conflict_do_nothing()
    )
    return letter


def claim(
    connection: Connection,
    now: datetime,
    price: Callable[[str], Budget],
    fits: Callable[[Sequence[Letter]], bool],
) -> Batch | float | None:
    """The most urgent messages for one place, paid for as one. None when none waits; a number is the seconds
    until some can be paid for. `fits` says whether letters can be posted together; one alone always can."""
    pause: float | None = None
    too_dear: set[str] = set()
    while rows := connection.execute(_waiting(now, too_dear)).all():
        first = rows[0]
        budget = price(first.place)
        seconds = budgets.missing(connection, budget, now)
        if not seconds:
            together = [first]
            for row in rows[1:]:
                fellow = (row.run, row.channel) == (first.run, first.channel)
                if fellow and fits([_letter(each) for each in (*together, row)]):
                    together.append(row)
            until = now + timedelta(seconds=CLAIM)
            ours = _set_claim(connection, [row.id for row in together], now, until)
            if not ours:
                continue  # another replica was quicker
            seconds = budgets.take(connection, budget, now)
            if not seconds:
                return _batch([row for row in together if row.id in ours], until)
            _undo_claim(connection, ours)
        pause = seconds if pause is None else min(pause, seconds)
        too_dear.add(first.place)
    return pause


def sent(connection: Connection, letters: Sequence[Letter], ts: str, now: datetime) -> None:
    """Notes that these were posted; an empty `ts`: they never will be."""
    ids = [letter.id for letter in letters]
    values = {"sent_at": now, "ts": ts, "claimed_until": None}
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(values))


def release(connection: Connection, batch: Batch, until: datetime, *, tried: bool) -> None:
    """Gives messages back; nobody tries before `until`. `tried`: they may have arrived all the same."""
    ids = [letter.id for letter in batch.letters]
    statement = update(outbox).where(outbox.c.id.in_(ids), outbox.c.claimed_until == batch.until)
    counted = outbox.c.attempts if tried else outbox.c.attempts - 1
    connection.execute(statement.values(claimed_until=until, attempts=counted))


def _waiting(now: datetime, too_dear: set[str]) -> Any:
    thread = (cards.c.correlation == outbox.c.run) & cards.c.kind.in_((RUN, REPORT, ALERT))
    free = outbox.c.claimed_until.is_(None) | (outbox.c.claimed_until <= now)
    place = case((outbox.c.channel != "", outbox.c.channel), else_=cards.c.channel)
    return (
        select(outbox, cards.c.id.label("card_id"), cards.c.ts.label("card_ts"), place.label("place"))
        .join(cards, thread, isouter=True)
        .where(outbox.c.sent_at.is_(None), free, (outbox.c.channel != "") | cards.c.ts.is_not(None))
        .where(place.not_in(too_dear), (outbox.c.priority >= URGENT) | ~called_in(place, now))
        .order_by(outbox.c.priority.desc(), outbox.c.created_at, outbox.c.id)
        .limit(_LOOKED_AT)
    )


def _set_claim(connection: Connection, ids: Sequence[str], now: datetime, until: datetime) -> set[str]:
    free = outbox.c.claimed_until.is_(None) | (outbox.c.claimed_until <= now)
    # An attempt is counted before it is made: whoever comes after a crash looks whether it arrived.
    statement = (
        update(outbox)
        .where(outbox.c.id.in_(ids), outbox.c.sent_at.is_(None), free)
        .values(claimed_until=until, attempts=outbox.c.attempts + 1)
    )
    return set(connection.scalars(statement.returning(outbox.c.id)))


def _undo_claim(connection: Connection, ids: set[str]) -> None:
    before = {"claimed_until": None, "attempts": outbox.c.attempts - 1}
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(before))


def _batch(rows: Sequence[Row[Any]], until: datetime) -> Batch:
    first = rows[0]
    in_thread = not first.channel
    return Batch(
        letters=tuple(_letter(row) for row in sorted(rows, key=_age)),
        channel=first.place,
        thread=first.card_ts if in_thread else None,
        card=first.card_id if in_thread else None,
        until=until,
    )


def _age(row: Row[Any]) -> tuple[datetime, str]:
    return row.created_at, row.id


def _letter(row: Row[Any]) -> Letter:
    return Letter(
        id=row.id,
        run=row.run,
        kind=row.kind,
        body=row.body,
        priority=row.priority,
        created_at=row.created_at,
        attempts=row.attempts,
    )
