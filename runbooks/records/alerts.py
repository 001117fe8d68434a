"""Alerts as they stand in the database, and what became of each: read, locked, saved."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, text, update

from runbooks.ids import new_id
from runbooks.records.database import scrubber_of
from runbooks.records.watch_tables import alert_changes, alerts
from runbooks.scrub import scrubbed

#: "alerts" in ASCII: the advisory lock of who changes alerts on PostgreSQL.
_LOCK = 0x616C65727473
#: Fingerprints that one query asks for: SQLite takes 32,766 parameters, and plans for few are quick.
_AT_ONCE = 500
#: Changes that a card or a list shows of one alert.
MOST_CHANGES = 50
#: What becomes of an alert that its sender keeps back, and what ends that.
_SILENT, _NOT_SILENT = "silenced", ("unsilenced", "woke", "reopened")
#: What only escalation writes.
_LADDER = frozenset({"policy", "level", "level_round", "level_at"})
#: One statement for all that changed: written out for each, it would take longer than it does.
_CHANGE = (
    update(alerts)
    .where(alerts.c.id == bindparam("which"))
    .values({each.name: bindparam(each.name) for each in alerts.c if each.name not in {"id", *_LADDER}})
)


class AlertStatus(StrEnum):
    """Where an alert stands."""

    PENDING = "pending"  #: bad, but not for long enough: nobody is told
    FIRING = "firing"  #: told, and nobody has taken it
    ACKNOWLEDGED = "acknowledged"  #: somebody is at it
    SNOOZED = "snoozed"  #: nobody is told for a while
    RESOLVED = "resolved"  #: over


class Severity(StrEnum):
    """How bad it is."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


#: From the least to the worst.
RANK = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One row: one trouble. `flaps` are the moments at which it went from well to bad or back. `count` is how
    often it was seen bad; of a storm, how many alerts it stands for. `expected_by`: when it should have been
    looked at again; `stale`: it was not."""

    id: str = field(default_factory=new_id)
    fingerprint: str
    source: str
    external_key: str = ""
    severity: str
    status: str
    title: str
    summary: str = ""
    value: float | None = None
    unit: str = ""
    runbook: str = ""
    step: str = ""
    target: str = ""
    environment: str = ""
    owner: str = ""
    channel: str = ""
    storm: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    opened_at: datetime
    last_at: datetime
    changed_at: datetime
    resolved_at: datetime | None = None
    resolved_by: str = ""
    resolve_reason: str = ""
    acked_by_id: str = ""
    acked_by_name: str = ""
    acked_at: datetime | None = None
    snoozed_until: datetime | None = None
    pending_since: datetime | None = None
    clear_since: datetime | None = None
    flaps: tuple[datetime, ...] = ()
    flapping: bool = False
    expected_by: datetime | None = None
    stale: bool = False
    policy: str = ""
    level: int = 0
    level_round: int = 0
    level_at: datetime | None = None
    wake_at: datetime | None = None
    version: int = 1

    @property
    def is_open(self) -> bool:
        """Whether it goes on; one that is pending does."""
        return self.resolved_at is None


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of an alert, when and by whom; `before` and `after` say of what kind it is."""

    alert: str
    at: datetime
    what: str
    before: str = ""
    after: str = ""
    value: float | None = None
    by_id: str = ""
    by_name: str = ""
    note: str = ""
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, kw_only=True)
class AlertView:
    """An alert for its card. `members`: of a storm, its alerts counted by status and severity."""

    alert: Alert
    changes: tuple[Change, ...] = ()  # oldest first
    members: Mapping[tuple[str, str], int] = field(default_factory=dict)
    silence: Change | None = None  # by which its sender keeps it back


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which alerts to list: all that is set must fit. Of no `statuses`, those that are open."""

    statuses: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    runbooks: tuple[str, ...] = ()
    storm: str = ""  # the last letters of its id are enough
    limit: int = 200


def hold(connection: Connection) -> None:
    """Nobody else changes alerts until the transaction ends. To be held before the log is written to: who has
    that waits for nobody."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def newest(connection: Connection, fingerprints: Iterable[str]) -> dict[str, Alert]:
    """The open alert of each fingerprint, or else the last one that there was."""
    wanted = sorted(set(fingerprints))
    found: dict[str, Alert] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        place = func.row_number().over(
            partition_by=alerts.c.fingerprint,
            order_by=(
                alerts.c.resolved_at.is_(None).desc(),
                alerts.c.external_key.desc(),
                alerts.c.opened_at.desc(),
                alerts.c.id.desc(),
            ),
        )
        these = alerts.c.fingerprint.in_(wanted[start : start + _AT_ONCE])
        ranked = select(alerts.c.id, place.label("place")).where(these).subquery()
        query = select(alerts).join(ranked, ranked.c.id == alerts.c.id).where(ranked.c.place == 1)
        found |= {row.fingerprint: _alert(row) for row in connection.execute(query)}
    return found


def by_id(connection: Connection, id_: str) -> Alert | None:
    """The alert of that id."""
    row = connection.execute(select(alerts).where(alerts.c.id == id_)).first()
    return _alert(row) if row else None


def ending_in(connection: Connection, letters: str) -> tuple[Alert, ...]:
    """The alerts whose id ends so; at most two."""
    letters = letters.lower()
    query = select(alerts).where(func.substr(alerts.c.id, -len(letters)) == letters)
    if connection.dialect.name == "postgresql":
        query = select(alerts).where(func.right(alerts.c.id, len(letters)) == letters)
    return tuple(map(_alert, connection.execute(query.where(_told()).limit(2))))


def save(connection: Connection, alert: Alert, *, new: bool) -> None:
    """Writes an alert as it is now; what escalation keeps of it stays as it stands."""
    save_all(connection, [(alert, new)])


def save_all(connection: Connection, them: Sequence[tuple[Alert, bool]]) -> None:
    """Writes alerts as they are now, each with whether it is new."""
    scrub = _once_each(connection)
    rows = [(scrubbed(_row(alert), scrub), new) for alert, new in them]
    added = [row for row, new in rows if new]
    if added:
        connection.execute(insert(alerts), added)
    changed = [row | {"which": row["id"]} for row, new in rows if not new]
    if changed:
        connection.execute(_CHANGE, changed)


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Removes alerts that never opened."""
    gone = alerts.c.id.in_(ids) & (alerts.c.status == AlertStatus.PENDING)
    connection.execute(delete(alerts).where(gone))


def add_changes(connection: Connection, changes: Sequence[Change]) -> None:
    """Adds to what became of alerts."""
    if changes:
        scrub = _once_each(connection)
        connection.execute(insert(alert_changes), [scrubbed(vars(change), scrub) for change in changes])


def view(connection: Connection, id_: str) -> AlertView | None:
    """The alert, for its card."""
    alert = by_id(connection, id_)
    if alert is None:
        return None
    query = (
        select(alert_changes)
        .where(alert_changes.c.alert == id_)
        .order_by(alert_changes.c.at.desc(), alert_changes.c.id.desc())
        .limit(MOST_CHANGES)
    )
    changes = [Change(**row._mapping) for row in connection.execute(query)]
    counts = (
        select(alerts.c.status, alerts.c.severity, func.count())
        .where(alerts.c.storm == id_, alerts.c.storm != "")
        .group_by(alerts.c.status, alerts.c.severity)
    )
    members = {(status, severity): count for status, severity, count in connection.execute(counts)}
    return AlertView(
        alert=alert,
        changes=tuple(reversed(changes)),
        members=members,
        silence=_silence(connection, id_) if alert.is_open else None,
    )


def _silence(connection: Connection, id_: str) -> Change | None:
    """The change by which its sender was told to keep it back: `before` is the silence's id there, `after`
    its end. None when that is over."""
    query = (
        select(alert_changes)
        .where(alert_changes.c.alert == id_, alert_changes.c.what.in_((_SILENT, *_NOT_SILENT)))
        .order_by(alert_changes.c.at.desc(), alert_changes.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return Change(**row._mapping) if row is not None and row.what == _SILENT else None


def kept_back(connection: Connection, sources: Sequence[str]) -> tuple[Alert, ...]:
    """The open alerts of those sources of which nobody hears for a while."""
    quiet = (alerts.c.status == AlertStatus.SNOOZED) & alerts.c.wake_at.is_not(None)
    query = select(alerts).where(alerts.c.source.in_(sources), quiet)
    return tuple(map(_alert, connection.execute(query.order_by(alerts.c.id).limit(_AT_ONCE))))


def listed(connection: Connection, wanted: Wanted) -> tuple[Alert, ...]:
    """Those alerts, the newest first."""
    query = select(alerts).where(_told())
    if wanted.statuses:
        query = query.where(alerts.c.status.in_(wanted.statuses))
    else:
        query = query.where(alerts.c.resolved_at.is_(None))
    for column, names in (
        (alerts.c.severity, wanted.severities),
        (alerts.c.target, wanted.targets),
        (alerts.c.runbook, wanted.runbooks),
    ):
        if names:
            query = query.where(column.in_(names))
    if wanted.storm:
        query = query.where(alerts.c.storm.endswith(wanted.storm, autoescape=True))
    newest_first: Select[Any] = query.order_by(alerts.c.opened_at.desc(), alerts.c.id.desc())
    return tuple(map(_alert, connection.execute(newest_first.limit(wanted.limit))))


def members_of(connection: Connection, storm: str) -> tuple[Alert, ...]:
    """The alerts that a storm stands for and that are open."""
    query = select(alerts).where(alerts.c.storm == storm, alerts.c.resolved_at.is_(None), _told())
    return tuple(map(_alert, connection.execute(query.order_by(alerts.c.id))))


def open_members(connection: Connection, storm: str) -> int:
    """How many of them there are."""
    query = select(func.count()).where(alerts.c.storm == storm, alerts.c.resolved_at.is_(None), _told())
    return connection.scalar(query) or 0


def opened_since(connection: Connection, channel: str, since: datetime, severity: str = "") -> int:
    """How many alerts with a card of their own, of that severity, began to be told in that channel since
    then."""
    query = (
        select(func.count(func.distinct(alert_changes.c.alert)))
        .join(alerts, alerts.c.id == alert_changes.c.alert)
        .where(alerts.c.channel == channel, alerts.c.storm == "", alert_changes.c.at > since)
        .where(alert_changes.c.what.in_(("opened", "reopened")))
    )
    if severity:
        query = query.where(alerts.c.severity == severity)
    return connection.scalar(query) or 0


def due(connection: Connection, now: datetime) -> tuple[str, ...]:
    """The alerts whose own moment has come."""
    query = select(alerts.c.id).where(alerts.c.wake_at.is_not(None), alerts.c.wake_at <= now)
    return tuple(connection.scalars(query.order_by(alerts.c.wake_at).limit(_AT_ONCE)))


def _once_each(connection: Connection) -> Callable[[str], str]:
    """Removes secrets from texts; of a storm's many alerts most say the same."""
    return cache(scrubber_of(connection))


def unwatched(connection: Connection, now: datetime) -> tuple[str, ...]:
    """The alerts that nobody has looked at although it was time to."""
    query = select(alerts.c.id).where(alerts.c.expected_by.is_not(None), alerts.c.expected_by <= now)
    return tuple(connection.scalars(query.order_by(alerts.c.expected_by).limit(_AT_ONCE)))


def _told() -> Any:
    return alerts.c.status != AlertStatus.PENDING


def _row(alert: Alert) -> dict[str, Any]:
    row = {each.name: getattr(alert, each.name) for each in fields(alert)}
    texts = {name: dict(row[name]) for name in ("labels", "annotations", "links")}
    return {**row, **texts, "flaps": [flap.isoformat() for flap in alert.flaps]}


def _alert(row: Row[Any]) -> Alert:
    values = dict(row._mapping)
    return Alert(**{**values, "flaps": tuple(map(datetime.fromisoformat, values["flaps"]))})
