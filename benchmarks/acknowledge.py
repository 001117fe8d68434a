"""How soon `/maint help` is acknowledged over Socket Mode, beside an app that does nothing else.

Every user types again as soon as the last command is acknowledged. Maint does all of its work meanwhile:
it identifies, authorises, records and answers each one. The rate limit of a person is lifted for it.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.figure import Figure, percentile
from benchmarks.processes import Bot, bare, maint
from bot.sandbox import Sandbox

USERS = (1, 16, 64)
SECONDS = 3.0
ROUNDS = 2
NO_LIMIT = {"limits": {"commands_per_minute": 10_000_000}}


async def load(sandbox: Sandbox, users: int) -> tuple[float, list[float]]:
    """Acknowledgements a second, and the milliseconds that each took."""
    took: list[float] = []
    end = time.perf_counter() + SECONDS

    async def user() -> None:
        while time.perf_counter() < end:
            delivery = await sandbox.slash("admin", "ops", "/maint help")
            if not delivery.acked:
                raise RuntimeError(f"not acknowledged: {delivery.error}")
            took.append(delivery.seconds * 1000)

    begun = time.perf_counter()
    await asyncio.gather(*(user() for _ in range(users)))
    return len(took) / (time.perf_counter() - begun), took


async def _round(sandbox: Sandbox, bot: Bot) -> dict[int, tuple[float, list[float]]]:
    await sandbox.slash("admin", "ops", "/maint help")
    results = {}
    for users in USERS:
        results[users] = await load(sandbox, users)
        await _settle(bot)
    return results


async def _settle(bot: Bot) -> None:
    """Waits until the bot has nothing left to do."""
    before = -1.0
    while bot.cpu() - before > 0.05:
        before = bot.cpu()
        await asyncio.sleep(0.5)


async def measure() -> list[Figure]:
    """Throughput and p99, best of two rounds in turn, for 1, 16 and 64 users."""
    ours: dict[int, tuple[float, list[float]]] = {}
    theirs: dict[int, tuple[float, list[float]]] = {}
    for _ in range(ROUNDS):
        async with Sandbox.start() as sandbox, bare(sandbox) as bot:
            _keep_best(theirs, await _round(sandbox, bot))
        with tempfile.TemporaryDirectory() as folder:
            async with Sandbox.start() as sandbox, maint(sandbox, Path(folder), **NO_LIMIT) as bot:
                _keep_best(ours, await _round(sandbox, bot))
    figures = []
    for users in USERS:
        (rate, took), (bare_rate, bare_took) = ours[users], theirs[users]
        who = f"{users} users" if users > 1 else "1 user"
        figures.append(
            Figure(
                what=f"acknowledged, {who}", value=rate, unit="/s", beside=bare_rate, limit=0.7, least=True
            )
        )
        figures.append(
            Figure(
                what=f"p50, {who}", value=percentile(took, 50), unit="ms", beside=percentile(bare_took, 50)
            )
        )
        p99 = percentile(took, 99)
        figures.append(Figure(what=f"p99, {who}", value=p99, unit="ms", limit=100 if users == 64 else None))
    return figures


def _keep_best(
    best: dict[int, tuple[float, list[float]]], found: dict[int, tuple[float, list[float]]]
) -> None:
    for users, result in found.items():
        if users not in best or result[0] > best[users][0]:
            best[users] = result
