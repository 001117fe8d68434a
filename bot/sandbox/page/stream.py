"""The stream of changes to one open page."""

import asyncio
import weakref

from aiohttp import WSCloseCode, web

from bot.sandbox.feed import Feed
from bot.sandbox.page.sight import Sight

HEARTBEAT = 15.0  # seconds


class Streams:
    """Every page that is open. `run` tells this sandbox from an earlier one at the same address."""

    def __init__(self, feed: Feed, run: str) -> None:
        self._feed = feed
        self._run = run
        self._open: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    async def serve(self, request: web.Request, sight: Sight, run: str, after: int) -> web.StreamResponse:
        """Sends every change after that number, then those to come; `reload` when some cannot be had."""
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT)
        await socket.prepare(request)
        self._open.add(socket)
        sending = asyncio.create_task(self._send(socket, sight, run, after))
        try:
            async for _ in socket:
                pass  # the page only listens; this ends when it is gone
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return socket

    async def _send(self, socket: web.WebSocketResponse, sight: Sight, run: str, after: int) -> None:
        with self._feed.subscribe() as changes:
            missed = self._feed.since(after) if run == self._run else None
            if missed is None:
                await socket.send_json({"kind": "reload"})
                return
            await socket.send_json({"kind": "hello"})
            for change in missed:
                if (seen := sight.change(change)) is not None:
                    await socket.send_json({**seen, "number": change.number})
            async for change in changes:
                if (seen := sight.change(change)) is not None:
                    await socket.send_json({**seen, "number": change.number})

    async def close(self) -> None:
        """Ends every stream; a page that still can connects again."""
        for socket in list(self._open):
            await socket.close(code=WSCloseCode.GOING_AWAY)
