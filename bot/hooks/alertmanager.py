"""Alertmanager: its webhook (payload version 4), and where it is asked to be silent.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from bot.hooks.labels import Labelled
from bot.hooks.told import Known, Told, Unreadable
from runbooks.targets import Headers, HttpUrl, PrometheusTarget

_VERSION = "4"


class Alertmanager(Labelled):
    """One Alertmanager, or several that share their alerts. `api`: where silences are made, the one address
    that is ever called; what a payload says of addresses is only shown."""

    type: Literal["alertmanager"] = "alertmanager"
    api: HttpUrl | None = None
    headers: Headers = Field(default_factory=dict)

    def read(self, name: str, body: Any, known: Known, now: datetime) -> Told:
        """What a body says. Raises Unreadable."""
        version = body.get("version") if isinstance(body, Mapping) else _VERSION
        if version != _VERSION:
            raise Unreadable(f'This hook takes version "{_VERSION}" of Alertmanager\'s webhook only.')
        return self.told(name, body, known, now)

    def secrets(self) -> tuple[str, ...]:
        """The tokens, and what is said to the API."""
        return (*super().secrets(), *(value.get_secret_value() for value in self.headers.values()))

    def target(self, name: str) -> PrometheusTarget | None:
        """How its API is reached."""
        if self.api is None:
            return None
        return PrometheusTarget(name=name, type="prometheus", url=self.api, headers=self.headers)
