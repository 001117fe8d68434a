"""What goes to people and systems beside cards: until it has arrived, or is given up.

A notice is delivered at least once: its attempt is counted before it is made, and its id goes along, so that
who gets it twice can tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, and_, exists, select, update

from runbooks.records.database import scrubber_of
from runbooks.records.insert import insert_into
from runbooks.records.runs import as_row
from runbooks.records.watch_tables import notices
from runbooks.scrub import scrubbed

#: Seconds that one attempt has, before another replica may make the next.
CLAIM = 60.0
#: What a notice says: the three that services understand.
TRIGGER, ACKNOWLEDGE, RESOLVE = "trigger", "acknowledge", "resolve"
#: What stands in `error` of one that was not needed any more.
WITHDRAWN = "withdrawn: it was taken before it was sent"


@dataclass(frozen=True, kw_only=True)
class NoticeRow:
    """One row. `target` is a service of maint.yaml, a channel, or whom a direct message is for."""

    id: str
    about: str
    subject: str
    kind: str
    target: str
    body: Mapping[str, Any]
    priority: int
    created_at: datetime
    wake_at: datetime | None
    attempts: int
    done_at: datetime | None
    failed_at: datetime | None
    error: str


def key_of(*parts: object) -> str:
    """The id of a notice: the same for the same parts, whoever makes it."""
    return sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def put(
    connection: Connection,
    key: str,
    *,
    about: str,
    subject: str,
    kind: str,
    target: str,
    body: Mapping[str, Any],
    at: datetime,
    priority: int = 1,
) -> bool:
    """Adds a notice. False when one of that key was there: it is sent once."""
    statement = insert_into(connection, notices).values(
        id=key,
        about=about,
        subject=subject,
        kind=kind,
        target=target,
        body=scrubbed(body, scrubber_of(connection)),
        priority=priority,
        created_at=at,
        wake_at=at,
        attempts=0,
        done_at=None,
        failed_at=None,
        error="",
    )
    return connection.execute(statement.on_conflict_do_nothing().returning(notices.c.id)).first() is not None


def any_due(connection: Connection, now: datetime) -> bool:
    """Whether there is something to send: asked every second."""
    query = select(notices.c.id).where(notices.c.wake_at.is_not(None), notices.c.wake_at <= now).limit(1)
    return connection.execute(query).first() is not None


def claim(connection: Connection, now: datetime, limit: int = 20) -> tuple[NoticeRow, ...]:
    """The most urgent that are due, ours for a while: each one's attempt is counted.

    Of those about one subject that go to one place, the older goes first, and the younger wait for it: a
    service that heard of the end before the beginning would keep the alarm for ever.
    """
    earlier = notices.alias("earlier")
    before = exists().where(
        and_(
            earlier.c.wake_at.is_not(None),
            earlier.c.about == notices.c.about,
            earlier.c.subject == notices.c.subject,
            earlier.c.kind == notices.c.kind,
            earlier.c.target == notices.c.target,
            (earlier.c.created_at < notices.c.created_at)
            | and_(earlier.c.created_at == notices.c.created_at, earlier.c.id < notices.c.id),
        )
    )
    ready = (notices.c.wake_at.is_not(None), notices.c.wake_at <= now)
    query = (
        select(notices.c.id, notices.c.attempts)
        .where(*ready, ~before)
        .order_by(notices.c.priority.desc(), notices.c.created_at, notices.c.id)
        .limit(limit)
    )
    claimed = []
    for row in connection.execute(query).all():
        statement = (
            update(notices)
            .where(notices.c.id == row.id, notices.c.attempts == row.attempts, *ready)
            .values(attempts=row.attempts + 1, wake_at=now + timedelta(seconds=CLAIM))
        )
        if taken := connection.execute(statement.returning(*notices.c)).first():
            claimed.append(as_row(NoticeRow, taken))
    return tuple(claimed)


def arrived(connection: Connection, notice: NoticeRow, now: datetime) -> None:
    """Notes that it was delivered; also by who was late."""
    statement = update(notices).where(notices.c.id == notice.id)
    connection.execute(statement.values(done_at=now, failed_at=None, wake_at=None, error=""))


def try_later(
    connection: Connection, notice: NoticeRow, at: datetime, why: str, *, tried: bool = True
) -> None:
    """Notes why it was not delivered, and when it is tried again; unless another attempt was begun."""
    attempts = notices.c.attempts if tried else notices.c.attempts - 1
    connection.execute(
        _attempt(notice).values(wake_at=at, error=scrubber_of(connection)(why), attempts=attempts)
    )


def give_up(connection: Connection, notice: NoticeRow, now: datetime, why: str) -> bool:
    """Notes that it never will be delivered. False when it was, or another attempt was begun."""
    statement = _attempt(notice).values(wake_at=None, failed_at=now, error=scrubber_of(connection)(why))
    return connection.execute(statement.returning(notices.c.id)).first() is not None


def withdraw(connection: Connection, about: str, subject: str, now: datetime) -> int:
    """Takes back what nobody began to send; how many that were."""
    statement = (
        update(notices)
        .where(
            notices.c.about == about,
            notices.c.subject == subject,
            notices.c.wake_at.is_not(None),
            notices.c.attempts == 0,
        )
        .values(wake_at=None, failed_at=now, error=WITHDRAWN)
    )
    return len(connection.execute(statement.returning(notices.c.id)).all())


def split(connection: Connection, notice: NoticeRow, targets: Sequence[str], at: datetime) -> None:
    """Makes one notice for each of those in place of the one for all of them; the key of each is of both."""
    for target in targets:
        _copy(connection, notice, target, notice.body, at)


def send_elsewhere(connection: Connection, notice: NoticeRow, target: str, why: str, at: datetime) -> None:
    """Sends the same to another place, with why it is there."""
    text = f"{notice.body.get('text', '')} This was for {notice.target}: {why}"
    _copy(connection, notice, target, {**notice.body, "text": text}, at)


def of_subject(connection: Connection, about: str, subject: str) -> tuple[NoticeRow, ...]:
    """Everything that was to be told about it, in order."""
    query = (
        select(notices)
        .where(notices.c.about == about, notices.c.subject == subject)
        .order_by(notices.c.created_at, notices.c.id)
    )
    return tuple(as_row(NoticeRow, row) for row in connection.execute(query))


def _copy(
    connection: Connection, notice: NoticeRow, target: str, body: Mapping[str, Any], at: datetime
) -> None:
    put(
        connection,
        key_of(notice.id, target),
        about=notice.about,
        subject=notice.subject,
        kind=notice.kind,
        target=target,
        body=body,
        at=at,
        priority=notice.priority,
    )


def _attempt(notice: NoticeRow) -> Any:
    return update(notices).where(
        notices.c.id == notice.id,
        notices.c.attempts == notice.attempts,
        notices.c.wake_at.is_not(None),
    )
