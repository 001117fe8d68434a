"""What an escalation is about, as its ladder sees it: an alert, or a question to people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from runbooks.ids import new_id
from runbooks.records import asks, cards
from runbooks.records.asks import OPEN
from runbooks.records.ladders import ALERT
from runbooks.records.run_tables import asks as ask_table
from runbooks.records.runs import AskRow, RunRow
from runbooks.records.schema import cards as card_table
from runbooks.records.watch_tables import alert_changes, alerts
from runbooks.watch.escalation import State
from runbooks.watch.policies import Trouble

#: The states of an alert in which nobody is to be told.
_ASLEEP = frozenset({"pending", "snoozed"})


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One alert, or one ask. `channel`: where its card is; `asleep_until`: when its snooze ends; `run` and
    `ask` of an ask only."""

    about: str
    id: str
    state: State
    title: str
    summary: str
    trouble: Trouble
    channel: str
    opened_at: datetime
    asleep_until: datetime | None = None
    taken_by: str = ""
    why: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    run: RunRow | None = field(default=None, repr=False)
    ask: AskRow | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a card is, or will be: without a `ts` it is not posted yet."""

    channel: str
    ts: str | None


def take(connection: Connection, about: str, subject: str, now: datetime) -> Subject | None:
    """The subject, held until the transaction ends; None when it is not there any more."""
    return _alert(connection, subject, now) if about == ALERT else _ask(connection, subject)


def place_of(connection: Connection, about: str, subject: str) -> Place | None:
    """Where the card of an alert is, or a question's own card or else that of its run; None without one."""
    card = select(card_table.c.channel, card_table.c.ts)
    mine = card_table.c.correlation == subject if about == ALERT else card_table.c.id == subject
    row = connection.execute(card.where(mine).limit(1)).first()
    if row is None and about != ALERT:
        run = select(ask_table.c.run).where(ask_table.c.id == subject).scalar_subquery()
        of_run = card.where(card_table.c.correlation == run, card_table.c.kind == cards.RUN)
        row = connection.execute(of_run.limit(1)).first()
    return Place(channel=row.channel, ts=row.ts) if row else None


def note_level(
    connection: Connection,
    alert: str,
    *,
    policy: str,
    level: int,
    round_: int,
    next_at: datetime | None,
    who: str,
    at: datetime,
) -> None:
    """Notes on an alert which level was told, 1 for the first, and in its timeline whom it called."""
    before = connection.execute(select(alerts.c.level).where(alerts.c.id == alert)).scalar_one()
    connection.execute(
        update(alerts)
        .where(alerts.c.id == alert)
        .values(
            policy=policy,
            level=level,
            level_round=round_,
            level_at=next_at,
            changed_at=at,
            version=alerts.c.version + 1,
        )
    )
    connection.execute(
        insert(alert_changes).values(
            id=new_id(),
            alert=alert,
            at=at,
            what="escalated",
            before=str(before),
            after=str(level),
            value=None,
            by_id="",
            by_name="",
            note=f"{policy}: {who}",
        )
    )
    version = connection.execute(select(alerts.c.version).where(alerts.c.id == alert)).scalar_one()
    cards.want(connection, alert, version, priority=3)


def rest_level(connection: Connection, alert: str) -> None:
    """Notes on an alert that nobody else is called."""
    connection.execute(update(alerts).where(alerts.c.id == alert).values(level_at=None))


def _alert(connection: Connection, subject: str, now: datetime) -> Subject | None:
    row = connection.execute(select(alerts).where(alerts.c.id == subject).with_for_update()).first()
    if row is None:
        return None
    asleep = row.snoozed_until if row.status == "snoozed" else None
    if row.resolved_at is not None or row.status == "resolved":
        state = State.OVER
    elif row.status == "acknowledged":
        state = State.TAKEN
    # What stands in a storm is told with the storm.
    elif row.storm or (row.status in _ASLEEP and (asleep is None or asleep > now)):
        state = State.SNOOZED
    else:
        state = State.OPEN
    return Subject(
        about=ALERT,
        id=row.id,
        state=state,
        title=row.title,
        summary=row.summary,
        channel=row.channel,
        opened_at=row.opened_at,
        asleep_until=asleep,
        taken_by=row.resolved_by if state is State.OVER else row.acked_by_name,
        why=row.resolve_reason,
        links=row.links,
        trouble=Trouble(
            severity=row.severity,
            source=row.source,
            runbook=row.runbook,
            step=row.step,
            target=row.target,
            environment=row.environment,
            owner=row.owner,
            value=row.value,
            labels=row.labels,
        ),
    )


def _ask(connection: Connection, subject: str) -> Subject | None:
    taken = asks.take(connection, subject)
    if taken is None:
        return None
    run, ask = taken
    return Subject(
        about="ask",
        id=ask.id,
        state=State.OPEN if ask.state == OPEN and not run.over else State.OVER,
        title=ask.title,
        summary=f"{run.title}: {ask.title}",
        channel=ask.channel or run.channel,
        opened_at=ask.opened_at,
        taken_by=ask.answered_name or ask.answered_by,
        why=ask.reason,
        run=run,
        ask=ask,
        trouble=Trouble(severity="warning", source="maint", runbook=run.runbook, step=ask.path),
    )
