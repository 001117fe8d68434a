"""How the week was: of each check against the week before and the baseline, and of alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from runbooks.records import trends
from runbooks.records.alert_figures import figures
from runbooks.records.buckets import Bucket, merged
from runbooks.records.measurements import Series
from runbooks.spec.runbook import Runbook
from runbooks.status import Status
from runbooks.watch.desk import plain_checks

WEEK = timedelta(days=7)
#: What a week is held against besides the one before: the four weeks before it.
BASELINE = timedelta(days=28)


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """Half, 95 and 99 of a hundred were not above these."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, kw_only=True)
class CheckWeek:
    """One check: this week, the week before, and the baseline, as far as there was any."""

    name: str
    unit: str
    week: Percentiles
    last_week: Percentiles | None = None
    baseline: Percentiles | None = None


@dataclass(frozen=True, kw_only=True)
class Uptime:
    """The share of looks at a target that found it working: what is unknown did not. `unknown`: the share of
    those that nobody could judge."""

    target: str
    looks: int
    up: float
    unknown: float


@dataclass(frozen=True, kw_only=True)
class Weekly:
    """The weekly form. Means in seconds; None over nothing."""

    title: str
    since: datetime
    until: datetime
    checks: tuple[CheckWeek, ...]
    uptime: tuple[Uptime, ...]  # the worst first
    opened: int
    acknowledged: int
    to_acknowledge_s: float | None
    resolved: int
    to_resolve_s: float | None
    noisiest: tuple[tuple[str, int], ...]

    @property
    def status(self) -> Status | None:
        """A warning when a target was not always up; None when nothing was looked at."""
        if not self.uptime:
            return None
        return Status.OK if all(each.up == 1 for each in self.uptime) else Status.WARNING


_WEEKLY = TypeAdapter(Weekly)


def weekly_body(weekly: Weekly) -> dict[str, Any]:
    """The form as the database keeps it."""
    body: dict[str, Any] = _WEEKLY.dump_python(weekly, mode="json")
    return body


def read_weekly(body: Mapping[str, Any]) -> Weekly:
    """The form of such a body."""
    return _WEEKLY.validate_python(body)


def weekly(connection: Any, runbook: Runbook, now: datetime) -> Weekly:
    """The seven days before that moment, of one runbook's checks, and of all alerts."""
    since = now - WEEK
    week = trends.buckets(connection, runbook.name, since, now)
    last = trends.buckets(connection, runbook.name, since - WEEK, since)
    base = trends.buckets(connection, runbook.name, since - BASELINE, since)
    titles = {step.id: step.title for step in plain_checks(runbook.steps)}
    found = figures(connection, since, now)
    return Weekly(
        title=runbook.title,
        since=since,
        until=now,
        checks=tuple(
            CheckWeek(
                name=f"{series.target} {titles.get(series.step, series.step)}",
                unit=bucket.unit,
                week=here,
                last_week=_percentiles(last.get(series)),
                baseline=_percentiles(base.get(series)),
            )
            for series, bucket in sorted(week.items(), key=lambda each: _place(each[0], titles))
            if (here := _percentiles(bucket))
        ),
        uptime=tuple(_uptimes(week)),
        opened=found.opened,
        acknowledged=found.acknowledged,
        to_acknowledge_s=found.to_acknowledge.total_seconds() if found.to_acknowledge else None,
        resolved=found.resolved,
        to_resolve_s=found.to_resolve.total_seconds() if found.to_resolve else None,
        noisiest=found.noisiest,
    )


def _place(series: Series, titles: Mapping[str, str]) -> tuple[int, str, str]:
    """In the order of the runbook; what is no step of it any more comes last."""
    known = list(titles)
    return (known.index(series.step) if series.step in titles else len(known), series.step, series.target)


def _percentiles(bucket: Bucket | None) -> Percentiles | None:
    if bucket is None or bucket.p50 is None or bucket.p95 is None or bucket.p99 is None:
        return None
    return Percentiles(p50=bucket.p50, p95=bucket.p95, p99=bucket.p99)


def _uptimes(week: Mapping[Series, Bucket]) -> list[Uptime]:
    by_target: dict[str, list[Bucket]] = {}
    for series, bucket in week.items():
        by_target.setdefault(series.target, []).append(bucket)
    found = []
    for target, buckets in by_target.items():
        whole = merged(buckets)
        if whole.up is not None:
            share = whole.unknown / whole.judged
            found.append(Uptime(target=target, looks=whole.judged, up=whole.up, unknown=share))
    return sorted(found, key=lambda each: (each.up, each.target))
