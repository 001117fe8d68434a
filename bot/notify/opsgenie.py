"""Opsgenie: alerts by alias, and who is on call in one of its schedules.

https://docs.opsgenie.com/docs/alert-api, https://docs.opsgenie.com/docs/who-is-on-call-api
"""

from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr

from bot.notify.addresses import ServiceUrl
from bot.notify.delivery import Means, post
from bot.notify.reading import listing
from runbooks.records.notices import ACKNOWLEDGE, TRIGGER, NoticeRow
from runbooks.spec.model import Spec
from runbooks.visible import shorten

#: Characters that Opsgenie takes.
_MESSAGE, _DESCRIPTION, _SOURCE, _NOTE, _USER = 130, 15_000, 100, 25_000, 100
_PRIORITIES = {"critical": "P1", "warning": "P3", "info": "P5"}


class Opsgenie(Spec):
    """An API integration. In Europe `url` is https://api.eu.opsgenie.com."""

    type: Literal["opsgenie"]
    api_key: SecretStr = Field(min_length=1)
    url: ServiceUrl = "https://api.opsgenie.com"

    def secrets(self) -> tuple[str, ...]:
        """The key."""
        return (self.api_key.get_secret_value(),)

    async def deliver(self, notice: NoticeRow, means: Means) -> None:
        """Creates, acknowledges or closes the alert of that alias. Raises NotDelivered."""
        body, alias = notice.body, str(notice.body["key"])
        if body["action"] == TRIGGER:
            await self._send("/v2/alerts", _alert(body, alias, means.link), means)
            return
        word = "acknowledge" if body["action"] == ACKNOWLEDGE else "close"
        said: dict[str, Any] = {"source": "Maint", "note": shorten(str(body["text"]), _NOTE)}
        if body.get("by"):
            said["user"] = shorten(str(body["by"]), _USER)
        path = f"/v2/alerts/{quote(alias, safe='')}/{word}?identifierType=alias"
        await self._send(path, said, means)

    async def on_call(self, schedule: str, means: Means) -> tuple[str, ...]:
        """The e-mail addresses of who is on call in the schedule of that name. Raises NotDelivered."""
        path = f"/v2/schedules/{quote(schedule, safe='')}/on-calls?scheduleIdentifierType=name&flat=true"
        answer = await post(
            means, "Opsgenie", f"{self.url}{path}", method="GET", headers=self._authorization()
        )
        return tuple(map(str, listing("Opsgenie", answer, "data", "onCallRecipients")))

    async def _send(self, path: str, said: dict[str, Any], means: Means) -> None:
        await post(means, "Opsgenie", f"{self.url}{path}", json=said, headers=self._authorization())

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"GenieKey {self.api_key.get_secret_value()}"}


def _alert(body: Any, alias: str, link: str) -> dict[str, Any]:
    details = {str(name): str(value) for name, value in (body.get("labels") or {}).items()}
    return {
        "message": shorten(str(body["title"]), _MESSAGE),
        "alias": alias,
        "description": shorten("\n\n".join(filter(None, [str(body["text"]), link])), _DESCRIPTION),
        "priority": _PRIORITIES.get(str(body.get("severity")), "P3"),
        "entity": str(body.get("target") or ""),
        "source": shorten("Maint", _SOURCE),
        "tags": [str(body[name]) for name in ("runbook", "environment") if body.get(name)],
        "details": details,
    }
