"""A web service that answers after 250 ms; prints its port."""

import asyncio

from aiohttp import web

SECONDS = 0.25


async def answer(_: web.Request) -> web.Response:
    await asyncio.sleep(SECONDS)
    return web.Response(text="fine")


async def main() -> None:
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
