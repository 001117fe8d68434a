"""Slack's limits with 50 live cards and a storm: what two replicas post and edit together, beside one call
for each change, and how long approvals and critical alerts wait behind progress.

The sandbox refuses what Slack refuses: a second message in a channel within a second, and the 51st edit
within a minute.
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from sqlalchemy import text

from benchmarks.copies import copy_run
from benchmarks.databases import fresh
from benchmarks.figure import Figure
from benchmarks.house import GATED, House, house
from bot.notify.courier import Courier, Ways
from bot.notify.who import Who
from bot.sandbox import Sandbox
from bot.sandbox.model import Content
from bot.sandbox.workspace import BOT_USER_ID
from bot.slack.app import who_are_we
from bot.slack.board import Board
from bot.slack.client import SlackClient
from bot.slack.messages import Messages
from bot.slack.notices import SlackNotices
from bot.slack.people import People
from runbooks.records import cards
from runbooks.records.board import BoardRecords
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.scrub import Scrubber
from runbooks.steps.reach import utc_now
from runbooks.watch.alerts import Alerts
from runbooks.watch.climbing import Climber, Setup
from runbooks.watch.fingerprint import fingerprint
from runbooks.watch.following import Escalating, Undelivered
from runbooks.watch.from_checks import FromChecks
from runbooks.watch.policies import Escalation, make_router
from runbooks.watch.sentry import Sentry
from runbooks.watch.settle import Setting
from runbooks.watch.signal import Seen, Signal

#: Live cards, seconds of it, and the seconds that the rest may take to come through.
LIVE, SECONDS, REST = 50, 50.0, 25.0
#: Alerts that open within a second, and how many of them are critical; more of these come one by one.
STORM, CRITICAL, LATER = 1000, 3, 4
APPROVALS = 6
#: The sandbox's channels: of the cards of runs and approvals, and of the alerts.
OPS, ALERTS = "C000000OPS", "C0000ALERTS"
#: The limits: of the naive count, and of the seconds that somebody waits (reference figures: 4 %, 10 s).
OF_NAIVE, LONGEST_WAIT = 0.05, 10.0
#: Seconds between two looks for what has arrived.
LOOK = 0.02

_MAINT = Person(kind="maint", id="bench", name="Maint")
_TICK = text("UPDATE runs SET version = version + 1 WHERE id = :run RETURNING version")
_ASK = text("SELECT id FROM asks WHERE run = :run AND state = 'open'")


@dataclass
class Waits:
    """What was to be seen in Slack: when it was made, and when it was there."""

    made: dict[tuple[str, str], float] = field(default_factory=dict)
    seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def longest(self, what: str) -> float:
        """The longest wait of that kind; what never came waits still."""
        now = time.monotonic()
        waits = [self.seen.get(key, now) - made for key, made in self.made.items() if key[0] == what]
        return max(waits, default=0.0)

    def note(self, what: str, mark: str) -> None:
        """It is made now."""
        self.made[what, mark] = time.monotonic()

    async def look(self, sandbox: Sandbox) -> None:
        """Notes when each is there."""
        looked = 0
        while True:
            calls = sandbox.calls[looked:]
            looked += len(calls)
            for call in calls:
                if call.method in ("chat.postMessage", "chat.update") and call.answer.get("ok"):
                    self._compare(json.dumps(call.arguments, default=str), "thread_ts" in call.arguments)
            await asyncio.sleep(LOOK)

    def _compare(self, said: str, in_thread: bool) -> None:
        for key in self.made:
            what, mark = key
            if key not in self.seen and mark in said and in_thread == (what == "call"):
                self.seen[key] = time.monotonic()


class Replica:
    """What one process has of cards, alerts and calls, with a pool and a Slack client of its own."""

    def __init__(self, records: Records, slack: SlackClient, people: People, session: Any) -> None:
        self.records = records
        channels: dict[str, str] = {}
        board = BoardRecords(records)
        self.board = Board(slack, board, called=people.called, channels=channels, scrub=Scrubber())
        setting = Setting(route=lambda _: ALERTS, by=_MAINT, followers=(Escalating(),))
        self.alerts = Alerts(records, FromChecks({}), setting, utc_now)
        ways = Ways(
            services={},
            slack=SlackNotices(slack, board, people.called, channels, utc_now),
            who=Who(people, {}, session, utc_now),
            session=session,
            link=Messages(slack, channels).link,
        )
        self.courier = Courier(records, ways, Undelivered(self.alerts, ALERTS, utc_now), utc_now)
        said = {
            "policies": {"down": {"levels": [{"who": "U00000SRE1"}]}},
            "routes": [{"severity": "critical", "source": "check", "policy": "down"}],
        }
        router = make_router(Escalation.model_validate(said), Escalation())
        climber = Climber(records, Setup(router=router, rotations={}, services={}), _MAINT, self.tell)
        self.sentry = Sentry(records, [climber], utc_now)
        self.alerts.on_change(self.tell)

    def tell(self) -> None:
        """There is something to draw and to deliver."""
        self.board.nudge()
        self.courier.nudge()


@contextlib.asynccontextmanager
async def _replica(url: str, sandbox: Sandbox) -> AsyncIterator[Replica]:
    records = await Records.open(url)
    async with (
        SlackClient(sandbox.bot_token, sandbox.api_url) as slack,
        aiohttp.ClientSession() as session,
    ):
        bot = await who_are_we(slack.web)
        people = People(slack.web, frozenset({bot.team}), {}, records.record)
        replica = Replica(records, slack, people, session)
        replica.board.start()
        replica.courier.start()
        replica.sentry.start()
        try:
            yield replica
        finally:
            await replica.sentry.stop()
            await replica.courier.stop()
            await replica.board.stop(1)
            await records.close()


async def _live(where: House, sandbox: Sandbox) -> list[str]:
    """The runs, each with its card in Slack."""
    run = await where.start("gated", channel=OPS)
    await where.until(run, lambda _, waiting_on: waiting_on == "gate")
    view = await where.engine.view(run)
    assert view is not None
    version = view.run.version

    def posted(card: str) -> str:
        metadata = {"event_type": "maint_card", "event_payload": {"card": card, "version": version}}
        return sandbox.workspace.post(OPS, BOT_USER_ID, Content(text="A run"), metadata=metadata).ts

    await asyncio.to_thread(copy_run, where.records.engine, run, LIVE - 1, posted)
    return [run, *(f"{run[:20]}{number:06}" for number in range(LIVE - 1))]


async def _progress(records: Records, runs: list[str]) -> int:
    """Every run makes progress once a second, each twelfth time a step; how many changes there were."""
    changes = 0

    def tick(connection: Any) -> None:
        for run in runs:
            version = connection.execute(_TICK, {"run": run}).scalar_one()
            cards.want(connection, run, version, int(random.random() < 1 / 12))

    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        begun = time.monotonic()
        await records.write(tick)
        changes += len(runs)
        await asyncio.sleep(max(0.0, 1 - (time.monotonic() - begun)))
    return changes


def _signal(name: str, *, critical: bool) -> Signal:
    return Signal(
        fingerprint=fingerprint("check", {"name": name}),
        source="check",
        seen=Seen.BAD,
        at=utc_now(),
        severity="critical" if critical else "warning",
        title=f"{name} is down",
        target=name,
    )


async def _trouble(replicas: list[Replica], waits: Waits) -> int:
    """A storm, and then one critical alert after the other; how many alerts that were."""
    await asyncio.sleep(5)
    critical = {f"crit-{number:03}" for number in range(CRITICAL)}
    names = [*(f"warn-{number:04}" for number in range(STORM - CRITICAL)), *critical]
    random.shuffle(names)
    for name in critical:
        waits.note("alert", name)
        waits.note("call", name)
    for part in range(0, STORM, 200):
        signals = [_signal(name, critical=name in critical) for name in names[part : part + 200]]
        await _take(replicas[part // 200 % 2], signals)
    for number in range(LATER):
        await asyncio.sleep(9)
        name = f"late-{number:03}"
        waits.note("alert", name)
        waits.note("call", name)
        await _take(replicas[number % 2], [_signal(name, critical=True)])
    return STORM + LATER


async def _take(replica: Replica, signals: list[Signal]) -> None:
    def work(connection: Any) -> None:
        replica.alerts.ingest(connection, signals)

    await replica.records.write(work)
    replica.alerts.told()


async def _approvals(where: House, waits: Waits) -> int:
    """Runs that ask for approval at once; how many."""
    for _ in range(APPROVALS):
        await asyncio.sleep(random.uniform(4, 9))
        run = await where.start("gated", channel=OPS)
        await where.until(run, lambda _, waiting_on: waiting_on == "gate")
        ask = await where.records.read(lambda connection, run=run: connection.scalar(_ASK, {"run": run}))
        waits.note("approval", str(ask))
    return APPROVALS


async def _through(waits: Waits) -> None:
    """Waits until all has arrived; but not for ever."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REST):
            while len(waits.seen) < len(waits.made):  # noqa: ASYNC110
                await asyncio.sleep(0.2)


async def measure() -> list[Figure]:
    """Once, on PostgreSQL: a minute and a half."""
    waits = Waits()
    with fresh("PostgreSQL") as url:
        async with Sandbox.start() as sandbox, house(url, GATED) as where:
            runs = await _live(where, sandbox)
            sandbox.rate_limits()
            async with _replica(url, sandbox) as one, _replica(url, sandbox) as two:
                where.engine.on_change(one.board.nudge)
                looking = asyncio.create_task(waits.look(sandbox))
                naive = sum(
                    await asyncio.gather(
                        _progress(where.records, runs),
                        _trouble([one, two], waits),
                        _approvals(where, waits),
                    )
                )
                await _through(waits)
                looking.cancel()
            return _figures(sandbox, waits, naive + 2 * (CRITICAL + LATER))


def _figures(sandbox: Sandbox, waits: Waits, naive: int) -> list[Figure]:
    def count(fits: Callable[[Any], bool]) -> float:
        return float(sum(map(fits, sandbox.calls)))

    posts = count(lambda call: call.method == "chat.postMessage" and call.answer.get("ok"))
    edits = count(lambda call: call.method == "chat.update" and call.answer.get("ok"))
    refused = count(lambda call: call.status == 429)
    what = f"{LIVE} live cards and a storm of {STORM:,}"
    return [
        Figure(what=f"posts, {what}", value=posts, unit="calls"),
        Figure(what=f"edits, {what}", value=edits, unit="calls"),
        Figure(
            what=f"posts and edits, beside one each, {what}",
            value=posts + edits,
            unit="calls",
            beside=float(naive),
            limit=OF_NAIVE,
        ),
        Figure(what=f"refused by Slack (429), {what}", value=refused, unit="calls", limit=0),
        *(
            Figure(
                what=f"longest wait of {who}, {what}",
                value=waits.longest(kind),
                unit="s",
                limit=LONGEST_WAIT,
            )
            for kind, who in (
                ("approval", "an approval"),
                ("alert", "a critical alert"),
                ("call", "who is called for one"),
            )
        ),
    ]
