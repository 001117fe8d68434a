"""Where cards stand in Slack, so that they are found again after a crash."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from runbooks.ids import new_id
from runbooks.records.schema import cards


@dataclass(frozen=True, kw_only=True)
class Card:
    """A message that is kept equal to the database. `ts` is Slack's id of it, None while none is known."""

    kind: str
    correlation: str
    channel: str
    ts: str | None = None
    id: str = field(default_factory=new_id)


def add(connection: Connection, card: Card) -> None:
    """Remembers a card; before it is posted, so that a post that may have arrived is known."""
    now = datetime.now(UTC)
    connection.execute(
        insert(cards).values(
            id=card.id,
            kind=card.kind,
            correlation=card.correlation,
            channel=card.channel,
            ts=card.ts,
            created_at=now,
            updated_at=now,
        )
    )


def posted(connection: Connection, card_id: str, ts: str) -> bool:
    """Notes where the card stands. False when it stands somewhere already: this one came second."""
    statement = (
        update(cards)
        .where(cards.c.id == card_id, cards.c.ts.is_(None))
        .values(ts=ts, updated_at=datetime.now(UTC))
    )
    return connection.execute(statement.returning(cards.c.id)).first() is not None


def of(connection: Connection, correlation: str) -> tuple[Card, ...]:
    """The cards of one request, oldest first."""
    query = select(cards).where(cards.c.correlation == correlation).order_by(cards.c.created_at, cards.c.id)
    return tuple(
        Card(kind=row.kind, correlation=row.correlation, channel=row.channel, ts=row.ts, id=row.id)
        for row in connection.execute(query)
    )
