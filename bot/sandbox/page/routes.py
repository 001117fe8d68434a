"""The page's place on the sandbox's server: `/` is the page, everything else of it is under `/page/`."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from bot.sandbox.page.actions import Actions, bad, member_of
from bot.sandbox.page.guard import HEADERS, add_headers, guard
from bot.sandbox.page.sight import Read, Sight
from bot.sandbox.page.stream import Streams

if TYPE_CHECKING:
    from bot.sandbox.sandbox import Sandbox

STATIC = Path(__file__).parent / "static"


class Page:
    """Serves the page of one sandbox."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._workspace = sandbox.workspace
        self._run = uuid.uuid4().hex
        self._read: Read = {}
        self.streams = Streams(sandbox.workspace.feed, self._run)
        self._actions = Actions(sandbox, self._read)

    def add_to(self, app: web.Application) -> None:
        """Adds the routes. Only they have the page's guard: an app that speaks to Slack is no browser."""
        page = web.Application(middlewares=[guard])
        page.on_response_prepare.append(add_headers)
        page.on_shutdown.append(self._close)
        page.add_routes(
            [
                web.get("/state", self._state),
                web.get("/protocol", self._protocol),
                web.get("/stream", self._stream),
                web.static("/static", STATIC),
                *self._actions.routes(),
            ]
        )
        app.add_subapp("/page/", page)
        app.add_routes([web.get("/", _index), web.get("/archives/{channel}/{ts}", _to_message)])

    async def _close(self, _: web.Application) -> None:
        await self.streams.close()  # an open page must not hold the server up

    def _sight(self, request: web.Request) -> Sight:
        return Sight(self._workspace, member_of(self._workspace, request.query.get("as", "")), self._read)

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response({**self._sight(request).state(), "run": self._run})

    async def _protocol(self, request: web.Request) -> web.Response:
        return web.json_response({"lines": self._sight(request).lines()})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        after = request.query.get("after", "")
        if not after.isdecimal():
            raise bad("`after` must be a number")
        sight = self._sight(request)
        return await self.streams.serve(request, sight, request.query.get("run", ""), int(after))


async def _index(request: web.Request) -> web.StreamResponse:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html", headers=HEADERS)

    return await guard(request, page)


async def _to_message(request: web.Request) -> web.StreamResponse:
    """A permalink: `p1700000000000100` stands for the ts 1700000000.000100."""
    channel, digits = request.match_info["channel"], request.match_info["ts"].removeprefix("p")
    if not channel.isalnum() or not digits.isdecimal():
        raise web.HTTPNotFound
    raise web.HTTPFound(f"/#{channel}/{digits[:-6]}.{digits[-6:]}")
