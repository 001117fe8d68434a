"""How soon `/maint help` is acknowledged over Socket Mode, beside an app that does nothing else.

Every user types again as soon as the last command is acknowledged. Maint does its work meanwhile: it
identifies, authorises, records and answers. The rate limit of a person is lifted for it; what is more than
the queue takes is acknowledged with the word to try again, and counted. Nobody types like that; so there
are also 64 users who take half a second's breath between two commands, of whom nobody may be put off.
"""

import asyncio
import gc
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figure import Figure, percentile
from benchmarks.processes import Bot, bare, maint
from bot.sandbox import Sandbox

USERS = (1, 16, 64)
#: The key of the round with a breath between commands (seconds).
BREATHING, BREATHING_USERS, BREATH = 0, 64, 0.5
SECONDS = 3.0
ROUNDS = 2
NO_LIMIT = {"limits": {"commands_per_minute": 10_000_000}}


@dataclass
class Load:
    """Acknowledgements a second, the milliseconds that each took, and how many said to try again."""

    rate: float = 0.0
    took: list[float] = field(default_factory=list)
    put_off: int = 0


async def load(sandbox: Sandbox, users: int, breath: float = 0.0) -> Load:
    """That many users for some seconds, each with so many seconds between two commands."""
    seen = Load()
    end = time.perf_counter() + SECONDS
    # The sandbox keeps all that was ever said: collecting garbage there would stop everybody's clock.
    gc.collect()
    gc.disable()

    async def user(number: int) -> None:
        await asyncio.sleep(breath * number / users)
        while time.perf_counter() < end:
            delivery = await sandbox.slash("admin", "ops", "/maint help")
            if not delivery.acked:
                raise RuntimeError(f"not acknowledged: {delivery.error}")
            seen.took.append(delivery.seconds * 1000)
            seen.put_off += bool(delivery.answer)
            await asyncio.sleep(breath)

    begun = time.perf_counter()
    await asyncio.gather(*(user(number) for number in range(users)))
    seen.rate = len(seen.took) / (time.perf_counter() - begun)
    gc.enable()
    return seen


async def _round(sandbox: Sandbox, bot: Bot) -> dict[int, Load]:
    await sandbox.slash("admin", "ops", "/maint help")
    results = {}
    for users in USERS:
        results[users] = await load(sandbox, users)
        await _settle(bot)
    results[BREATHING] = await load(sandbox, BREATHING_USERS, BREATH)
    return results


async def _settle(bot: Bot) -> None:
    """Waits until the bot has nothing left to do."""
    before = -1.0
    while bot.cpu() - before > 0.05:
        before = bot.cpu()
        await asyncio.sleep(0.5)


async def measure() -> list[Figure]:
    """Throughput and p99, best of two rounds in turn, for 1, 16 and 64 users."""
    ours: dict[int, Load] = {}
    theirs: dict[int, Load] = {}
    for _ in range(ROUNDS):
        async with Sandbox.start() as sandbox, bare(sandbox) as bot:
            _keep_best(theirs, await _round(sandbox, bot))
        with tempfile.TemporaryDirectory() as folder:
            async with Sandbox.start() as sandbox, maint(sandbox, Path(folder), **NO_LIMIT) as bot:
                _keep_best(ours, await _round(sandbox, bot))
    figures = []
    for users in USERS:
        our, bare_app = ours[users], theirs[users]
        who = f"{users} users" if users > 1 else "1 user"
        limit = 100 if users == 64 else None
        figures += [
            Figure(
                what=f"acknowledged, {who}",
                value=our.rate,
                unit="/s",
                beside=bare_app.rate,
                limit=0.7,
                least=True,
            ),
            Figure(what=f"of them put off, {who}", value=100 * our.put_off / len(our.took), unit="%"),
            Figure(
                what=f"p50, {who}",
                value=percentile(our.took, 50),
                unit="ms",
                beside=percentile(bare_app.took, 50),
            ),
            Figure(what=f"p99, {who}", value=percentile(our.took, 99), unit="ms", limit=limit),
        ]
    calm = ours[BREATHING]
    who = f"{BREATHING_USERS} users, {BREATH:g} s apart"
    return [
        *figures,
        Figure(what=f"put off, {who}", value=100 * calm.put_off / len(calm.took), unit="%", limit=0),
        Figure(what=f"p99, {who}", value=percentile(calm.took, 99), unit="ms", limit=100),
    ]


def _keep_best(best: dict[int, Load], found: dict[int, Load]) -> None:
    for users, result in found.items():
        if users not in best or result.rate > best[users].rate:
            best[users] = result
