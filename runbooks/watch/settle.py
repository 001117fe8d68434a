"""Writes what became of alerts, in one transaction: rows, cards, storms, followers, the audit log.

The caller holds the lock of alerts. The audit log comes last: who has written to it waits for nobody.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from runbooks.records import alerts as rows
from runbooks.records import cards
from runbooks.records.alerts import RANK, Alert, AlertStatus, Change, Severity
from runbooks.records.audit import Event, Outcome, append, done_by
from runbooks.records.cards import Card
from runbooks.records.person import Person
from runbooks.watch.fingerprint import fingerprint
from runbooks.watch.followers import Follower, Route
from runbooks.watch.life import Step, What, resolved

#: What an alert of Maint's own is from.
MAINT = "maint"
#: A minute in which more alerts open in a channel than may have a message of their own is a storm's; it takes
#: in what opens until that long after the last one.
MINUTE, STORM_RESTS = timedelta(minutes=1), timedelta(minutes=5)
#: Of the messages of a minute, one in so many is a critical alert's even in a storm.
SPARED = 3
#: Alerts that an audit event names of a storm's many.
_NAMED = 20

_PRIORITY = {
    What.FLAPPING: 1,
    What.CALM: 1,
}
_BEGINNINGS = (What.OPENED, What.REOPENED)


@dataclass(frozen=True)
class Move:
    """An alert as it was, None when it is new, and what was made of it."""

    before: Alert | None
    step: Step


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What stays the same: where cards go, who follows, as whom Maint acts by itself, and how many alerts of
    one minute have messages of their own."""

    route: Route
    by: Person
    followers: Sequence[Follower] = field(default=())
    most_cards: int = 30


def settle(
    connection: Any, moves: Iterable[Move], setting: Setting, now: datetime, by: Person | None = None
) -> bool:
    """Writes them; whether anything is otherwise than before. `by`: who made them change, if a person did."""
    real = [move for move in moves if move.step.alert != move.before]
    if not real:
        return False
    gone = [move.before.id for move in real if move.step.alert is None and move.before is not None]
    there = [
        (move.before, move.step.alert, move.step.changes) for move in real if move.step.alert is not None
    ]
    placed, storms = _placed(connection, there, setting, now)
    if gone:
        rows.forget(connection, gone)
    rows.save_all(connection, [(alert, before is None) for before, alert, _ in placed])
    told = [(alert, change) for _, alert, changes in placed for change in changes]
    for before, alert, changes in placed:
        _draw(connection, before, alert, changes, now)
    told += _weather(connection, placed, storms, now)
    rows.add_changes(connection, [change for _, change in told])
    for alert, change in told:
        for follower in setting.followers:
            follower.follow(connection, alert, change)
    append(connection, *_events(told, setting.by, by, now))
    return True


_Placed = tuple[Alert | None, Alert, tuple[Change, ...]]


def _placed(
    connection: Any, there: list[_Placed], setting: Setting, now: datetime
) -> tuple[list[_Placed], dict[str, Alert]]:
    """The same with the channel of those that begin, and their storm; and the storms that took some in."""
    waiting: dict[str, list[int]] = defaultdict(list)
    placed = list(there)
    for number, (before, alert, changes) in enumerate(there):
        if any(change.what in _BEGINNINGS for change in changes) and (
            before is None or not before.channel or before.storm or before.status == AlertStatus.PENDING
        ):
            channel = setting.route(alert)
            placed[number] = (before, replace(alert, channel=channel, storm=""), changes)
            if channel:
                waiting[channel].append(number)
    storms: dict[str, Alert] = {}
    for channel, numbers in waiting.items():
        # The worst first: they are to have messages of their own.
        numbers.sort(key=lambda number: -RANK.index(Severity(placed[number][1].severity)))
        storm = _storm_of(connection, channel)
        room = 0
        if storm is None or now - storm.last_at > STORM_RESTS:
            room = setting.most_cards - rows.opened_since(connection, channel, now - MINUTE)
        many = numbers[max(0, room) :]
        many = many[_spared(connection, channel, numbers, many, placed, setting, now) :]
        if not many:
            continue
        storm = storm or _new_storm(channel, now)
        storms[channel] = storm
        for number in many:
            before, alert, changes = placed[number]
            placed[number] = (before, replace(alert, storm=storm.id), changes)
    return placed, storms


def _spared(
    connection: Any,
    channel: str,
    numbers: Sequence[int],
    many: Sequence[int],
    placed: Sequence[_Placed],
    setting: Setting,
    now: datetime,
) -> int:
    """How many of the first of `many` are critical and have messages of their own even in a storm. The worst
    of `numbers` come first, and those before `many` have theirs."""
    critical = sum(1 for number in numbers if placed[number][1].severity == Severity.CRITICAL)
    own = len(numbers) - len(many)
    if critical <= own:
        return 0
    opened = own + rows.opened_since(connection, channel, now - MINUTE, Severity.CRITICAL)
    return min(critical - own, max(0, setting.most_cards // SPARED - opened))


def _storm_of(connection: Any, channel: str) -> Alert | None:
    mark = fingerprint(MAINT, {"storm": channel})
    found = rows.newest(connection, [mark]).get(mark)
    return found if found is not None and found.is_open else None


def _new_storm(channel: str, now: datetime) -> Alert:
    return Alert(
        fingerprint=fingerprint(MAINT, {"storm": channel}),
        source=MAINT,
        severity=Severity.INFO,
        status=AlertStatus.FIRING,
        title="Many alerts at once",
        channel=channel,
        labels={"storm": channel},
        count=0,
        opened_at=now,
        last_at=now,
        changed_at=now,
        version=0,
    )


def _weather(
    connection: Any, placed: Sequence[_Placed], taking: dict[str, Alert], now: datetime
) -> list[tuple[Alert, Change]]:
    """Brings the storms up to date whose alerts changed: how many, how bad, whether it is over."""
    told: list[tuple[Alert, Change]] = []
    new = {storm.id: storm for storm in taking.values()}
    members: dict[str, list[_Placed]] = defaultdict(list)
    for each in placed:
        if each[1].storm and each[2]:
            members[each[1].storm].append(each)
    for id_, theirs in members.items():
        stored = rows.by_id(connection, id_)
        storm = stored or new.get(id_)
        if storm is None or not storm.is_open:
            continue
        begun = [alert for _, alert, changes in theirs if any(c.what in _BEGINNINGS for c in changes)]
        worst = max(
            [storm.severity, *(alert.severity for alert in begun)], key=lambda s: RANK.index(Severity(s))
        )
        moved = replace(
            storm,
            count=storm.count + len(begun),
            last_at=now if begun else storm.last_at,
            severity=worst,
            version=storm.version + 1,
        )
        changes: tuple[Change, ...] = ()
        if stored is None:
            changes = (Change(alert=id_, at=now, what=What.OPENED, after=worst),)
        elif worst != storm.severity:
            moved = replace(moved, status=AlertStatus.FIRING, snoozed_until=None, wake_at=None)
            changes = (Change(alert=id_, at=now, what=What.SEVERITY, before=storm.severity, after=worst),)
        if not rows.open_members(connection, id_):
            over = resolved(moved, None, now)
            assert over.alert is not None
            moved, changes = over.alert, (*changes, *over.changes)
        rows.save(connection, moved, new=stored is None)
        _draw(connection, stored, moved, changes, now)
        told += [(moved, change) for change in changes]
    return told


def _draw(
    connection: Any, before: Alert | None, alert: Alert, changes: Sequence[Change], now: datetime
) -> None:
    """Has the alert's card drawn, or made when it has none yet; a storm's many have none of their own."""
    if not alert.channel or alert.storm or alert.status == AlertStatus.PENDING:
        return
    priority = max((_urgency(alert, change) for change in changes), default=0)
    had_one = (
        before is not None and before.channel and not before.storm and (before.status != AlertStatus.PENDING)
    )
    if had_one:
        cards.want(connection, alert.id, alert.version, priority)
    elif any(change.what in _BEGINNINGS for change in changes):
        cards.add(
            connection,
            Card(
                kind=cards.ALERT,
                correlation=alert.id,
                channel=alert.channel,
                created_at=now,
                wanted=alert.version,
                priority=priority,
            ),
        )


def _urgency(alert: Alert, change: Change) -> int:
    if change.what in (*_BEGINNINGS, What.SEVERITY, What.WOKE) and alert.severity == Severity.CRITICAL:
        return 3
    return _PRIORITY.get(What(change.what), 2)


def _events(
    told: Sequence[tuple[Alert, Change]], maint: Person, person: Person | None, now: datetime
) -> Iterable[Event]:
    """One for each change; of a storm's many, one for all that the same became of."""
    many: dict[tuple[str, str, bool], list[Alert]] = defaultdict(list)
    for alert, change in told:
        by = person if person and change.by_id else maint
        if alert.storm:
            many[alert.storm, change.what, bool(change.by_id)].append(alert)
            continue
        yield _event(
            by,
            now,
            change.what,
            alert.id,
            runbook=alert.runbook,
            targets=(alert.target,) if alert.target else (),
            details={
                "title": alert.title,
                "severity": alert.severity,
                "source": alert.source,
                "step": alert.step,
                "before": change.before,
                "after": change.after,
                "value": change.value,
                "note": change.note,
            },
        )
    for (storm, what, by_person), some in many.items():
        yield _event(
            person if person and by_person else maint,
            now,
            what,
            storm,
            targets=tuple(dict.fromkeys(alert.target for alert in some if alert.target))[:_NAMED],
            details={"alerts": len(some), "titles": [alert.title for alert in some[:_NAMED]]},
        )


def _event(by: Person, now: datetime, what: str, alert: str, **more: Any) -> Event:
    return done_by(by, f"alert.{what}", Outcome.OK, object=alert, correlation=alert, at=now, **more)
