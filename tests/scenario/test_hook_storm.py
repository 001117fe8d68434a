"""A storm: ten thousand alerts within a minute over HTTP. One message counts them, and none is lost."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from runbooks.records.records import Records
from runbooks.records.watch_tables import alert_changes, alerts
from tests.hooks.sending import payload, send, several
from tests.scenario.floor import Floor
from tests.scenario.test_hooks import hooked, start

MANY = 10_000
#: Alerts of one group: what Alertmanager sends in one body.
GROUP = 500
#: Messages that there may be of them: those of their own, and the one that counts.
CARDS = 6


async def counts(floor: Floor, column: Any) -> Counter[str]:
    """How many rows there are of each value."""
    records = await Records.open(str(floor.workplace.settings["database"]))
    query = select(column, func.count()).group_by(column)
    try:
        rows = await records.read(lambda connection: connection.execute(query).all())
        return Counter({str(name): number for name, number in rows})
    finally:
        await records.close()


@pytest.mark.timeout(180)
async def test_ten_thousand_alerts_are_one_message_and_ten_thousand_rows(any_floor: Floor) -> None:
    """Posted, counted, and all over again, some of it twice and at the same time."""
    floor = hooked(any_floor, alertmanager={})
    floor.workplace.settings["alerts"] = {"channel": "alerts", "storm": CARDS - 1}
    began = start(floor)
    firing = several(MANY, began)
    over = several(MANY, began, timedelta(minutes=9))
    async with floor.open() as server:

        async def post(alerts: list[dict[str, object]]) -> None:
            bodies = [payload(alerts[n : n + GROUP]) for n in range(0, MANY, GROUP)]
            answers = await asyncio.gather(*(send(server, body) for body in (*bodies, bodies[0])))
            assert {status for status, _ in answers} == {200}

        await post(firing)
        assert (await counts(floor, alerts.c.source))["alertmanager"] == MANY
        storm = await floor.card("Many alerts at once", "alerts")
        await floor.shows(storm, f"firing: \n{MANY - CARDS + 1:,}")
        await post(over)
        await floor.shows(storm, "resolved after", f"resolved: \n{MANY - CARDS + 1:,}")
        states, changes = await counts(floor, alerts.c.status), await counts(floor, alert_changes.c.what)

    posted = [each for each in floor.sandbox.messages("alerts") if not each.thread_ts]
    assert len(posted) == CARDS
    everything = MANY + 1  # and the storm itself
    assert states == {"resolved": everything}
    assert (changes["opened"], changes["resolved"]) == (everything, everything)
