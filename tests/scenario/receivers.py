"""Everybody outside of Slack who may be told: a PagerDuty, a webhook, a mail server; what arrived there."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.notify.conftest import Vendor, vendor
from tests.notify.test_email import Mailbox, listening


@dataclass
class Receivers:
    """Real servers on loopback. What comes twice with one id is one: that is what the id is for."""

    vendor: Vendor
    mailbox: Mailbox
    mail_port: int

    def services(self) -> dict[str, Any]:
        """They as maint.yaml names them."""
        hook = {"url": f"{self.vendor.url}/hook", "secret": "a secret of many letters"}
        return {
            "pager": {"type": "pagerduty", "routing_key": "r" * 32, "url": self.vendor.url},
            "hook": {"type": "webhook", **hook},
            "mail": {
                "type": "email",
                "host": "127.0.0.1",
                "port": self.mail_port,
                "tls": "none",
                "from": "maint@example.com",
                "to": ["ops@example.com"],
            },
        }

    def paged(self) -> list[tuple[str, str]]:
        """What PagerDuty was told, in order: the action, and the incident."""
        calls = [said for _, path, _, said in self.vendor.calls if path == "/v2/enqueue"]
        return list(dict.fromkeys((said["event_action"], said["dedup_key"]) for said in calls))

    def hooked(self) -> list[tuple[str, int]]:
        """What the webhook was told, in order: the action, and the level."""
        calls = {
            headers["webhook-id"]: (said["action"], said.get("level", 0))
            for _, path, headers, said in self.vendor.calls
            if path == "/hook"
        }
        return list(calls.values())

    def mailed(self) -> Counter[str]:
        """The messages, by what their subject says."""
        subjects = {each["Message-ID"]: str(each["Subject"]) for each in self.mailbox.messages}
        return Counter(subjects.values())


@asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    """All of them, on ports of their own."""
    mailbox = Mailbox()
    async with vendor() as them, listening(mailbox) as port:
        yield Receivers(them, mailbox, port)
