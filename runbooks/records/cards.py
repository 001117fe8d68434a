"""Where cards stand in Slack, so that those that nobody works on any more are found after a crash."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, case, insert, select, update

from runbooks.ids import new_id
from runbooks.records.schema import cards


@dataclass(frozen=True, kw_only=True)
class Card:
    """A message that is edited until it is finished. `ts` is Slack's id of it, None while none is known."""

    kind: str
    correlation: str
    channel: str
    ts: str | None = None
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def add(connection: Connection, card: Card) -> None:
    """Remembers a card; before it is posted, so that a post that may have arrived is known."""
    connection.execute(
        insert(cards).values(
            id=card.id,
            kind=card.kind,
            correlation=card.correlation,
            channel=card.channel,
            ts=card.ts,
            created_at=card.created_at,
        )
    )


def posted(connection: Connection, card_id: str, ts: str) -> bool:
    """Notes where the card stands. False when it stands somewhere already: this one came second."""
    statement = update(cards).where(cards.c.id == card_id, cards.c.ts.is_(None)).values(ts=ts)
    return connection.execute(statement.returning(cards.c.id)).first() is not None


def finished(connection: Connection, card_id: str) -> None:
    """Notes that the card says its last."""
    now = datetime.now(UTC)
    connection.execute(
        update(cards).where(cards.c.id == card_id, cards.c.finished_at.is_(None)).values(finished_at=now)
    )


def unfinished(connection: Connection, before: datetime) -> tuple[Card, ...]:
    """The cards from before that time that never said their last, oldest first."""
    query = (
        select(cards)
        .where(cards.c.finished_at.is_(None), cards.c.created_at < before)
        .order_by(cards.c.created_at, cards.c.id)
    )
    return tuple(
        Card(
            kind=row.kind,
            correlation=row.correlation,
            channel=row.channel,
            ts=row.ts,
            id=row.id,
            created_at=row.created_at,
        )
        for row in connection.execute(query)
    )


def want(connection: Connection, run: str, version: int, priority: int) -> None:
    """The cards of that run are to show this version of it; the most urgent reason counts."""
    urgent = case((cards.c.priority > priority, cards.c.priority), else_=priority)
    connection.execute(
        update(cards)
        .where(cards.c.correlation == run, cards.c.kind != "command")
        .values(wanted=version, priority=urgent)
    )
