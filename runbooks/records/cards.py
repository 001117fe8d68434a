"""Where cards stand in Slack, what they show and what they should: after a crash they are found and mended.

Cards of commands live as long as their process works on them. Cards of runs and gates are redrawn from the
database by any replica: `want` says that one is stale, `claim` gives it to one replica for a while.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Integer, Row, Subquery, bindparam, case, exists, insert, select, update

from runbooks.ids import new_id
from runbooks.records import budgets
from runbooks.records.budgets import Budget
from runbooks.records.schema import cards
from runbooks.records.urgency import URGENT, called_in, reminded_in

COMMAND, RUN, GATE, ALERT, REPORT = "command", "run", "gate", "alert", "report"
#: The kinds that are drawn from the database.
DRAWN = (RUN, GATE, ALERT, REPORT)

#: What a card shows when nobody can tell.
UNKNOWN = -1
#: Seconds between two drawings of one card.
INTERVAL = 1.5
#: So long a report waits for those before it.
PATIENCE = timedelta(days=1)
#: Seconds that a replica has for drawing a card, before another may.
CLAIM = 60.0

_VERSION, _PRIORITY = bindparam("to_version", type_=Integer), bindparam("to_priority", type_=Integer)
#: The cards that change with their run, alert or report: not those of gates that have said their last.
_FOLLOWS = cards.c.kind.in_((RUN, ALERT, REPORT)) | ((cards.c.kind == GATE) & cards.c.finished_at.is_(None))
# Made once: to make such a statement anew takes longer than to execute it, and every step does.
_WANT = (
    update(cards)
    .where(
        cards.c.correlation == bindparam("of_run"),
        _FOLLOWS,
        cards.c.drawn < _VERSION,
    )
    .values(
        wanted=case((cards.c.wanted < _VERSION, _VERSION), else_=cards.c.wanted),
        priority=case((cards.c.priority < _PRIORITY, _PRIORITY), else_=cards.c.priority),
        finished_at=None,
    )
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """A message that is edited until it is finished. `ts` is Slack's id of it, None while none is known.

    Of the kinds in DRAWN, `correlation` is the run, the alert or the report, `id` of a gate's card is that of
    the ask, and `drawn` is the version of the run, the alert or the report that it shows.
    """

    kind: str
    correlation: str
    channel: str
    ts: str | None = None
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    drawn: int = 0
    wanted: int = 0
    priority: int = 0


@dataclass(frozen=True)
class Claim:
    """A card that is ours to draw until then. `tried` says that somebody began to draw it before."""

    card: Card
    until: datetime
    tried: bool


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
            drawn=card.drawn,
            wanted=card.wanted,
            priority=card.priority,
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
    """The cards of commands from before that time that never said their last, oldest first."""
    query = (
        select(cards)
        .where(cards.c.finished_at.is_(None), cards.c.created_at < before, cards.c.kind.not_in(DRAWN))
        .order_by(cards.c.created_at, cards.c.id)
    )
    return tuple(map(_card, connection.execute(query)))


def want(connection: Connection, run: str, version: int, priority: int) -> None:
    """The cards of the run, or the alert, should show that version, within the caller's transaction; but not
    those of gates that have said their last.

    `priority`: 3 an approval, a question, a failure; 2 the end of the run; 1 a step; 0 a tick of the time.
    """
    connection.execute(_WANT, {"of_run": run, "to_version": version, "to_priority": priority})


def want_all(connection: Connection, versions: Subquery, priority: int) -> None:
    """As `want`, for every run of a query that gives each `id` with its `version`."""
    version = select(versions.c.version).where(versions.c.id == cards.c.correlation).scalar_subquery()
    raised = {
        "wanted": version,
        "priority": case((cards.c.priority < priority, priority), else_=cards.c.priority),
        "finished_at": None,
    }
    theirs = cards.c.correlation.in_(select(versions.c.id))
    connection.execute(update(cards).where(theirs, _FOLLOWS, cards.c.wanted < version).values(raised))


def claim(
    connection: Connection, now: datetime, price: Callable[[Card], tuple[Budget, float]]
) -> Claim | float | None:
    """The most urgent stale card that may be drawn now, paid for: nobody else draws it for CLAIM seconds.

    `price` says from which budget a card is paid, and how many tokens it has to leave there. None when no
    card waits; a number is the seconds until one can be paid for.
    """
    pause: float | None = None
    too_dear: set[str] = set()
    least = 0
    while row := connection.execute(_stale(now, too_dear, least).limit(1)).first():
        card = _card(row)
        budget, keep = price(card)
        seconds = budgets.missing(connection, budget, now, keep)
        if not seconds:
            until = now + timedelta(seconds=CLAIM)
            if not _set_claim(connection, row, now, until):
                continue  # another replica was quicker
            seconds = budgets.take(connection, budget, now, keep)
            if not seconds:
                return Claim(card, until, tried=row.drawn_at is not None)
            _undo_claim(connection, row)
        pause = seconds if pause is None else min(pause, seconds)
        if card.ts is None:
            too_dear.add(card.channel)
        else:
            least = card.priority + 1
    return pause


def drawn(
    connection: Connection,
    claim: Claim,
    version: int,
    *,
    now: datetime,
    ts: str | None = None,
    done: bool = False,
) -> bool:
    """Notes what the card shows, and where it stands if it was posted. `done`: it says its last.

    False when the claim was over: another replica may have drawn it in between, so nobody knows what it
    shows now, and it is drawn again.
    """
    card = cards.c.id == claim.card.id
    up_to_date = cards.c.wanted <= version
    values: dict[str, Any] = {
        "drawn": version,
        "drawn_at": now,
        "claimed_until": None,
        "priority": case((up_to_date, 0), else_=cards.c.priority),
    }
    if ts is not None:
        values["ts"] = ts
    if done:
        values["finished_at"] = case((up_to_date, now), else_=None)
    mine = card & (cards.c.claimed_until == claim.until)
    if connection.execute(update(cards).where(mine).values(values).returning(cards.c.id)).first():
        return True
    connection.execute(update(cards).where(card).values(drawn=UNKNOWN, finished_at=None))
    if ts is not None:
        posted(connection, claim.card.id, ts)
    return False


def release(connection: Connection, claim: Claim, until: datetime | None = None) -> None:
    """Gives a card back that was not drawn; nobody tries before `until`."""
    mine = (cards.c.id == claim.card.id) & (cards.c.claimed_until == claim.until)
    connection.execute(update(cards).where(mine).values(claimed_until=until))


def give_up(connection: Connection, claim: Claim, now: datetime) -> None:
    """The card cannot stand where it should: it is left until the run changes again."""
    mine = (cards.c.id == claim.card.id) & (cards.c.claimed_until == claim.until)
    known = claim.card.wanted  # what came meanwhile is a change of its own
    unchanged = cards.c.wanted <= known
    values = {
        "claimed_until": None,
        "drawn": known,
        "finished_at": case((unchanged, now), else_=None),
        "priority": case((unchanged, 0), else_=cards.c.priority),
    }
    connection.execute(update(cards).where(mine).values(values))


def lost(connection: Connection, card: Card, now: datetime) -> None:
    """Somebody deleted the card: it is posted again, as a new one."""
    gone = (cards.c.id == card.id) & (cards.c.ts == card.ts)
    again: dict[str, Any] = {"ts": None, "drawn": UNKNOWN, "drawn_at": None, "created_at": now}
    connection.execute(update(cards).where(gone).values(again | {"claimed_until": None, "finished_at": None}))


def doubt(connection: Connection, card_id: str) -> None:
    """The card does not show what it should: it is drawn again."""
    connection.execute(update(cards).where(cards.c.id == card_id).values(drawn=UNKNOWN, finished_at=None))


def doubt_gates(connection: Connection, run: str) -> None:
    """The run's card has a place now, to which the cards of its gates lead: they are drawn again."""
    gates = (cards.c.correlation == run) & (cards.c.kind == GATE)
    connection.execute(update(cards).where(gates, cards.c.finished_at.is_(None)).values(drawn=UNKNOWN))


def standing(connection: Connection) -> tuple[Card, ...]:
    """The cards of runs that are not over, and of their gates, that stand somewhere; oldest first."""
    query = (
        select(cards)
        .where(cards.c.finished_at.is_(None), cards.c.kind.in_(DRAWN), cards.c.ts.is_not(None))
        .order_by(cards.c.created_at, cards.c.id)
    )
    return tuple(map(_card, connection.execute(query)))


def by_id(connection: Connection, card_id: str) -> Card | None:
    """That card."""
    row = connection.execute(select(cards).where(cards.c.id == card_id)).first()
    return _card(row) if row else None


def of_run(connection: Connection, run: str) -> Card | None:
    """The run's own card."""
    query = select(cards).where(cards.c.correlation == run, cards.c.kind == RUN).limit(1)
    row = connection.execute(query).first()
    return _card(row) if row else None


def _stale(now: datetime, too_dear: set[str], least: int) -> Any:
    """The stale cards, most urgent first: new ones but in those channels, and where nobody is called first;
    others from that priority up."""
    rested = cards.c.drawn_at.is_(None) | (cards.c.drawn_at <= now - timedelta(seconds=INTERVAL))
    first = (cards.c.priority >= URGENT) | ~(
        called_in(cards.c.channel, now) | reminded_in(cards.c.channel, now)
    )
    new = cards.c.ts.is_(None) & cards.c.channel.not_in(too_dear) & first
    payable = new | (cards.c.ts.is_not(None) & (cards.c.priority >= least))
    return (
        select(cards)
        .where(cards.c.drawn < cards.c.wanted, cards.c.kind.in_(DRAWN), cards.c.channel != "")
        .where(rested, payable, _free(now), _in_turn(now))
        .order_by(cards.c.priority.desc(), cards.c.drawn_at.asc().nulls_first(), cards.c.created_at)
    )


def _in_turn(now: datetime) -> Any:
    """Not a report whose channel waits for an earlier one: after a pause they come in their order. One that
    could not be posted for a day keeps nobody waiting."""
    first = cards.alias("first")
    earlier = exists().where(
        first.c.kind == REPORT,
        first.c.channel == cards.c.channel,
        first.c.ts.is_(None),
        first.c.drawn < first.c.wanted,
        first.c.created_at > now - PATIENCE,
        (first.c.created_at < cards.c.created_at)
        | ((first.c.created_at == cards.c.created_at) & (first.c.id < cards.c.id)),
    )
    return (cards.c.kind != REPORT) | cards.c.ts.is_not(None) | ~earlier


def _free(now: datetime) -> Any:
    return cards.c.claimed_until.is_(None) | (cards.c.claimed_until <= now)


def _set_claim(connection: Connection, row: Row[Any], now: datetime, until: datetime) -> bool:
    same = (cards.c.id == row.id) & _free(now) & (cards.c.drawn < cards.c.wanted)
    statement = update(cards).where(same).values(claimed_until=until, drawn_at=now)
    return connection.execute(statement.returning(cards.c.id)).first() is not None


def _undo_claim(connection: Connection, row: Row[Any]) -> None:
    before = {"claimed_until": row.claimed_until, "drawn_at": row.drawn_at}
    connection.execute(update(cards).where(cards.c.id == row.id).values(before))


def _card(row: Row[Any]) -> Card:
    return Card(
        kind=row.kind,
        correlation=row.correlation,
        channel=row.channel,
        ts=row.ts,
        id=row.id,
        created_at=row.created_at,
        drawn=row.drawn,
        wanted=row.wanted,
        priority=row.priority,
    )
