"""PagerDuty: Events API v2, and who is on call in one of its schedules.

https://developer.pagerduty.com/docs/events-api-v2/overview/
"""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from bot.notify.addresses import ServiceUrl
from bot.notify.delivery import Means, NotDelivered, post
from bot.notify.reading import listing
from runbooks.records.notices import TRIGGER, NoticeRow
from runbooks.spec.model import Spec
from runbooks.visible import shorten

#: Characters that PagerDuty takes.
_SUMMARY, _KEY = 1024, 255
_SEVERITIES = {"critical": "critical", "warning": "warning", "info": "info"}


class PagerDuty(Spec):
    """An integration of the type Events API v2. `api_key` only for `who: NAME:SCHEDULE`."""

    type: Literal["pagerduty"]
    routing_key: SecretStr = Field(min_length=1)
    api_key: SecretStr | None = None
    url: ServiceUrl = "https://events.pagerduty.com"
    api_url: ServiceUrl = "https://api.pagerduty.com"

    def secrets(self) -> tuple[str, ...]:
        """The keys."""
        keys = (self.routing_key, self.api_key)
        return tuple(key.get_secret_value() for key in keys if key is not None)

    async def deliver(self, notice: NoticeRow, means: Means) -> None:
        """Triggers, acknowledges or resolves: one incident from the beginning to the end. Raises
        NotDelivered."""
        body = notice.body
        event: dict[str, Any] = {
            "routing_key": self.routing_key.get_secret_value(),
            "event_action": body["action"],
            "dedup_key": str(body["key"])[:_KEY],
        }
        if body["action"] == TRIGGER:
            links = [{"href": means.link, "text": "The card in Slack"}] if means.link else []
            event |= {
                "client": "Maint",
                "links": [*links, *_links(body.get("links") or {})],
                "payload": {
                    "summary": shorten(str(body["title"]), _SUMMARY),
                    "source": str(body.get("target") or "maint"),
                    "severity": _SEVERITIES.get(str(body.get("severity")), "error"),
                    "timestamp": body["opened_at"],
                    "component": str(body.get("step") or ""),
                    "group": str(body.get("environment") or ""),
                    "class": str(body.get("runbook") or ""),
                    "custom_details": {
                        "summary": body.get("summary"),
                        "value": body.get("value"),
                        "labels": body.get("labels") or {},
                    },
                },
            }
        await post(means, "PagerDuty", f"{self.url}/v2/enqueue", json=event)

    async def on_call(self, schedule: str, means: Means) -> tuple[str, ...]:
        """The e-mail addresses of who is on call in a schedule, those of the first level. Raises
        NotDelivered."""
        if self.api_key is None:
            raise NotDelivered("PagerDuty is asked who is on call with an `api_key`", for_good=True)
        query = urlencode({"schedule_ids[]": schedule, "include[]": "users", "earliest": "true"}, safe="[]")
        answer = await post(
            means,
            "PagerDuty",
            f"{self.api_url}/oncalls?{query}",
            method="GET",
            headers={
                "Authorization": f"Token token={self.api_key.get_secret_value()}",
                "Accept": "application/vnd.pagerduty+json;version=2",
            },
        )
        shifts = listing("PagerDuty", answer, "oncalls")
        first = min((shift.get("escalation_level") or 1 for shift in shifts), default=1)
        found = [
            str((shift.get("user") or {}).get("email") or "")
            for shift in shifts
            if (shift.get("escalation_level") or 1) == first
        ]
        return tuple(dict.fromkeys(address for address in found if address))


def _links(links: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {"href": url, "text": name} for name, url in links.items() if url.startswith(("https://", "http://"))
    ]
