"""The moments at which a schedule fires. Each time on the wall comes once, whatever is done to the clock.

A time that the clock jumps over comes at the first moment after the jump; of one that it shows twice the
first one counts. Intervals know no clock on the wall: they are counted from 1970-01-01 00:00 UTC, so that
every replica counts alike.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from runbooks.spec.head import Schedule
from runbooks.spec.when import local_times
from runbooks.spec.window import Window, read_window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: No clock was ever turned by more: Samoa left out a whole day.
_LONGEST_JUMP = timedelta(hours=25)


@dataclass(frozen=True, order=True)
class Fire:
    """One time of a schedule. `local`: as the file means it, which names it: on the wall, or for intervals in
    UTC with a Z."""

    at: datetime
    local: str


@dataclass(frozen=True, kw_only=True)
class FireTimes:
    """When it fires: by `cron` on the wall in a zone, or `every` so often."""

    cron: str = ""
    every: timedelta | None = None
    timezone: str = "UTC"

    def after(self, moment: datetime) -> Iterator[Fire]:
        """Every fire after that moment, in order; those that come at one moment are one."""
        if self.every is not None:
            return _intervals(self.every, moment)
        return _one_each(on_the_wall(self.cron, ZoneInfo(self.timezone), moment), moment)


def fire_times(schedule: Schedule) -> FireTimes:
    """When that schedule of a runbook fires, jitter aside."""
    return FireTimes(cron=schedule.expression, every=schedule.every, timezone=schedule.timezone)


def on_the_wall(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each time on the wall with its moment, from a little before that moment on."""
    here = after.astimezone(zone).replace(tzinfo=None)
    before = (after - _LONGEST_JUMP).astimezone(zone).replace(tzinfo=None)
    # What a jump of the clock left out belongs to a moment after it.
    jumped = here - before != _LONGEST_JUMP
    start = before if jumped else here.replace(microsecond=0) - timedelta(seconds=1)
    for local in local_times(cron, start):
        yield moment_of(local, zone), local


def moment_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which the clock shows that time, or has jumped over it."""
    moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == local:
        return moment
    # With fold=1 a time that there is not is read with what is true after the jump: a moment before it.
    early, late = local.replace(tzinfo=zone, fold=1).astimezone(UTC), moment
    offset = late.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late


def opening(window: Window, now: datetime) -> tuple[datetime, datetime]:
    """When the window that is open at that moment opened, or the next one opens; and when it closes."""
    opens, closes = read_window(window.on)
    # No window is open for longer than a day, and a day has at most 25 hours and a jump.
    since = now - 2 * _LONGEST_JUMP
    for fire in FireTimes(cron=opens, timezone=window.timezone).after(since):
        end = next_fire(FireTimes(cron=closes, timezone=window.timezone), fire.at)
        if end is not None and end.at > now:
            return fire.at, end.at
    raise ValueError(f"the window {window.words} never opens")


def _one_each(found: Iterator[tuple[datetime, datetime]], after: datetime) -> Iterator[Fire]:
    """One fire for each moment: those that a jump left out and that come together are one."""
    kept: tuple[datetime, datetime] | None = None
    for moment, local in found:
        if moment <= after:
            continue
        if kept is not None and moment > kept[0]:
            yield _named(*kept)
            kept = None
        if kept is None:
            kept = (moment, local)
    if kept is not None:
        yield _named(*kept)


def _named(moment: datetime, local: datetime) -> Fire:
    return Fire(moment, local.isoformat(timespec="minutes"))


def _intervals(every: timedelta, after: datetime) -> Iterator[Fire]:
    count = (after - _EPOCH) // every
    while True:
        count += 1
        at = _EPOCH + count * every
        yield Fire(at, f"{at:%Y-%m-%dT%H:%M:%S}Z")


def next_fire(times: FireTimes, after: datetime) -> Fire | None:
    """The first fire after that moment."""
    return next(times.after(after), None)


def delay(id_: str, jitter: timedelta | None) -> timedelta:
    """By how much that fire is late on purpose: by chance, and the same on every replica."""
    if jitter is None:
        return timedelta(0)
    share = int.from_bytes(hashlib.sha256(id_.encode()).digest()[:6]) / 2**48
    return timedelta(seconds=int(share * jitter.total_seconds()))
