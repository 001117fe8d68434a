"""The HTTP server: /healthz and /readyz for who runs us, and what others add to it."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from runbooks.errors import MaintError

#: Bytes of a request; Slack's largest, a modal's submission, stays below 250 kB.
LARGEST_BODY = 1_000_000

Faults = Callable[[], Awaitable[dict[str, str]]]


def make_http(faults: Faults, routes: Iterable[web.RouteDef] = ()) -> web.Application:
    """The server's routes. `faults` says what is wrong now, by part; nothing wrong is an empty dict."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(_: web.Request) -> web.Response:
        wrong = await faults()
        status = {"status": "not ready", **wrong} if wrong else {"status": "ready"}
        return web.json_response(status, status=503 if wrong else 200)

    http = web.Application(client_max_size=LARGEST_BODY)
    http.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), *routes])
    return http


class HttpServer:
    """Listens on one address from `start` to `stop`."""

    def __init__(self, http: web.Application, host: str, port: int) -> None:
        # A signature is over the bytes as they came; and what cannot be unpacked would be a 500.
        self._runner = web.AppRunner(http, access_log=None, shutdown_timeout=5, auto_decompress=False)
        self._host = host
        self._port = port

    async def start(self) -> int:
        """Starts to listen and returns the port. Raises MaintError if it cannot, if the port is taken say."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise MaintError(
                f"Cannot listen on {self._host}:{self._port}: {why}. "
                "Stop who listens there, or correct `http:` in maint.yaml."
            ) from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stops listening, and lets answers under way be sent."""
        await asyncio.shield(self._runner.cleanup())
