"""A few visitors who look around in the shop, and now and then buy something."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from bot.demo.shop.goods import PRODUCTS

VISITORS = 4
#: Seconds between two requests of one visitor.
PAUSE = (0.3, 0.9)
#: Seconds after which a visitor gives up.
PATIENCE = aiohttp.ClientTimeout(total=5)
_AGENT = {"User-Agent": "Mozilla/5.0 (a visitor of the demo)"}


@asynccontextmanager
async def visitors(address: str) -> AsyncIterator[None]:
    """They come and go until the end of the block."""
    async with aiohttp.ClientSession(address, timeout=PATIENCE, headers=_AGENT) as session:
        tasks = [asyncio.create_task(_look_around(session)) for _ in range(VISITORS)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _look_around(session: aiohttp.ClientSession) -> None:
    chance = random.Random()  # noqa: S311 - no secret is made of it
    while True:
        product = f"/products/{chance.choice(PRODUCTS).id}"
        method, path = chance.choice((("GET", "/"), ("GET", product), ("POST", f"{product}/order")))
        try:
            async with session.request(method, path) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            pass  # the shop's own logs and metrics tell; visitors come back
        await asyncio.sleep(chance.uniform(*PAUSE))
