"""10,000 runs that wait at gates: what they cost an idle `maint serve`, how soon it is ready beside them,
and how soon the next step begins when somebody approves one of them."""

import asyncio
import random
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from benchmarks.copies import copy_run
from benchmarks.databases import KINDS, fresh
from benchmarks.figure import Figure, percentile
from benchmarks.house import GATED, SAM, House, Nothing, house
from benchmarks.processes import maint
from bot.sandbox import Sandbox
from bot.sandbox.model import Content
from bot.sandbox.workspace import BOT_USER_ID
from runbooks.engine.decided import Verdict
from runbooks.records.records import Records

RUNS = 10_000
#: The sandbox's channel for all their cards.
CHANNEL = "C000000OPS"
#: Seconds that it is watched when idle, and that it gets before: to look whether its cards still stand.
WINDOW, CALM = 20.0, 30.0
CLICKS = 200
#: The limits: percent of a core, and seconds.
IDLE, READY, P50, P99 = 2.0, 5.0, 300.0, 1000.0


async def _fill(url: str, sandbox: Sandbox) -> None:
    """The waiting runs, each with its card in Slack."""
    versions: dict[str, int] = {}

    def posted(card: str) -> str:
        payload = {"card": card, "version": versions["all"]}
        metadata = {"event_type": "maint_card", "event_payload": payload}
        return sandbox.workspace.post(CHANNEL, BOT_USER_ID, Content(text="A run"), metadata=metadata).ts

    async with house(url, GATED) as where:
        run = await where.start("gated", channel=CHANNEL)
        await where.until(run, lambda _, waiting_on: waiting_on == "gate")
        view = await where.engine.view(run)
        assert view is not None
        versions["all"] = view.run.version
    # Not while somebody carries runs: it would give itself up, for want of a turn to write.
    records = await Records.open(url)
    await asyncio.to_thread(copy_run, records.engine, run, RUNS - 1, posted)
    await records.close()


async def _served(url: str, sandbox: Sandbox) -> tuple[float, float, float]:
    """Seconds until `maint serve` is ready, percent of a core when idle, and MB."""
    with tempfile.TemporaryDirectory() as folder:
        async with maint(sandbox, Path(folder), database=url) as bot:
            await asyncio.sleep(CALM)
            before, begun = bot.cpu(), time.perf_counter()
            await asyncio.sleep(WINDOW)
            idle = 100 * (bot.cpu() - before) / (time.perf_counter() - begun)
            return bot.ready, idle, bot.memory()


async def _clicked(where: House, ask: str, run: str) -> float:
    """Milliseconds from the click to the moment when the next step acts."""
    begun = time.perf_counter()
    decided = await where.engine.decide(ask, "approve", SAM, holds=frozenset({"sre"}))
    if decided.outcome is not Verdict.CLOSED:
        raise RuntimeError(f"not a fair click: {decided.text}")
    await where.over(run)
    return 1000 * (Nothing.began[run] - begun)


async def _clicks(url: str) -> list[float]:
    query = text("SELECT id, run FROM asks WHERE state = 'open' ORDER BY run DESC LIMIT :most")
    async with house(url, GATED) as where:
        asked = await where.records.read(
            lambda connection: connection.execute(query, {"most": CLICKS + 5}).all()
        )
        took = []
        for ask, run in asked:
            await asyncio.sleep(random.uniform(0, 0.2))  # in no step with what looks now and then
            took.append(await _clicked(where, ask, run))
        return took[5:]


async def _on(kind: str) -> list[Figure]:
    with fresh(kind) as url:
        async with Sandbox.start() as sandbox:
            await _fill(url, sandbox)
            ready, idle, memory = await _served(url, sandbox)
        took = await _clicks(url)
    what = f"{RUNS:,} runs waiting, {kind}"
    return [
        Figure(what=f"restart to ready, {what}", value=ready, unit="s", limit=READY),
        Figure(what=f"of a core when idle, {what}", value=idle, unit="%", limit=IDLE),
        Figure(what=f"resident, {what}", value=memory, unit="MB"),
        Figure(what=f"click to next step, p50, {what}", value=percentile(took, 50), unit="ms", limit=P50),
        Figure(what=f"click to next step, p99, {what}", value=percentile(took, 99), unit="ms", limit=P99),
    ]


async def measure() -> list[Figure]:
    """On each database: one start, one window, many clicks."""
    return [figure for kind in KINDS for figure in await _on(kind)]
