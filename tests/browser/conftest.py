"""Debian's Chromium on the sandbox's page, in the same event loop as the sandbox and the bot."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from tests.browser.driving import ARGUMENTS, watch
from tests.conftest import find_program
from tests.scenario.conftest import Site, Workplace, serve_site, set_up

#: One loop for the session: starting a browser takes a second, and it belongs to the loop that started it.
LOOP = "session"

Open = Callable[..., Awaitable[Page]]


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> None:
    """Not measured here, where a callback waits for a core: the scenario tests watch the same code."""


@pytest_asyncio.fixture(scope="session", loop_scope=LOOP)
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """One Chromium for all tests; each test gets contexts, which are fresh profiles."""
    program = find_program("chromium")
    assert program is not None
    # It would take the cores from the tests that run beside these and measure times.
    polite = tmp_path_factory.mktemp("chromium") / "chromium"
    polite.write_text(f'#!/bin/sh\nexec nice -n 15 {program} "$@"\n')
    polite.chmod(0o700)
    try:
        playwright = await async_playwright().start()
    except Exception as error:  # noqa: BLE001 - the driver is a program of its own, and says just that it ended
        reason = f"Playwright's driver does not start, for want of Debian's libatomic1 perhaps: {error}"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    browser = await playwright.chromium.launch(executable_path=polite, args=ARGUMENTS)
    yield browser
    await browser.close()
    await playwright.stop()


@pytest_asyncio.fixture(loop_scope=LOOP)
async def sandbox() -> AsyncIterator[Sandbox]:
    """A Slack workspace of its own, on loopback."""
    async with Sandbox.start() as sandbox:
        yield sandbox


@pytest_asyncio.fixture(loop_scope=LOOP)
async def open_page(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Open]:
    """Opens the page in a browser of its own, as a member; what the browser complains of fails the test.

    Options: as for a Playwright context.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    async def open_page(who: str = "admin", place: str = "", **options: object) -> Page:
        options = {"viewport": {"width": 1200, "height": 800}, "locale": "en-GB", **options}
        context = await browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = await context.new_page()
        watch(page, complaints)
        await page.goto(f"{sandbox.workspace.base_url}?as={who}#{place}")
        await page.locator("html[data-ready]").wait_for()
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert complaints == []


@pytest.fixture
def client(sandbox: Sandbox) -> AsyncWebClient:
    """The SDK's own client of the bot, without retries."""
    return AsyncWebClient(sandbox.bot_token, base_url=sandbox.api_url, retry_handlers=[], timeout=5)


@pytest_asyncio.fixture(loop_scope=LOOP)
async def site() -> AsyncIterator[Site]:
    """A real web service on loopback."""
    async with serve_site() as site:
        yield site


@pytest.fixture
def workplace(sandbox: Sandbox, site: Site, tmp_path: Path) -> Workplace:
    """Maint as in the scenario tests."""
    return set_up(sandbox, site, tmp_path, f"sqlite:///{tmp_path}/maint.db")
