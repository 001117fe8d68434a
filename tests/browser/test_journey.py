"""A newcomer's first minute, in a real browser with the real bot."""

import pytest

from bot.sandbox import Sandbox
from tests.browser.conftest import LOOP, Open
from tests.browser.driving import become, message, overflows, send
from tests.scenario.conftest import Site, Workplace

pytestmark = [pytest.mark.debian("chromium"), pytest.mark.asyncio(loop_scope=LOOP)]

REPORTED = "Morning health check: "


async def test_health_is_asked_for_and_its_card_fills_in(
    open_page: Open, workplace: Workplace, site: Site
) -> None:
    """`/maint health` shows a card at once, and the same card becomes the report."""
    site.seconds = 0.4
    async with workplace.serving():
        page = await open_page()
        await send(page, "/maint health")
        await message(page, "checking").wait_for()
        await message(page, f"{REPORTED}ok").wait_for()

        assert await page.locator("#log article").count() == 1
        assert await message(page, "(edited)").count() == 1
        assert await message(page, "🟢").count() == 1
        assert await page.locator("#composer-text").input_value() == ""


async def test_the_thread_of_a_card_opens_beside_it(open_page: Open, workplace: Workplace) -> None:
    """The number of replies stands under the card; a click shows them, and Esc puts them away."""
    async with workplace.serving():
        page = await open_page()
        await send(page, "/maint health")
        await page.locator("#log .replies").click()
        await page.locator("#thread article").filter(has_text="app response").last.wait_for()
        assert "1 reply" in await page.locator("#log .replies").inner_text()

        await page.locator("#reply-text").fill("thank you")
        await page.keyboard.press("Enter")
        await page.locator("#log .replies").filter(has_text="2 replies").wait_for()
        await page.locator("#thread article").filter(has_text="thank you").wait_for()
        assert await message(page, "thank you").count() == 0
        await page.keyboard.press("Escape")
        await page.locator("#thread").wait_for(state="hidden")


async def test_a_slash_command_in_a_thread_is_declined_as_slack_does(
    open_page: Open, workplace: Workplace
) -> None:
    """Slack knows no slash commands in threads, and says so to the member alone."""
    async with workplace.serving():
        page = await open_page()
        await send(page, "/maint health")
        await page.locator("#log .replies").click()
        await page.locator("#reply-text").fill("/maint help")
        await page.keyboard.press("Enter")
        await page.locator("#thread").get_by_text("/maint is not supported in threads. Sorry!").wait_for()


async def test_who_has_no_grant_is_refused_and_nobody_else_sees_it(
    open_page: Open, workplace: Workplace, sandbox: Sandbox
) -> None:
    """One becomes the member without grants and is refused in private; a colleague sees nothing of it."""
    async with workplace.serving():
        page, colleague = await open_page(), await open_page("sre1")
        await become(page, "nobody")
        await send(page, "/maint health")
        refusal = message(page, "have no grant for health")
        await refusal.get_by_text("Only visible to you").wait_for()
        await send(page, "Why not?")
        await message(colleague, "Why not?").wait_for()

        assert await message(colleague, "no grant").count() == 0
        assert sandbox.messages("ops", "nobody")[0].ephemeral_to == "U000NOBODY"
        await become(page, "admin")
        assert await message(page, "no grant").count() == 0


async def test_a_reload_and_a_second_browser_show_the_same(open_page: Open, workplace: Workplace) -> None:
    """State comes from the server: after a reload, and in another browser while it happens."""
    async with workplace.serving():
        page, other = await open_page(), await open_page("sre2")
        await send(page, "/maint health")
        for each in (page, other):
            await message(each, f"{REPORTED}ok").wait_for()
            await each.locator("#log .replies").wait_for()
        shown = await page.locator("#log").inner_text()
        await page.reload()
        await page.locator("#log .replies").wait_for()

        assert await page.locator("#log").inner_text() == shown
        assert await other.locator("#log").inner_text() == shown


async def test_everything_can_be_done_by_keyboard(open_page: Open, workplace: Workplace) -> None:
    """From the channels to a message, into a thread and back, without a mouse; the focus is always seen."""
    async with workplace.serving():
        page = await open_page(place="C0000ALERTS")
        await page.locator("#side a.current").focus()
        await page.keyboard.press("ArrowUp")
        assert await page.evaluate("document.activeElement.dataset.channel") == "C000000OPS"
        assert await page.locator("#place-name").inner_text() == "# ops"
        while await page.evaluate("document.activeElement.id") != "composer-text":
            await page.keyboard.press("Tab")
        await page.keyboard.type("/maint health")
        await page.keyboard.press("Enter")
        await page.locator("#log .replies").wait_for()
        while not await page.evaluate("document.activeElement.classList.contains('replies')"):
            await page.keyboard.press("Shift+Tab")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        await page.keyboard.press("Enter")
        await page.locator("#thread").wait_for()
        assert await page.evaluate("document.activeElement.id") == "reply-text"
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.classList.contains('replies')")
        await page.keyboard.press("Alt+ArrowDown")
        assert await page.locator("#place-name").inner_text() == "# alerts"


async def test_what_was_sent_comes_back_by_the_up_arrow(open_page: Open) -> None:
    """As in a shell: up for the line before, down again to the empty box."""
    page = await open_page()
    await send(page, "first")
    await send(page, "second")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowUp")
    assert await page.locator("#composer-text").input_value() == "first"
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    assert await page.locator("#composer-text").input_value() == ""


async def test_colours_follow_the_system_until_one_chooses(open_page: Open) -> None:
    """Dark for those whose system is dark; a choice is kept over a reload."""
    page = await open_page(color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(background)
    assert dark == "rgb(23, 28, 30)"
    await page.locator("#theme").click()
    assert await page.evaluate(background) == "rgb(255, 255, 255)"
    await page.reload()
    await page.locator("html[data-ready]").wait_for()
    assert await page.evaluate(background) == "rgb(255, 255, 255)"


async def test_a_phone_needs_no_scrolling_sideways(open_page: Open, workplace: Workplace) -> None:
    """On 360 pixels the channels are a drawer, and a card and its thread fit."""
    async with workplace.serving():
        page = await open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
        assert not await page.locator("#side").is_visible()
        await send(page, "/maint health")
        await page.locator("#log .replies").wait_for()
        assert not await overflows(page)
        await page.locator("#log .replies").tap()
        await page.locator("#thread").wait_for()
        assert not await overflows(page)
        await page.locator("#thread header button").tap()
        await page.locator("#menu").tap()
        await page.locator("#side a[data-channel=C0000ALERTS]").tap()
        assert await page.locator("#place-name").inner_text() == "# alerts"
        await page.locator("#side").wait_for(state="hidden")


async def test_a_channel_with_something_new_is_marked_until_it_is_read(
    open_page: Open, sandbox: Sandbox
) -> None:
    """The mark is there after a reload, goes when the channel is opened, and is gone elsewhere too."""
    page = await open_page()
    await sandbox.say("sre1", "alerts", "look here")
    mark = page.locator("#side a[data-channel=C0000ALERTS] .count")
    await mark.get_by_text("1").wait_for()
    other = await open_page()
    await page.reload()
    await mark.get_by_text("1").wait_for()
    await page.locator("#side a[data-channel=C0000ALERTS]").click()
    await page.locator("#log").get_by_text("look here").wait_for()
    await other.locator("#side a[data-channel=C0000ALERTS]:not(.unread)").wait_for()
    assert await mark.inner_text() == ""


async def test_what_the_bot_does_not_answer_is_said_to_the_member_alone(
    open_page: Open, sandbox: Sandbox
) -> None:
    """Without a bot, Slack's own words: dispatch_failed."""
    page, other = await open_page(), await open_page("sre1")
    await send(page, "/maint health")
    await message(page, '/maint failed with the error "dispatch_failed"').wait_for()
    assert await message(page, "Only visible to you").count() == 1
    assert await other.locator("#log article").count() == 0


async def test_the_page_comes_back_after_the_server_was_away(open_page: Open, sandbox: Sandbox) -> None:
    """A lost stream is said, and what happened meanwhile is there when it is back."""
    page = await open_page()
    await page.context.set_offline(True)
    await sandbox.page.streams.close()
    await page.locator("#trouble").get_by_text("Reconnecting").wait_for()
    await sandbox.say("sre1", "ops", "while you were away")
    await page.context.set_offline(False)
    await message(page, "while you were away").wait_for()
    await page.locator("#trouble").wait_for(state="hidden")
