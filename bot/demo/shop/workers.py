"""The shop's workers: each answers one visitor at a time. /workers tells and takes how many there are."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from bot.demo.shop.control import demand_host
from bot.demo.shop.switches import Switchboard


class Workers:
    """As many requests are answered at the same time as there are workers; the others wait."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._busy = 0
        self._free = asyncio.Event()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A worker, from when one is free."""
        while self._busy >= self._switchboard.now.workers:
            self._free.clear()
            await self._free.wait()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._free.set()


def add_workers(app: web.Application, switchboard: Switchboard) -> None:
    """Adds /workers: GET answers `{"workers": 8}`, PUT takes the same."""

    async def show(request: web.Request) -> web.Response:
        demand_host(request)
        return web.json_response({"workers": switchboard.now.workers})

    async def scale(request: web.Request) -> web.Response:
        # No page of another origin can send a PUT: a browser asks first, and gets no answer to that.
        demand_host(request)
        try:
            told = json.loads(await request.text())
            if not isinstance(told, dict) or set(told) != {"workers"}:
                raise ValueError('expected {"workers": 8}')
            switchboard.turn({"workers": str(told["workers"])})
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({"workers": switchboard.now.workers})

    app.add_routes([web.get("/workers", show), web.put("/workers", scale)])
