"""Modals and the Home tab: filling in, faults, sending, pushing, closing."""

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
from tests.browser.driving import send
from tests.sandbox.conftest import connect

pytestmark = [pytest.mark.debian("chromium"), pytest.mark.asyncio(loop_scope=LOOP)]

Values = list[dict[str, Any]]
SECOND = {"type": "modal", "title": gallery.plain("One more"), "blocks": [gallery.RICH]}
PUSHER = {
    "type": "modal",
    "callback_id": "pusher",
    "title": gallery.plain("The first"),
    "submit": gallery.plain("Further"),
    "blocks": [gallery.field("word", "Word", {"type": "plain_text_input", "action_id": "a"})],
}


@pytest_asyncio.fixture(loop_scope=LOOP)
async def sent(sandbox: Sandbox) -> AsyncIterator[Values]:
    """What an app was sent that opens the gallery on `/form`, and finds fault with the name Eve."""
    client = AsyncWebClient(sandbox.bot_token, base_url=sandbox.api_url)
    app = AsyncApp(token=sandbox.bot_token, signing_secret=sandbox.signing_secret, client=client)
    sent: Values = []

    @app.command("/form")
    async def form(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=gallery.VIEW)

    @app.command("/push")
    async def push(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=PUSHER)

    @app.view("pusher")
    async def pushed(ack: Any) -> None:
        await ack(response_action="push", view=SECOND)

    @app.view("gallery")
    async def submitted(ack: Any, view: dict[str, Any]) -> None:
        values = view["state"]["values"]
        if values["name"]["a"]["value"] == "Eve":
            await ack(response_action="errors", errors={"name": "Not Eve, please."})
            return
        sent.append(values)
        await ack()

    @app.event("app_home_opened")
    async def opened(event: dict[str, Any]) -> None:
        home = {"type": "home", "blocks": [{"type": "header", "text": gallery.plain("Your home")}]}
        await client.views_publish(user_id=event["user"], view=home)

    async with connect(sandbox, app, 1):
        yield sent


@pytest_asyncio.fixture(loop_scope=LOOP)
async def form(open_page: Open, sent: Values) -> Page:
    """A page with the form open."""
    page = await open_page()
    await send(page, "/form")
    await page.locator("#modal[open]").wait_for()
    return page


def fault(page: Page, block: str) -> Any:
    """What is said to be wrong with an input."""
    return page.locator(f"#modal [data-block={block}] .fault")


async def fill(page: Page) -> None:
    """Enters something in every kind of input."""
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("Text").fill("two\nlines")
    await page.get_by_label("Mail").fill("ada@example.com")
    await page.get_by_label("Count").fill("7")
    await page.get_by_label("Address").fill("https://example.com")
    await page.get_by_label("Day").fill("2026-12-24")
    await page.get_by_label("Hour").fill("07:30")
    await page.get_by_role("combobox", name="Colour", exact=True).fill("Green")
    await page.get_by_role("option", name="Green").click()
    await page.get_by_role("group", name="Colours").get_by_label("Blue").check()
    await page.get_by_role("radiogroup", name="One").get_by_label("Red").check()
    await page.get_by_role("combobox", name="Who").fill("Dana")
    await page.get_by_role("option", name="Dana").click()
    await page.get_by_label("Rich").fill("rich words")
    content = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"in a file"}
    await page.get_by_label("File").set_input_files(content)  # type: ignore[arg-type]
    await page.locator("#modal .files small").get_by_text("a.txt").wait_for()


async def test_what_was_entered_reaches_the_app(form: Page, sent: Values, sandbox: Sandbox) -> None:
    """Every input sends its value in Slack's own shape, and the modal closes."""
    await fill(form)
    await form.get_by_role("button", name="Send", exact=True).last.click()
    await form.locator("#modal").wait_for(state="hidden")
    values = {block: entry["a"] for block, entry in sent[0].items()}

    assert values["name"]["value"] == "Ada"
    assert values["text"]["value"] == "two\nlines"
    assert values["mail"]["value"] == "ada@example.com"
    assert values["count"]["value"] == "7"
    assert values["url"]["value"] == "https://example.com"
    assert values["day"]["selected_date"] == "2026-12-24"
    assert values["hour"]["selected_time"] == "07:30"
    assert values["colour"]["selected_option"]["value"] == "green"
    assert [each["value"] for each in values["colours"]["selected_options"]] == ["blue"]
    assert values["one"]["selected_option"]["value"] == "red"
    assert values["who"]["selected_users"] == ["U000000DBA"]
    assert values["rich"]["rich_text_value"]["elements"][0]["elements"][0]["text"] == "rich words"
    assert sandbox.workspace.files[values["file"]["files"][0]["id"]].content == b"in a file"


@pytest.mark.parametrize(
    ("label", "block", "entered", "said"),
    [
        ("Name", "name", "", "Please complete this required field."),
        ("Name", "name", "ab", "Enter at least 3 characters."),
        ("Mail", "mail", "ada", "Enter a valid email address."),
        ("Count", "count", "many", "Enter a number."),
        ("Count", "count", "1.5", "Enter a whole number."),
        ("Count", "count", "10", "Enter a number of at most 9."),
        ("Address", "url", "here", "Enter a valid URL."),
    ],
)
async def test_a_form_that_is_not_right_is_not_sent(
    form: Page, sent: Values, label: str, block: str, entered: str, said: str
) -> None:
    """Slack's client says what is wrong under the input, before the app hears of anything."""
    await form.get_by_label(label).fill(entered)
    await form.get_by_role("button", name="Send", exact=True).last.click()
    await expect(fault(form, block)).to_have_text(said)
    assert await form.get_by_label(label).get_attribute("aria-invalid") == "true"
    assert sent == []


async def test_the_app_can_find_fault(form: Page, sent: Values) -> None:
    """Its words stand under the input, which has the focus; the next attempt is sent."""
    await fill(form)
    await form.get_by_label("Name").fill("Eve")
    await form.get_by_role("button", name="Send", exact=True).last.click()
    await expect(fault(form, "name")).to_have_text("Not Eve, please.")
    await expect(form.get_by_label("Name")).to_be_focused()
    await form.get_by_label("Name").fill("Ada")
    await form.keyboard.press("Enter")
    await form.locator("#modal").wait_for(state="hidden")
    assert len(sent) == 1


async def test_what_was_typed_is_there_after_a_reload(form: Page) -> None:
    """The server keeps the form with what stands in it."""
    async with form.expect_response(lambda response: response.url.endswith("/page/enter")):
        await form.get_by_label("Name").fill("Grace")
    await form.reload()
    await expect(form.get_by_label("Name")).to_have_value("Grace")


async def test_a_form_closes_by_esc_everywhere(form: Page, open_page: Open, sandbox: Sandbox) -> None:
    """It is the member's form, not the browser's: closed here, closed in the second browser too."""
    other = await open_page()
    await other.locator("#modal[open]").wait_for()
    await form.keyboard.press("Escape")
    await form.locator("#modal").wait_for(state="hidden")
    await other.locator("#modal").wait_for(state="hidden")
    assert sandbox.views("admin") == []


async def test_a_pushed_view_lies_over_the_first(open_page: Open, sent: Values) -> None:
    """The way back leads to the first, with what was typed there."""
    page = await open_page()
    await send(page, "/push")
    await page.get_by_label("Word").fill("kept")
    await page.get_by_role("button", name="Further").click()
    await expect(page.locator("#modal-title")).to_have_text("One more")
    await page.get_by_role("button", name="Back").click()
    await expect(page.locator("#modal-title")).to_have_text("The first")
    await expect(page.get_by_label("Word")).to_have_value("kept")


async def test_the_app_that_does_not_answer_leaves_the_form_open(form: Page, sandbox: Sandbox) -> None:
    """As in Slack: some trouble connecting, and nothing that was typed is lost."""
    await fill(form)
    await sandbox.sockets.close()
    sandbox.deliver_to("http://127.0.0.1:9/nobody")
    await form.get_by_role("button", name="Send", exact=True).last.click()
    await expect(form.locator("#modal .complaint")).to_have_text("We had some trouble connecting. Try again?")
    await expect(form.get_by_label("Name")).to_have_value("Ada")
    sandbox.deliver_to(None)


async def test_the_home_tab_is_what_the_app_published(open_page: Open, sent: Values) -> None:
    """Opening it tells the app, and what the app publishes appears at once."""
    page = await open_page()
    await page.locator("#side").get_by_text("Maint").click()
    await page.get_by_role("tab", name="Home").click()
    await expect(page.locator("#home h3")).to_have_text("Your home")
    assert await page.locator("#log").is_hidden()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Messages")).to_be_focused()
    assert await page.locator("#log").is_visible()
