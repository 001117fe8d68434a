"""Web servers on loopback for the tests: well-behaved ones, and ones that are not."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve(*, tls: ssl.SSLContext | None = None, **handlers: Handler) -> AsyncIterator[str]:
    """A web server whose paths are the names (`v1__query` is /v1/query, `root` is /); its address."""
    app = web.Application()
    for name, handler in handlers.items():
        path = "/" if name == "root" else f"/{name.replace('__', '/')}"
        app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def says(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    """A handler that always answers this."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, headers=headers)

    return handler


def redirects(location: str) -> Handler:
    """A handler that sends everybody there."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return handler


@asynccontextmanager
async def serve_bytes(data: bytes, *, reset: bool = False) -> AsyncIterator[str]:
    """A server that answers the first line of a request with those bytes and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(data)
        if reset:
            writer.transport.abort()
        else:
            await writer.drain()
            writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
