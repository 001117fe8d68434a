"""Texts that want to be more than text: they are shown, and do nothing."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser, Page, expect
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from bot.sandbox.model import Content
from bot.sandbox.people import Member
from tests.browser import gallery
from tests.browser.conftest import LOOP, Open
from tests.browser.driving import message, send

pytestmark = [pytest.mark.debian("chromium"), pytest.mark.asyncio(loop_scope=LOOP)]

OPS = "C000000OPS"
EVIL = (
    "<script>window.owned=1</script><img src=x onerror=window.owned=1> <!channel> "
    "<javascript:window.owned=1|click> [go](javascript:window.owned=1) "
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe ${7*7} {{7*7}} <b>b</b> :<i>: <@U0|<u>x</u>> `</code><svg onload=x>`"
)
SHORT = "<img src=x onerror=window.owned=1>"
ATTACHED = ("text", "pretext", "title", "author_name", "footer", "title_link", "author_link")
MARKDOWN = f"# {EVIL}\n- {EVIL}\n\n{EVIL}\n\n| {SHORT} |\n|---|\n| {SHORT} |\n\n```\n{EVIL}\n```"
#: What mrkdwn may become in the page, with the attributes that it may have.
ALLOWED = {
    "B": (), "I": (), "S": (), "CODE": (), "BLOCKQUOTE": (), "BR": (), "PRE": ("tabindex",),
    "A": ("href", "target", "rel", "title", "class"), "SPAN": ("class", "title", "role", "aria-label"),
    "TIME": ("datetime", "title"),
}  # fmt: skip

LOOK = """() => ({
    owned: window.owned,
    scripts: document.querySelectorAll("script:not([src^='/page/static/'])").length,
    foreign: document.querySelectorAll("iframe, object, embed, svg, base, form, #log img").length,
    links: [...document.querySelectorAll("a[href]")].map((each) => each.href)
        .filter((href) => !/^(https?|mailto):/.test(href)),
    handlers: [...document.querySelectorAll("*")].flatMap((each) => each.getAttributeNames())
        .filter((name) => name.startsWith("on")),
})"""
INERT = {"scripts": 0, "foreign": 0, "links": [], "handlers": []}


async def seen(page: Page) -> dict[str, Any]:
    """What a hostile text would have changed."""
    found: dict[str, Any] = await page.evaluate(LOOK)
    return {name: value for name, value in found.items() if value is not None}


def evil_blocks() -> list[dict[str, Any]]:
    """The text wherever a message can have text."""
    plain = gallery.plain(EVIL)
    mrkdwn = {"type": "mrkdwn", "text": EVIL}
    short = gallery.plain(SHORT)
    choice = {"text": short, "value": SHORT, "description": short}
    section = [
        {"type": "text", "text": EVIL},
        {"type": "link", "url": "javascript:window.owned=1", "text": EVIL},
    ]
    return [
        {"type": "header", "text": gallery.plain(EVIL[:150])},
        {"type": "section", "text": mrkdwn, "fields": [plain, mrkdwn]},
        {
            "type": "section",
            "text": plain,
            "accessory": {"type": "image", "image_url": "javascript:window.owned=1", "alt_text": EVIL},
        },
        {"type": "context", "elements": [plain, mrkdwn]},
        {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "text": short,
                    "action_id": SHORT,
                    "url": "javascript:window.owned=1",
                    "value": EVIL,
                },
                {"type": "static_select", "action_id": "s", "placeholder": short, "options": [choice]},
                {"type": "checkboxes", "action_id": "c", "options": [choice]},
            ],
        },
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_section", "elements": section},
                {"type": "rich_text_preformatted", "elements": section},
                {
                    "type": "rich_text_list",
                    "style": "bullet",
                    "elements": [{"type": "rich_text_section", "elements": section}],
                },
            ],
        },
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_section",
                    "elements": [
                        {"type": "emoji", "name": SHORT},
                        {"type": "user", "user_id": SHORT},
                        {"type": "channel", "channel_id": SHORT},
                        {"type": "usergroup", "usergroup_id": SHORT},
                        {"type": "color", "value": "red;background:url(//x.example)"},
                        {"type": "date", "timestamp": 1, "format": EVIL, "url": "javascript:window.owned=1"},
                    ],
                }
            ],
        },
        {"type": "markdown", "text": MARKDOWN},
        {"type": "table", "rows": [[{"type": "raw_text", "text": EVIL}]]},
        {"type": "image", "image_url": "https://x.example/x.png", "alt_text": EVIL, "title": plain},
    ]


async def test_hostile_texts_in_every_block_are_shown_and_do_nothing(
    open_page: Open, client: AsyncWebClient
) -> None:
    """No script runs, no link leads into one, nothing is asked of others, nothing had to be refused."""
    for block in evil_blocks():
        await client.chat_postMessage(channel=OPS, text=EVIL, blocks=[block])
    await client.chat_postMessage(channel=OPS, text=EVIL)
    await client.chat_postMessage(
        channel=OPS,
        text=EVIL,
        username=SHORT,
        attachments=[dict.fromkeys(ATTACHED, EVIL) | {"color": "red;x:y"}],
    )
    page = await open_page()
    await expect(page.locator("#log article")).to_have_count(len(evil_blocks()) + 2)
    await page.get_by_role("button", name=SHORT).click()
    await page.get_by_role("combobox").first.click()

    assert await seen(page) == INERT
    assert EVIL.splitlines()[0][:30] in await page.locator("#log .block-header").inner_text()
    assert len(page.context.pages) == 1


async def test_hostile_names_and_files_are_only_names(
    open_page: Open, client: AsyncWebClient, sandbox: Sandbox
) -> None:
    """People, channels, topics, reactions and files: what somebody else named does nothing either."""
    workspace = sandbox.workspace
    workspace.members["U00000EVIL"] = Member("U00000EVIL", "evil", SHORT)
    workspace.channels[OPS].topic = EVIL
    workspace.add_channel(SHORT, "U0000ADMIN")
    posted = workspace.post(OPS, "U00000EVIL", Content(EVIL), reactions={SHORT: ["U00000EVIL"]})
    workspace.post(OPS, "U00000EVIL", Content(EVIL), thread_ts=posted.ts)
    await client.files_upload_v2(channel=OPS, filename='x"><script>.html', content=EVIL, title=SHORT)
    page = await open_page()
    await page.locator("#log .replies").click()
    await page.locator("#drawer-toggle").click()
    await send(page, EVIL)
    await page.locator("#who > button").click()
    await page.locator("#drawer details").first.click()
    assert await seen(page) == INERT


async def test_hostile_forms_do_nothing(open_page: Open, client: AsyncWebClient, sandbox: Sandbox) -> None:
    """Title, labels, hints, placeholders and options of a modal."""
    short = gallery.plain(SHORT)
    view = {
        "type": "modal",
        "title": gallery.plain("<b onclick=x>t</b>"),
        "submit": gallery.plain("<b>s</b>"),
        "blocks": [
            gallery.field(
                SHORT, SHORT, {"type": "plain_text_input", "action_id": SHORT, "placeholder": short}
            ),
            {
                **gallery.field(
                    "x", SHORT, {"type": "static_select", "action_id": "a", "options": gallery.COLOURS}
                ),
                "hint": short,
            },
        ],
    }
    page = await open_page()
    await client.views_open(trigger_id=sandbox.triggers.give("U0000ADMIN"), view=view)
    await expect(page.locator("#modal-title")).to_have_text("<b onclick=x>t</b>")
    await page.locator("#modal .primary").click()
    await expect(page.locator("#modal .fault").first).to_have_text("Please complete this required field.")
    assert await seen(page) == INERT


async def test_the_page_cannot_be_made_to_run_a_text(browser: Browser, sandbox: Sandbox) -> None:
    """Even a mistake in our own code would not do it: the browser refuses markup from a string."""
    page = await browser.new_page()  # not by open_page, whose pages must not complain
    await page.goto(sandbox.workspace.base_url)
    refused = await page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; } }"
    )
    await page.close()
    assert refused == "TypeError"


async def test_a_turned_text_stays_in_its_place(open_page: Open, sandbox: Sandbox) -> None:
    """An override of the direction of writing ends with the text: what follows is read as it is."""
    page = await open_page()
    await send(page, "\N{RIGHT-TO-LEFT OVERRIDE}turned")
    text = message(page, "turned").locator(".text")
    assert await text.evaluate("(each) => getComputedStyle(each).unicodeBidi") == "isolate"


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """What hypothesis makes of the pieces that parsers stumble on, and what could take them long."""
    pieces = st.sampled_from(
        [
            *"*_~`<>|&;:!@#^[]()\\-+.\n ",
            "```", "&lt;", "&gt;", "&amp;", "<@U00000SRE1>", "<#C000000OPS|ops>", "<!channel>",
            "<!date^1^{date}^", "javascript:alert(1)", "https://x.example", "mailto:a@b.example",
            "data:text/html,", "<script>", "</b>",
            " onload=x ", ":tada:", "word", "1. ", "- ", "> ", "# ", "| a |\n|---|\n",
            "\N{RIGHT-TO-LEFT OVERRIDE}", "\0",
        ]
    )  # fmt: skip
    texts: list[str] = []

    @settings(max_examples=400, database=None, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.lists(pieces | st.text(max_size=3), max_size=30).map("".join))
    def collect(text: str) -> None:
        texts.append(text)

    collect()
    return [
        *texts,
        "*a " * 5000,
        "_" * 20_000,
        "<" * 20_000,
        "[" * 12_000,
        "`a" * 6000,
        "> " * 5000,
        "**a " * 3000,
    ]


@pytest.mark.parametrize("module", ["mrkdwn.js:parse", "markdown.js:parseMarkdown"])
async def test_no_text_becomes_more_than_marks(open_page: Open, texts: list[str], module: str) -> None:
    """Hundreds of texts, none of which takes long: only marks come out, and links to the web and mail."""
    page = await open_page()
    name, _, function = module.partition(":")
    found = await page.evaluate(
        """async ([name, parser, texts, allowed]) => {
            const parse = (await import(`/page/static/${name}`))[parser];
            const { draw } = await import("/page/static/text.js");
            const { markdownBlock } = await import("/page/static/richtext.js");
            const own = new Set("P H3 H4 H5 H6 HR UL LI DIV TABLE THEAD TBODY TR TH TD".split(" "));
            const wrong = [];
            for (const text of texts) {
                const root = document.createElement("div");
                const start = performance.now();
                if (parser === "parse") root.append(...draw(parse(text)));
                else root.append(markdownBlock({ text }));
                if (performance.now() - start > 100) wrong.push(["slow", text]);
                for (const each of root.querySelectorAll("*")) {
                    const may = allowed[each.tagName];
                    const fits = may || (parser !== "parse" && own.has(each.tagName));
                    if (!fits) wrong.push([each.tagName, text]);
                    for (const attribute of each.getAttributeNames())
                        if (may && !may.includes(attribute)) wrong.push([attribute, text]);
                    const leads = each.tagName === "A" ? each.getAttribute("href") : "#C";
                    if (!/^(https?:|mailto:|#[CGD])/.test(leads)) wrong.push([leads, text]);
                }
            }
            return wrong;
        }""",
        [name, function, texts, {tag: list(may) for tag, may in ALLOWED.items()}],
    )
    assert found == []
