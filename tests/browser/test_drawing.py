"""Every block and every element is drawn, and does what it is for."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from tests.browser import gallery
from tests.browser.conftest import LOOP, Open
from tests.browser.driving import message, overflows
from tests.sandbox.conftest import connect

pytestmark = [pytest.mark.debian("chromium"), pytest.mark.asyncio(loop_scope=LOOP)]

OPS = "C000000OPS"
#: Where each block is drawn, and what stands there.
SHOWN = {
    ".block-header": "The gallery 🎨",
    ".block-section b >> nth=0": "section",
    ".block-section blockquote": "and a quote",
    ".block-section .fields > :nth-child(2) b": "Right",
    ".block-section .accessory button .text >> nth=0": "Open",
    ".block-context i": "yesterday",
    ".block-actions .primary": "Approve",
    ".block-actions .danger": "Restart",
    ".chip bdi >> nth=1": "Blue",
    ".chip bdi >> nth=2": "Sam Reliable",
    ".boxes small >> nth=0": "like grass",
    ".rich b": "critical",
    ".rich s": "gone",
    ".rich code >> nth=0": "pg_stat",
    ".rich a[href='https://wiki.example.com/x']": "the wiki",
    ".rich .mention.me >> nth=0": "@sre1",
    ".rich .mention.me >> nth=1": "@sre",
    ".rich a.mention": "#ops",
    ".rich .emoji.unknown": ":party-parrot:",
    ".rich ul li": "a point",
    ".rich ol.indent-1 li": "first",
    ".rich pre": "SELECT 1;\nSELECT 2;",
    ".rich blockquote": "as somebody said",
    ".block-image figcaption": "Latency",
    ".block-table th.right": "Value",
    ".block-table td.right": "41.5 ms",
    ".block-markdown h4": "Marked down",
    ".block-markdown li b": "one",
    ".block-markdown td.right": "2",
    ".block-file": "📄 Remote file ABC",
    ".block-context_actions button >> nth=1": "Bad",
    ".attachment .title a": "High latency",
    ".attachment i": "slow",
}

Actions = list[dict[str, Any]]


@pytest_asyncio.fixture(loop_scope=LOOP)
async def actions(sandbox: Sandbox) -> AsyncIterator[Actions]:
    """What an app heard that listens to every action and answers the external select."""
    client = AsyncWebClient(sandbox.bot_token, base_url=sandbox.api_url)
    app = AsyncApp(token=sandbox.bot_token, signing_secret=sandbox.signing_secret, client=client)
    heard: Actions = []

    @app.action(re.compile(".*"))
    async def note(ack: Any, action: dict[str, Any]) -> None:
        heard.append(action)
        await ack()

    @app.options("external")
    async def offer(ack: Any, payload: dict[str, Any]) -> None:
        await ack(options=[gallery.option(f"{payload['value']}-service"), gallery.option("Other")])

    async with connect(sandbox, app, 1):
        yield heard


async def heard(sandbox: Sandbox, actions: Actions, count: int) -> dict[str, Any]:
    """The last of so many actions."""
    await sandbox.wait_for(lambda: len(actions) >= count)
    return actions[-1]


@pytest_asyncio.fixture(loop_scope=LOOP)
async def page(open_page: Open, client: AsyncWebClient) -> Page:
    """A page that shows the gallery."""
    await client.chat_postMessage(channel=OPS, text="gallery", blocks=gallery.MESSAGE)
    await client.chat_postMessage(channel=OPS, text="attached", attachments=gallery.ATTACHMENTS)
    page = await open_page("sre1")
    await message(page, "The gallery").wait_for()
    return page


async def test_every_block_shows_what_it_says(page: Page) -> None:
    """Block by block: the right element, with the right text."""
    shown = {each: (await page.locator(f"#log {each}").inner_text()).strip() for each in SHOWN}
    assert shown == SHOWN


async def test_nothing_in_the_gallery_is_left_undrawn(page: Page) -> None:
    """No block and no element of it is unknown; pictures of other hosts are named and not fetched."""
    await expect(page.locator("#log .unsupported")).to_have_count(0)
    await expect(page.locator("#log [role=img][aria-label='a big graph']")).to_have_count(1)
    await expect(page.locator("#log input[type=date]")).to_have_value("2026-11-21")
    await expect(page.locator("#log input[type=time]")).to_have_value("07:30")
    await expect(page.locator("#log input[type=checkbox]:checked")).to_have_count(1)
    await page.set_viewport_size({"width": 360, "height": 740})
    assert not await overflows(page)


async def test_a_button_is_pressed_once_with_its_value(
    page: Page, sandbox: Sandbox, actions: Actions
) -> None:
    """The app gets the action, the block and the value."""
    await page.get_by_role("button", name="Approve").click()
    action = await heard(sandbox, actions, 1)
    assert (action["action_id"], action["block_id"], action["value"]) == ("approve", "buttons", "1")


async def test_a_dangerous_button_asks_first(page: Page, sandbox: Sandbox, actions: Actions) -> None:
    """No on the dialog, or Esc, and nothing happens; yes, and the app hears of it."""
    restart = page.get_by_role("button", name="Restart", exact=True)
    await restart.click()
    await expect(page.locator("#confirm")).to_contain_text("This cannot be undone.")
    await page.keyboard.press("Escape")
    await restart.click()
    await page.get_by_role("button", name="Leave it").click()
    await restart.click()
    await page.get_by_role("button", name="Restart it").click()
    assert (await heard(sandbox, actions, 1))["action_id"] == "restart"
    assert len(actions) == 1


@pytest.mark.parametrize(
    ("label", "typed", "name", "value"),
    [
        ("A colour", "gre", "selected_option", "green"),
        ("In groups", "cy", "selected_option", "cyan"),
        ("A service", "pay", "selected_option", "pay-service"),
        ("Somebody", "dana", "selected_user", "U000000DBA"),
        ("A channel", "alert", "selected_channel", "C0000ALERTS"),
        ("A conversation", "ops", "selected_conversation", OPS),
    ],
)
async def test_selects_are_chosen_from_by_typing(
    page: Page, sandbox: Sandbox, actions: Actions, label: str, typed: str, name: str, value: str
) -> None:
    """A few letters and Enter; an external select asks the app for its options."""
    await page.get_by_role("combobox", name=label).click()
    await page.keyboard.type(typed)
    await page.get_by_role("option").first.wait_for()
    await expect(page.get_by_role("option").first).to_contain_text(re.compile(typed, re.IGNORECASE))
    await page.keyboard.press("Enter")
    chosen = (await heard(sandbox, actions, 1))[name]
    assert (chosen["value"] if isinstance(chosen, dict) else chosen) == value


async def test_several_are_chosen_one_after_the_other(page: Page, sandbox: Sandbox, actions: Actions) -> None:
    """In a multi-select a choice adds, and the cross on it takes it away."""
    await page.get_by_role("combobox", name="Colours").click()
    await page.get_by_role("option", name="Green").click()
    assert [one["value"] for one in (await heard(sandbox, actions, 1))["selected_options"]] == [
        "red",
        "blue",
        "green",
    ]
    await page.get_by_role("button", name="Remove Blue").click()
    assert [one["value"] for one in (await heard(sandbox, actions, 2))["selected_options"]] == [
        "red",
        "green",
    ]


async def test_menus_dates_and_boxes_tell_the_app(page: Page, sandbox: Sandbox, actions: Actions) -> None:
    """Overflow, date, time, check boxes and radio buttons each send what was chosen."""
    await page.get_by_role("button", name="More actions").click()
    await page.get_by_role("menuitem", name="Silence").click()
    assert (await heard(sandbox, actions, 1))["selected_option"]["value"] == "silence"
    await page.locator("#log input[type=date]").fill("2026-12-24")
    assert (await heard(sandbox, actions, 2))["selected_date"] == "2026-12-24"
    await page.locator("#log input[type=time]").fill("23:05")
    assert (await heard(sandbox, actions, 3))["selected_time"] == "23:05"
    await page.locator("#log input[type=checkbox]").first.check()
    assert [one["value"] for one in (await heard(sandbox, actions, 4))["selected_options"]] == [
        "red",
        "green",
    ]
    await page.locator("#log input[type=radio]").last.check()
    assert (await heard(sandbox, actions, 5))["selected_option"]["value"] == "blue"


async def test_the_same_action_in_two_blocks_is_told_apart(
    open_page: Open, client: AsyncWebClient, sandbox: Sandbox, actions: Actions
) -> None:
    """An action_id is unique in its block only: the button that was pressed is the one that counts."""
    rows = [
        {
            "type": "section",
            "block_id": name,
            "text": gallery.plain(name),
            "accessory": {
                "type": "button",
                "action_id": "details",
                "text": gallery.plain(f"Details of {name}"),
                "value": name,
            },
        }
        for name in ("one", "two")
    ]
    await client.chat_postMessage(channel=OPS, text="rows", blocks=rows)
    page = await open_page()
    await page.get_by_role("button", name="Details of two").click()
    action = await heard(sandbox, actions, 1)
    assert (action["block_id"], action["value"]) == ("two", "two")


async def test_pictures_and_texts_that_were_uploaded_are_shown(
    open_page: Open, client: AsyncWebClient
) -> None:
    """A picture is drawn, a text is shown with its first lines, and both can be fetched."""
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00"
        "050001ff56c72f0d0000000049454e44ae426082"
    )
    await client.files_upload_v2(channel=OPS, filename="graph.png", content=png, title="Latency")
    text = "\n".join(f"line {number}" for number in range(40))
    await client.files_upload_v2(channel=OPS, filename="log.txt", content=text)
    page = await open_page()
    await message(page, "line 11").wait_for()
    assert await message(page, "line 12").count() == 0
    picture = page.locator("#log img")
    await expect(picture).to_have_js_property("naturalWidth", 1)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="log.txt").click()
    assert (await (await download.value).path()).read_text() == text
