"""Which backups are kept: so many days, weeks, months and years (grandfather, father, son). Pure.

A tier keeps the newest backup of each of its newest periods that have one: it counts periods with a backup,
not time that went by. So no clock makes a backup old: after a year without backups all are still there. What
is dated after `now` counts for nothing and is kept: a clock that jumps, there or back, deletes nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runbooks.backups.backup import Backup


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Of how many periods the newest backup is kept."""

    daily: int = 7
    weekly: int = 4
    monthly: int = 12
    yearly: int = 7


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Why a backup is kept, in words; without a reason it goes."""

    backup: Backup
    reasons: tuple[str, ...]

    @property
    def goes(self) -> bool:
        """Whether it is to be removed."""
        return not self.reasons


def _day(moment: datetime) -> Hashable:
    return moment.date()


def _week(moment: datetime) -> Hashable:
    year, week, _ = moment.isocalendar()
    return year, week


def _month(moment: datetime) -> Hashable:
    return moment.year, moment.month


def _year(moment: datetime) -> Hashable:
    return moment.year


def decide(backups: Iterable[Backup], keep: Keep, now: datetime) -> tuple[Decision, ...]:
    """What becomes of each that is not removed yet, newest first. Those of one target, database and kind are
    judged together: a dump of the schema alone takes no full one's place."""
    series: defaultdict[Hashable, list[Backup]] = defaultdict(list)
    for backup in backups:
        if backup.removed_at is None:
            series[backup.target, backup.database, backup.kind].append(backup)
    decided = [decision for one in series.values() for decision in _decide(one, keep, now)]
    return tuple(sorted(decided, key=lambda each: _age(each.backup), reverse=True))


def _age(backup: Backup) -> tuple[datetime, str]:
    return backup.taken_at, backup.id


def _decide(backups: Sequence[Backup], keep: Keep, now: datetime) -> Iterable[Decision]:
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    ordered = sorted(backups, key=_age, reverse=True)
    for backup in _unless_gone(ordered, now):
        reasons[backup[0]].append(backup[1])
    counted = [backup for backup in ordered if backup.taken_at <= now]
    tiers: tuple[tuple[str, int, Callable[[datetime], Hashable]], ...] = (
        ("daily", keep.daily, _day),
        ("weekly", keep.weekly, _week),
        ("monthly", keep.monthly, _month),
        ("yearly", keep.yearly, _year),
    )
    for name, count, period in tiers:
        for place, id_ in enumerate(_newest_of_each(counted, period)[: max(0, count)], 1):
            reasons[id_].append(f"{name} {place} of {count}")
    return [Decision(backup=backup, reasons=tuple(reasons[backup.id])) for backup in ordered]


def _unless_gone(ordered: Sequence[Backup], now: datetime) -> Iterable[tuple[str, str]]:
    """What is kept whatever the tiers say."""
    counted = [backup for backup in ordered if backup.taken_at <= now]
    if ordered:
        yield ordered[0].id, "the newest"
    if counted and counted[0] is not ordered[0]:
        yield counted[0].id, "the newest that is not of the future"
    proven = [backup for backup in ordered if backup.proven_at is not None]
    if proven:
        yield max(proven, key=lambda each: (each.proven_at, *_age(each))).id, "the last one proven"
        yield proven[0].id, "the newest that was ever proven"
    restored = [backup for backup in ordered if backup.restored_at is not None]
    if restored:
        yield max(restored, key=lambda each: (each.restored_at, *_age(each))).id, "the last one restored"
    for backup in ordered:
        if backup.hold:
            yield backup.id, f"on hold: {backup.hold}"
        if backup.taken_at > now:
            yield backup.id, "its time is yet to come: look at the clocks"


def _newest_of_each(ordered: Sequence[Backup], period: Callable[[datetime], Hashable]) -> list[str]:
    newest: dict[Hashable, str] = {}
    for backup in ordered:
        newest.setdefault(period(backup.taken_at.astimezone(UTC)), backup.id)
    return list(newest.values())
