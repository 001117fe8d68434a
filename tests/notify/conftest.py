"""Servers that speak what the vendors document, on loopback, and rows to deliver to them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.notify.delivery import Means
from runbooks.records.notices import NoticeRow

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Vendor:
    """A server that notes what it was told, and answers what the documentation shows."""

    url: str = ""
    calls: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    #: What it answers next instead, one after the other.
    trouble: list[web.Response] = field(default_factory=list)
    #: PagerDuty's incidents, Opsgenie's alerts: key -> state.
    incidents: dict[str, str] = field(default_factory=dict)

    async def events(self, request: web.Request) -> web.Response:
        """PagerDuty, POST /v2/enqueue."""
        event = await self._noted(request)
        if self.trouble:
            return self.trouble.pop(0)
        key = event.get("routing_key", "")
        if len(key) != 32:
            errors = ["Length of 'routing_key' is incorrect (should be 32 characters)"]
            said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return web.json_response(said, status=400)
        action, dedup = event["event_action"], event["dedup_key"]
        if action == "trigger":
            assert {"summary", "source", "severity"} <= set(event["payload"])
            assert event["payload"]["severity"] in {"critical", "error", "warning", "info"}
            assert len(event["payload"]["summary"]) <= 1024
            self.incidents.setdefault(dedup, "triggered")
        elif dedup in self.incidents:
            self.incidents[dedup] = {"acknowledge": "acknowledged", "resolve": "resolved"}[action]
        said = {"status": "success", "message": "Event processed", "dedup_key": dedup}
        return web.json_response(said, status=202)

    async def oncalls(self, request: web.Request) -> web.Response:
        """PagerDuty, GET /oncalls."""
        await self._noted(request)
        if request.headers.get("Authorization") != "Token token=restkey":
            return web.json_response({"error": {"message": "Unauthorized", "code": 2006}}, status=401)
        wanted = request.query.getall("schedule_ids[]")
        shifts = [
            {"escalation_level": 2, "schedule": {"id": wanted[0]}, "user": {"email": "boss@example.com"}},
            {"escalation_level": 1, "schedule": {"id": wanted[0]}, "user": {"email": "sre1@example.com"}},
        ]
        return web.json_response({"oncalls": shifts, "limit": 25, "offset": 0, "more": False})

    async def opsgenie(self, request: web.Request) -> web.Response:
        """Opsgenie, POST /v2/alerts and what is done to one."""
        said = await self._noted(request)
        if self.trouble:
            return self.trouble.pop(0)
        if request.headers.get("Authorization") != "GenieKey ogkey":
            body = {"message": "Key format is not valid!", "took": 0.001, "requestId": "r1"}
            return web.json_response(body, status=422)
        verb = request.match_info.get("verb")
        if verb is None:
            assert len(said["message"]) <= 130
            assert said["priority"] in {"P1", "P2", "P3", "P4", "P5"}
            self.incidents.setdefault(said["alias"], "open")
        else:
            assert request.query["identifierType"] == "alias"
            if request.match_info["alias"] in self.incidents:
                self.incidents[request.match_info["alias"]] = {"acknowledge": "acked", "close": "closed"}[
                    verb
                ]
        body = {"result": "Request will be processed", "took": 0.302, "requestId": "43a29c5c"}
        return web.json_response(body, status=202)

    async def opsgenie_oncalls(self, request: web.Request) -> web.Response:
        """Opsgenie, GET /v2/schedules/NAME/on-calls, flat."""
        await self._noted(request)
        assert dict(request.query) == {"scheduleIdentifierType": "name", "flat": "true"}
        data = {"_parent": {"id": "s1", "name": request.match_info["name"], "enabled": True}}
        return web.json_response({"data": {**data, "onCallRecipients": ["sre2@example.com"]}, "took": 0.1})

    async def hook(self, request: web.Request) -> web.Response:
        """A webhook of somebody's own."""
        await self._noted(request)
        return self.trouble.pop(0) if self.trouble else web.Response(text="ok")

    async def _noted(self, request: web.Request) -> Any:
        data = await request.read()
        said = await request.json() if data else None
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append((request.method, request.path_qs, headers, said if data else None))
        self.raw = data
        return said


@asynccontextmanager
async def vendor() -> AsyncIterator[Vendor]:
    """A server of all of them, on a port of its own."""
    them = Vendor()
    app = web.Application()
    app.add_routes(
        [
            web.post("/v2/enqueue", them.events),
            web.get("/oncalls", them.oncalls),
            web.post("/v2/alerts", them.opsgenie),
            web.post("/v2/alerts/{alias}/{verb}", them.opsgenie),
            web.get("/v2/schedules/{name}/on-calls", them.opsgenie_oncalls),
            web.post("/hook", them.hook),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    them.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield them
    finally:
        await runner.cleanup()


@pytest.fixture
async def them() -> AsyncIterator[Vendor]:
    """PagerDuty, Opsgenie and a webhook in one."""
    async with vendor() as server:
        yield server


async def addresses(entries: Sequence[str]) -> tuple[str, ...]:
    """Who is named has an address at example.com."""
    return tuple(f"{entry.casefold()}@example.com" for entry in entries)


@pytest.fixture
async def means() -> AsyncIterator[Means]:
    """A client session, and everybody's address."""
    async with aiohttp.ClientSession() as session:
        yield Means(
            session=session, addresses=addresses, now=lambda: NOON, link="https://slack.example.com/p1"
        )


def notice(kind: str = "pagerduty", action: str = "trigger", **body: Any) -> NoticeRow:
    """A notice of an alert, of which a test names only what it is about."""
    said = {
        "action": action, "key": "maint-alert-01jd", "title": "app is down", "summary": "connection refused",
        "severity": "critical", "source": "check", "runbook": "health", "step": "app", "target": "app",
        "environment": "production", "value": None, "labels": {"team": "shop"}, "links": {},
        "opened_at": NOON.isoformat(), "by": "ann", "why": "", "who": ["UANN", "UBOB"], "level": 1,
        "text": "app is down. Nobody has taken it yet (service-down, level 1).",
    }  # fmt: skip
    return NoticeRow(
        id="a1" * 32,
        about="alert",
        subject="01jd",
        kind=kind,
        target=kind,
        body=said | body,
        priority=3,
        created_at=NOON,
        wake_at=NOON,
        attempts=1,
        done_at=None,
        failed_at=None,
        error="",
    )


def again(row: NoticeRow, **changes: Any) -> NoticeRow:
    """The same with something else."""
    return replace(row, **changes)
