"""What an escalation is about, as its ladder sees it: an alert, or a question to people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select, update

from runbooks.records import alerts as rows
from runbooks.records import asks, cards
from runbooks.records.alerts import Alert, AlertStatus, Change
from runbooks.records.asks import OPEN
from runbooks.records.ladders import ALERT
from runbooks.records.run_tables import asks as ask_table
from runbooks.records.runs import AskRow, RunRow
from runbooks.records.schema import cards as card_table
from runbooks.records.watch_tables import alerts
from runbooks.watch.escalation import State
from runbooks.watch.policies import Trouble


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
    values = {"policy": policy, "level": level, "level_round": round_, "level_at": next_at}
    statement = (
        update(alerts)
        .where(alerts.c.id == alert)
        .values(**values, changed_at=at, version=alerts.c.version + 1)
    )
    version = connection.execute(statement.returning(alerts.c.version)).scalar_one()
    change = Change(alert=alert, at=at, what="escalated", after=str(level), note=f"{policy}: {who}")
    rows.add_changes(connection, [change])
    cards.want(connection, alert, version, priority=3)


def rest_level(connection: Connection, alert: str) -> None:
    """Notes on an alert that nobody else is called."""
    connection.execute(update(alerts).where(alerts.c.id == alert).values(level_at=None))


def trouble_of(alert: Alert) -> Trouble:
    """What decides who hears of an alert."""
    return Trouble(
        severity=alert.severity,
        source=alert.source,
        runbook=alert.runbook,
        step=alert.step,
        target=alert.target,
        environment=alert.environment,
        owner=alert.owner,
        value=alert.value,
        labels=alert.labels,
        outputs=alert.annotations,
    )


def _alert(connection: Connection, subject: str, now: datetime) -> Subject | None:
    rows.hold(connection)
    alert = rows.by_id(connection, subject)
    if alert is None:
        return None
    asleep = alert.snoozed_until if alert.status == AlertStatus.SNOOZED else None
    state = _state(alert, asleep, now)
    return Subject(
        about=ALERT,
        id=alert.id,
        state=state,
        title=alert.title,
        summary=alert.summary,
        channel=alert.channel,
        opened_at=alert.opened_at,
        asleep_until=asleep,
        taken_by=alert.resolved_by if state is State.OVER else alert.acked_by_name,
        why=alert.resolve_reason,
        links=alert.links,
        trouble=trouble_of(alert),
    )


def _state(alert: Alert, asleep: datetime | None, now: datetime) -> State:
    if not alert.is_open:
        return State.OVER
    if alert.status == AlertStatus.ACKNOWLEDGED:
        return State.TAKEN
    # What stands in a storm is told with the storm.
    if alert.storm or alert.status == AlertStatus.PENDING or (asleep is not None and asleep > now):
        return State.SNOOZED
    return State.OPEN


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
