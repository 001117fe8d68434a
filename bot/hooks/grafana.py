"""Grafana's own alerting: the webhook of its contact points.

https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from bot.hooks.labels import Labelled
from bot.hooks.outside import number
from bot.hooks.told import Known, Told


class Grafana(Labelled):
    """A contact point of the type webhook, with Grafana's default payload."""

    type: Literal["grafana"] = "grafana"

    def read(self, name: str, body: Any, known: Known, now: datetime) -> Told:
        """What a body says. Raises Unreadable."""
        return self.told(name, body, known, now)

    def links(self, alert: Mapping[str, Any], annotations: Mapping[str, str]) -> Mapping[str, Any]:
        """The rule, its panel and dashboard, and Grafana's own form for a silence."""
        return {
            **super().links(alert, annotations),
            "Panel": alert.get("panelURL"),
            "Dashboard": alert.get("dashboardURL"),
            "Silence": alert.get("silenceURL"),
        }

    def value(self, alert: Mapping[str, Any]) -> float | None:
        """The value of the first query, in the order of their letters: the last ones are conditions."""
        values = alert.get("values")
        if not isinstance(values, Mapping) or not values:
            return None
        return number(values[min(values)])
