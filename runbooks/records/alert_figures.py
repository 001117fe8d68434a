"""How alerts went over a while: how many, how soon somebody had them and they were over, the noisiest."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from runbooks.records.alerts import AlertStatus
from runbooks.records.watch_tables import alert_changes, alerts

#: Rows that are looked through; a storm has more, and its mean is no other for it.
_MANY = 100_000
#: What counts as noise: it began, it began again, it went to and fro.
_NOISE = ("opened", "reopened", "flapping")


@dataclass(frozen=True, kw_only=True)
class AlertFigures:
    """`to_acknowledge` and `to_resolve` are means, over so many; None over none. `noisiest`: titles, each
    with how often it began or went to and fro, the most first."""

    opened: int
    acknowledged: int
    to_acknowledge: timedelta | None
    resolved: int
    to_resolve: timedelta | None
    noisiest: tuple[tuple[str, int], ...]


def figures(connection: Connection, since: datetime, until: datetime, most: int = 5) -> AlertFigures:
    """Of the alerts that opened, were taken and ended between those moments. A storm counts as the alerts
    that it stands for."""
    own = alerts.c
    # A storm is told of as an alert, and is none.
    real = (own.status != AlertStatus.PENDING) & own.id.not_in(
        select(own.storm).where(own.storm != "").scalar_subquery()
    )
    opened = connection.execute(select(own.id).where(real, own.opened_at >= since, own.opened_at < until))
    taken = connection.execute(
        select(own.opened_at, own.acked_at)
        .where(real, own.acked_at >= since, own.acked_at < until)
        .limit(_MANY)
    ).all()
    ended = connection.execute(
        select(own.opened_at, own.resolved_at)
        .where(real, own.resolved_at >= since, own.resolved_at < until)
        .limit(_MANY)
    ).all()
    noise = connection.execute(
        select(own.title)
        .join(alert_changes, alert_changes.c.alert == own.id)
        .where(real, alert_changes.c.what.in_(_NOISE))
        .where(alert_changes.c.at >= since, alert_changes.c.at < until)
        .limit(_MANY)
    )
    loud = sorted(Counter(noise.scalars()).items(), key=lambda each: (-each[1], each[0]))
    return AlertFigures(
        opened=len(opened.all()),
        acknowledged=len(taken),
        to_acknowledge=_mean([row.acked_at - row.opened_at for row in taken]),
        resolved=len(ended),
        to_resolve=_mean([row.resolved_at - row.opened_at for row in ended]),
        noisiest=tuple(loud[:most]),
    )


def _mean(lengths: list[timedelta]) -> timedelta | None:
    return sum(lengths, timedelta(0)) / len(lengths) if lengths else None
