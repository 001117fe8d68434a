"""The shop itself: an HTTP service on loopback, answered by two versions."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from aiohttp import web

from bot.demo.shop.control import add_control
from bot.demo.shop.figures import CONTENT_TYPE_PLAIN_0_0_4, Figures
from bot.demo.shop.goods import PRODUCTS, Goods, GoodsError
from bot.demo.shop.journal import CombinedWithTime, Journal
from bot.demo.shop.rollout import add_rollout
from bot.demo.shop.switches import BROKEN_RELEASE, Switchboard
from bot.demo.shop.workers import Workers, add_workers

Answer = tuple[int, dict[str, Any]]
Page = Callable[[web.Request], Awaitable[Answer]]

#: Bytes of a request: an order is a number.
LARGEST_BODY = 10_000


class Shop:
    """Answers pages as the switches say."""

    def __init__(
        self, goods: Goods, switchboard: Switchboard, journal: Journal, chance: random.Random | None = None
    ) -> None:
        self._goods = goods
        self._switchboard = switchboard
        self._journal = journal
        self._figures = Figures()
        self._workers = Workers(switchboard)
        self._chance = chance or random.Random()  # noqa: S311 - no secret is made of it
        self.app = web.Application(client_max_size=LARGEST_BODY)
        self.app.add_routes(
            [
                web.get("/", self._page(self._front)),
                web.get(r"/products/{id:\d{1,9}}", self._page(self._product)),
                web.post(r"/products/{id:\d{1,9}}/order", self._page(self._order)),
                web.get("/health", self._page(self._health, fails=False)),
                web.get("/metrics", self._metrics),
            ]
        )
        add_control(self.app, switchboard)
        add_rollout(self.app, switchboard)
        add_workers(self.app, switchboard)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Listens on a free port of 127.0.0.1; yields the address."""
        runner = web.AppRunner(
            self.app,
            access_log=self._journal.access,
            access_log_class=CombinedWithTime,
            shutdown_timeout=1.0,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            address = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._journal.errors.info("open at %s", address)
            yield address
        finally:
            await runner.cleanup()

    def _page(self, page: Page, *, fails: bool = True) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A handler: as late, as often failing and from the version that the switches say."""

        async def handle(request: web.Request) -> web.Response:
            switches = self._switchboard.now
            version = "v2" if self._happens(switches.weight_percent) else "v1"
            with self._figures.request(version) as outcome:
                async with self._workers.one():
                    await asyncio.sleep(switches.slow_ms / 1000)
                    try:
                        if version == "v2" and switches.release == BROKEN_RELEASE:
                            raise GoodsError(
                                f"release {BROKEN_RELEASE}: no configuration for the price service"
                            )
                        if fails and self._happens(switches.failing_percent):
                            raise GoodsError("prices: the price service does not answer")
                        outcome.status, body = await page(request)
                    except GoodsError as error:
                        self._journal.errors.error("%s %s: %s", request.method, request.path, error)
                        outcome.status, body = 500, {"error": "something went wrong"}
            return web.json_response({**body, "version": version}, status=outcome.status)

        return handle

    def _fail(self, version: str, *, fails: bool) -> None:
        """Raises GoodsError when the switches say so."""
        switches = self._switchboard.now
        if version == "v2" and switches.release == BROKEN_RELEASE:
            raise GoodsError(f"release {BROKEN_RELEASE}: no configuration for the price service")
        if fails and self._happens(switches.failing_percent):
            raise GoodsError("prices: the price service does not answer")

    def _happens(self, percent: int) -> bool:
        return self._chance.random() * 100 < percent

    async def _front(self, _: web.Request) -> Answer:
        products = await self._goods.products([product.id for product in PRODUCTS])
        return 200, {"shop": "The Corner Office", "products": [asdict(product) for product in products]}

    async def _product(self, request: web.Request) -> Answer:
        for product in await self._goods.products([int(request.match_info["id"])]):
            return 200, asdict(product)
        return 404, {"error": "no such product"}

    async def _order(self, request: web.Request) -> Answer:
        for product in await self._goods.products([int(request.match_info["id"])]):
            return 201, {"order": await self._goods.order(product.id), **asdict(product)}
        return 404, {"error": "no such product"}

    async def _health(self, _: web.Request) -> Answer:
        """Well, unless the price service is switched off for some of the requests."""
        if self._switchboard.now.failing_percent:
            return 503, {"status": "failing", "prices": "the price service does not answer"}
        return 200, {"status": "ok", "prices": "ok"}

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._figures.text(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
