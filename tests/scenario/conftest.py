"""A whole Maint, connected to the sandbox workspace, looking after real servers."""

import asyncio
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from bot.app import Server
from bot.sandbox import Message, Sandbox
from bot.settings import load_settings, slack_credentials
from runbooks.records.audit import Filter, Recorded
from runbooks.records.budgets import Budget
from runbooks.records.records import Records
from tests.scenario.floor import Floor

#: What every Maint writes down before anybody asks it for anything.
STARTING = ("schema.migrated", "config.loaded", "slack.connected")
OPS, ALERTS = "C000000OPS", "C0000ALERTS"


@dataclass
class Site:
    """A web service that is looked after, and how it behaves."""

    url: str = ""
    status: int = 200
    seconds: float = 0.0
    body: str = "fine"
    kind: str = "text/plain"
    hits: int = field(default=0)
    #: Answers wait until this is set.
    release: asyncio.Event | None = None

    async def answer(self, request: web.Request) -> web.Response:
        """One answer, as slow and as wrong as told."""
        self.hits += 1
        if self.release is not None:
            await self.release.wait()
        if self.seconds:
            await asyncio.sleep(self.seconds)
        return web.Response(status=self.status, text=self.body, content_type=self.kind)


@asynccontextmanager
async def serve_site() -> AsyncIterator[Site]:
    """A real web service on loopback."""
    site = Site()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A real web service on loopback."""
    async with serve_site() as site:
        yield site


@dataclass
class Workplace:
    """The settings of one Maint, and the way to start it."""

    sandbox: Sandbox
    folder: Path
    settings: dict[str, object]
    environment: dict[str, str]

    @property
    def path(self) -> Path:
        """Where maint.yaml is."""
        return self.folder / "maint.yaml"

    def write(self) -> Path:
        """Writes maint.yaml as it is now."""
        self.path.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        return self.path

    @asynccontextmanager
    async def serving(self, **how: Any) -> AsyncIterator[Server]:
        """Maint, in this process, from ready to stopped. `how`: see Server."""
        loaded = await asyncio.to_thread(load_settings, self.write(), self.environment)
        credentials = slack_credentials(self.environment, loaded.settings.slack.mode)
        async with Server(loaded, credentials, **how) as server:
            if loaded.settings.slack.mode == "http":
                self.sandbox.deliver_to(f"http://127.0.0.1:{server.port}/slack/events")
            yield server

    async def audit(self, which: Filter | None = None) -> list[Recorded]:
        """The audit log, oldest first, as it stands in the database; without `which`, what came after the
        start."""
        records = await Records.open(str(self.settings["database"]))
        try:
            found = list(reversed(await records.events(which)))
            return found if which else [each for each in found if each.event.action not in STARTING]
        finally:
            await records.close()


@pytest.fixture
def workplace(sandbox: Sandbox, site: Site, tmp_path: Path, database_url: str) -> Workplace:
    """Maint as a small team sets it up: a web service and three roles. On both databases."""
    return set_up(sandbox, site, tmp_path, database_url)


def set_up(sandbox: Sandbox, site: Site, tmp_path: Path, database_url: str) -> Workplace:
    """A Maint of its own in that folder."""
    settings: dict[str, object] = {
        "slack": {"channels": {"ops": OPS, "alerts": ALERTS}},
        "database": database_url,
        "runbooks": "runbooks",
        "roles": {
            "admin": {"members": ["U0000ADMIN"]},
            "sre": {"members": ["@sre"]},
            "dba": {"members": ["dba@example.com"]},
        },
        "grants": [
            {"role": "admin", "commands": ["*"], "runbooks": ["*"]},
            {"role": "sre", "commands": ["health", "targets"], "channels": ["ops"]},
            {"role": "dba", "commands": ["health", "targets"], "environments": ["staging"]},
        ],
        "targets": {
            "app": {"type": "http", "url": site.url, "health": "/health"},
            "preview": {"type": "http", "url": site.url, "environment": "staging"},
        },
    }
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "health.yaml").write_text(
        textwrap.dedent(
            """
            name: health
            title: Morning health check
            purpose: Is everything all right?
            owner: oncall
            steps:
              - id: up
                title: response
                http.probe: {warning: {elapsed_ms: {above: 3000}}, critical: {elapsed_ms: {above: 9000}}}
            """
        )
    )
    return Workplace(sandbox, tmp_path, settings, sandbox.environment())


def newest(sandbox: Sandbox, words: str, channel: str = "ops", as_user: str | None = None) -> Message | None:
    """The newest message of a channel that shows those words, if there is one."""
    messages = reversed(sandbox.messages(channel, as_user))
    return next((message for message in messages if words in message.shown), None)


@pytest.fixture
def quick_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards are drawn and messages posted as soon as there is something new: a workspace without limits."""
    fast = Budget("fast", size=1000, per_second=1000)
    monkeypatch.setattr("runbooks.records.cards.INTERVAL", 0.02)
    monkeypatch.setattr("bot.slack.pace.UPDATES", fast)
    for module in ("board", "pace"):
        monkeypatch.setattr(f"bot.slack.{module}.posts", lambda _: fast)


@pytest.fixture
def floor(sandbox: Sandbox, site: Site, tmp_path: Path, quick_slack: None) -> Floor:
    """A Maint that carries runs, in a workspace without limits, on SQLite."""
    return floor_of(set_up(sandbox, site, tmp_path, f"sqlite:///{tmp_path}/maint.db"), site)


@pytest.fixture
def any_floor(workplace: Workplace, quick_slack: None) -> Floor:
    """The same on both databases."""
    return floor_of(workplace, site)


def floor_of(workplace: Workplace, site: Site) -> Floor:
    """What runs need beside a workplace: a machine to act on."""
    targets = workplace.settings["targets"]
    assert isinstance(targets, dict)
    targets["here"] = {"type": "host"}
    workplace.environment["MAINT_SECRET_KEY"] = "a key of thirty-two letters and more"
    return Floor(workplace.sandbox, workplace, site)
