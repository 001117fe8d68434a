"""What is over of alerts, escalations, freezes and reports goes, batch by batch; what is open never does."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Table, and_, delete, or_, select

from runbooks.records.ladders import ALERT
from runbooks.records.pruning import BATCH
from runbooks.records.watch_tables import (
    alert_changes,
    alerts,
    freezes,
    ladders,
    notices,
    reports,
    rotations_overrides,
)

#: Alerts that one transaction removes: each has a timeline, a ladder and notices.
_ALERTS = BATCH // 10


def prune_alerts(connection: Connection, before: datetime) -> int:
    """Removes one batch of alerts that ended longer ago, with all that became of them; how many there were.
    Those of a storm that goes on stay: it counts them."""
    open_storms = select(alerts.c.storm).where(alerts.c.storm != "", alerts.c.resolved_at.is_(None))
    old = (
        select(alerts.c.id)
        .where(alerts.c.resolved_at < before, alerts.c.storm.not_in(open_storms))
        .order_by(alerts.c.resolved_at)
        .limit(_ALERTS)
    )
    ids = list(connection.scalars(old))
    if ids:
        connection.execute(delete(alert_changes).where(alert_changes.c.alert.in_(ids)))
        for table in (notices, ladders):
            connection.execute(delete(table).where(table.c.about == ALERT, table.c.subject.in_(ids)))
        connection.execute(delete(alerts).where(alerts.c.id.in_(ids)))
    return len(ids)


def prune_notices(connection: Connection, before: datetime) -> int:
    """Removes one batch of notices that arrived, or were given up, and are older; how many there were. Those
    of an alert go with it: whoever heard of its beginning is to hear of its end."""
    over = and_(notices.c.wake_at.is_(None), notices.c.created_at < before, notices.c.about != ALERT)
    return _prune(connection, notices, notices.c.id, over)


def prune_ladders(connection: Connection, before: datetime) -> int:
    """Removes one batch of escalations of questions that were answered longer ago; how many there were."""
    over = and_(ladders.c.ended.is_(True), ladders.c.due_at < before, ladders.c.about != ALERT)
    return _prune(connection, ladders, ladders.c.subject, over)


def prune_freezes(connection: Connection, before: datetime) -> int:
    """Removes one batch of freezes that ended longer ago; how many there were."""
    return _prune(connection, freezes, freezes.c.id, freezes.c.ended_at < before)


def prune_overrides(connection: Connection, before: datetime) -> int:
    """Removes one batch of stand-ins whose time was over longer ago; how many there were."""
    table = rotations_overrides
    return _prune(connection, table, table.c.id, table.c.until < before)


def prune_reports(connection: Connection, before: datetime) -> int:
    """Removes one batch of reports that are older, but of none the newest of its kind: what comes next is
    held against it. How many there were."""
    later = reports.alias("later")
    newest = ~(
        select(later.c.id)
        .where(later.c.runbook == reports.c.runbook, later.c.kind == reports.c.kind)
        .where(
            or_(
                later.c.started > reports.c.started,
                and_(later.c.started == reports.c.started, later.c.id > reports.c.id),
            )
        )
        .exists()
    )
    return _prune(connection, reports, reports.c.id, and_(reports.c.started < before, ~newest))


def _prune(connection: Connection, table: Table, key: Column[Any], which: Any) -> int:
    old = select(key).where(which).limit(BATCH)
    statement = delete(table).where(key.in_(old.scalar_subquery()))
    return len(connection.execute(statement.returning(key)).all())
