"""How the browser is started, and what people do in it."""

from playwright.async_api import ConsoleMessage, Locator, Page

from bot.sandbox.people import members

#: Chromium as a test wants it: no sandbox (tests run as root in CI), and not a word to anybody.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def watch(page: Page, complaints: list[str]) -> None:
    """Collects every error: an exception, a refused script, a failed request, a request to elsewhere."""

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text}")

    own = ("http://127.0.0.1:", "data:", "blob:")
    page.on("console", console)
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda request: None if request.url.startswith(own) else complaints.append(f"asks {request.url}"),
    )


async def send(page: Page, text: str) -> None:
    """Types a line into the box and sends it."""
    await page.locator("#composer-text").fill(text)
    await page.keyboard.press("Enter")


def message(page: Page, text: str) -> Locator:
    """The messages in the log that show that text."""
    return page.locator("#log article").filter(has_text=text)


async def become(page: Page, name: str) -> None:
    """Chooses who one is."""
    await page.locator("#who > button").click()
    await page.locator(f"#who [data-member={name}]").click()
    found = next(member.id for member in members() if member.name == name)
    await page.locator(f"html[data-ready={found}]").wait_for()


async def overflows(page: Page) -> bool:
    """Must one scroll sideways?"""
    return bool(await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
