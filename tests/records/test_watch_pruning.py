"""What is over of alerts and escalations goes after its time; what is open stays, however old."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select

from runbooks.ids import new_id
from runbooks.records import alerts as rows
from runbooks.records import ladders, notices, watch_pruning
from runbooks.records.alerts import Alert, Change
from runbooks.records.records import Records
from runbooks.records.watch_tables import alert_changes, alerts, freezes, reports, rotations_overrides
from runbooks.records.watch_tables import ladders as ladder_table
from runbooks.records.watch_tables import notices as notice_table

NOW = datetime.now(UTC)
OLD, YOUNG = NOW - timedelta(days=200), NOW - timedelta(days=20)


@pytest.fixture
async def kept(database_url: str) -> AsyncIterator[Records]:
    """A database of either kind."""
    records = await Records.open(database_url)
    yield records
    await records.close()


def add_alert(connection: Any, resolved_at: datetime | None, **more: Any) -> str:
    """An alert that opened long ago, with a timeline, a ladder and two notices; its id."""
    alert = Alert(
        fingerprint=new_id(),
        source="check",
        severity="warning",
        status="resolved" if resolved_at else "firing",
        title="Disk",
        opened_at=OLD,
        last_at=OLD,
        changed_at=OLD,
        resolved_at=resolved_at,
        **more,
    )
    rows.save(connection, alert, new=True)
    rows.add_changes(connection, [Change(alert=alert.id, at=OLD, what="opened")])
    ladders.begin(connection, ladders.ALERT, alert.id, OLD)
    for kind in ("mention", "pagerduty"):
        add_notice(connection, "alert", alert.id, kind, over=kind == "mention")
    return alert.id


def add_notice(connection: Any, about: str, subject: str, kind: str, *, over: bool) -> None:
    """A notice of long ago."""
    where = {"about": about, "subject": subject, "kind": kind, "target": "there"}
    notices.put(connection, notices.key_of(*where.values()), **where, body={}, at=OLD)
    if over:
        row = next(each for each in notices.of_subject(connection, about, subject) if each.kind == kind)
        notices.arrived(connection, row, OLD)


def count(connection: Any, table: Table) -> int:
    """Its rows."""
    return int(connection.scalar(select(func.count()).select_from(table)))


async def test_what_ended_long_ago_goes_with_all_that_became_of_it(kept: Records) -> None:
    """Timeline, ladder, notices. What ended lately, and what is open, keeps everything."""

    def put(connection: Any) -> None:
        for resolved_at in (OLD, YOUNG, None):
            add_alert(connection, resolved_at)

    def left(connection: Any) -> dict[str, int]:
        return {
            each.name: count(connection, each) for each in (alerts, alert_changes, ladder_table, notice_table)
        }

    await kept.write(put)
    removed = await kept.prune()

    assert removed["alerts"] == 1
    assert await kept.read(left) == {"alerts": 2, "alert_changes": 2, "ladders": 2, "notices": 4}
    assert (await kept.prune())["alerts"] == 0


async def test_what_a_storm_counts_stays_as_long_as_the_storm(kept: Records) -> None:
    """Its card would count fewer than it stood for."""
    storm = "01storm"
    await kept.write(lambda connection: add_alert(connection, OLD, storm=storm))
    still = await kept.write(lambda connection: add_alert(connection, None, storm=storm))
    assert (await kept.prune())["alerts"] == 0

    def over(connection: Any) -> None:
        connection.execute(alerts.update().where(alerts.c.id == still).values(resolved_at=YOUNG))

    await kept.write(over)
    assert (await kept.prune())["alerts"] == 1


async def test_only_what_is_over_goes(kept: Records) -> None:
    """Notices and ladders of questions, freezes, stand-ins, reports: not those that wait for something."""

    def put(connection: Any) -> None:
        for over in (True, False):
            add_notice(connection, "ask", f"a{over}", "dm", over=over)
            ladders.begin(connection, ladders.ASK, f"a{over}", OLD)
        connection.execute(ladder_table.update().where(ladder_table.c.subject == "aTrue").values(ended=True))
        frozen = {"targets": ["*"], "environments": [], "since": OLD, "until": OLD, "reason": "", "by_id": ""}
        for ended in (OLD, None):
            values = {**frozen, "id": new_id(), "by_name": "", "ended_at": ended, "ended_by": ""}
            connection.execute(insert(freezes).values(values))
        for until in (OLD, NOW):
            person = {"rotation": "ops", "person": "U1", "by_id": "", "by_name": ""}
            values = {**person, "id": new_id(), "since": OLD, "until": until}
            connection.execute(insert(rotations_overrides).values(values))
        for kind, days in (("digest", 0), ("digest", 1), ("weekly", 0)):
            about = {"runbook": "health", "kind": kind, "status": "ok", "counts": {}, "duration_ms": 1.0}
            place = {"posted_channel": "", "posted_ts": None, "previous": ""}
            values = {**about, **place, "id": new_id(), "started": OLD + timedelta(days=days)}
            connection.execute(insert(reports).values(values))

    await kept.write(put)
    removed = await kept.prune()

    names = ("notices", "ladders", "freezes", "rotations_overrides", "reports")
    assert {name: removed[name] for name in names} == dict.fromkeys(names, 1)
    assert {name: (await kept.prune())[name] for name in names} == dict.fromkeys(names, 0)


async def test_one_transaction_removes_few(kept: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for the lock."""
    monkeypatch.setattr(watch_pruning, "_ALERTS", 2)
    for _ in range(3):
        await kept.write(lambda connection: add_alert(connection, OLD))
    first = await kept.write(lambda connection: watch_pruning.prune_alerts(connection, YOUNG))

    assert first == 2
    assert (await kept.prune())["alerts"] == 1
