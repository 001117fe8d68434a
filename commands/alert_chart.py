"""The chart of an alert: how what it is about went, in the thread of its message."""

from datetime import timedelta
from typing import Any

from commands.alert_card import is_charted, short_id
from commands.command import Services
from commands.reply import Paragraph, Reply
from runbooks.engine.decided import Verdict
from runbooks.errors import UsageError
from runbooks.records import outbox, trends
from runbooks.records.alerts import Alert
from runbooks.records.measurements import Series
from runbooks.status import Status
from runbooks.steps.chart import chart_letter, panel

#: So far back it goes.
SPAN = timedelta(days=1)


async def chart(services: Services, alert: Alert) -> Reply:
    """Has it drawn. Raises UsageError when there is nothing to draw, or nothing to draw with."""
    name = f"{alert.title} ({short_id(alert.id)})"
    if not services.charts:
        raise UsageError("Nothing can be drawn here: pip install 'maintbot[charts]'")
    if not is_charted(alert):
        raise UsageError(
            f"{name} has no chart: it is not of a number that Maint measures, or has no message of its own."
        )
    series, since = Series(**alert.labels), services.now() - SPAN

    def put(connection: Any) -> bool:
        found = trends.points(connection, [series], since).get(series, [])
        drawn = panel(alert.title, alert.unit, {alert.target: found}, since)
        if drawn is None:
            return False
        # Who presses twice while nothing new was measured gets one.
        key = f"chart:{alert.id}:{found[-1][0].isoformat()}"
        outbox.put(connection, alert.id, "chart", chart_letter([drawn], "chart.png"), key=key)
        return True

    if not await services.records.write(put):
        raise UsageError(f"{name} was measured too seldom since yesterday for a chart.")
    services.alerts.told()
    text = f"The last {SPAN.days * 24} hours of {name} are drawn in the thread of its message."
    return Reply(
        title="Noted",
        fallback=text,
        status=Status.OK,
        elements=(Paragraph(text),),
        data={"outcome": Verdict.COUNTED.value, "text": text, "alert": alert.id},
    )
