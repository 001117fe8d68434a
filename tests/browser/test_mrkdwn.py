"""mrkdwn is read as Slack reads it."""

import pytest
from playwright.async_api import Page

from tests.browser.conftest import LOOP, Open

pytestmark = [pytest.mark.debian("chromium"), pytest.mark.asyncio(loop_scope=LOOP)]

LINK = 'target="_blank" rel="noopener noreferrer nofollow"'
#: Each text with what is drawn of it.
DRAWN = {
    "*bold* _italic_ ~strike~ `code`": "<b>bold</b> <i>italic</i> <s>strike</s> <code>code</code>",
    "*bold _and italic_*": "<b>bold <i>and italic</i></b>",
    "*bold *and* more*": "<b>bold *and</b> more*",
    "2*3*4 and snake_case_name": "2*3*4 and snake_case_name",
    "* not bold* *nor this *": "* not bold* *nor this *",
    "*over\nlines*": "*over<br>lines*",
    "`*as it is* &lt;b&gt;`": "<code>*as it is* &lt;b&gt;</code>",
    "```\n*a*\nb &amp; c\n```": '<pre tabindex="0"><code>*a*\nb &amp; c</code></pre>',
    "&gt; said\n&gt; twice\nno": "<blockquote>said<br>twice</blockquote>no",
    "a > b": "a &gt; b",
    "&amp;lt; is &lt;": "&amp;lt; is &lt;",
    "&quot; &copy;": "&amp;quot; &amp;copy;",
    "<https://x.example/?a=1&amp;b=2|the link>": f'<a href="https://x.example/?a=1&amp;b=2" {LINK} '
    'title="https://x.example/?a=1&amp;b=2">the link</a>',
    "see https://x.example/a.": f'see <a href="https://x.example/a" {LINK} title="https://x.example/a">https://x.example/a</a>.',
    "<mailto:a@b.example|write>": f'<a href="mailto:a@b.example" {LINK} title="mailto:a@b.example">write</a>',
    "<javascript:alert(1)|x>": "&lt;javascript:alert(1)|x&gt;",
    "<data:text/html,x|x>": "&lt;data:text/html,x|x&gt;",
    "<@U00000SRE1> <@U0UNKNOWN|eve>": '<span class="mention" title="Sam Reliable">@sre1</span> '
    '<span class="mention" title="U0UNKNOWN">@eve</span>',
    "<@U0000ADMIN>": '<span class="mention me" title="Ada Admin">@admin</span>',
    "<#C000000OPS|ops>": '<a class="mention" href="#C000000OPS">#ops</a>',
    "<!subteam^S000000DBA>": '<span class="mention">@dba</span>',
    "<!here> &lt;!here&gt;": '<span class="mention me">@here</span> &lt;!here&gt;',
    ":tada: :no_such: 10:30:00": '<span class="emoji" role="img" aria-label="tada" title=":tada:">🎉</span> '
    '<span class="emoji unknown">:no_such:</span> 10:30:00',
    "<!date^0^{time} on^https://x.example|then>": f'<a href="https://x.example/" {LINK} title="https://x.example/">'
    '<time datetime="1970-01-01T00:00:00.000Z" title="Thu Jan 01 1970 00:00:00 GMT+0000 '
    '(Coordinated Universal Time)">00:00 on</time></a>',
}  # fmt: skip

DRAW = """async (texts) => {
    const { mrkdwn } = await import("/page/static/text.js");
    return texts.map((text) => mrkdwn(text).innerHTML);
}"""


async def test_marks_links_mentions_and_emoji(open_page: Open) -> None:
    """Marks at the edges of words, Slack's three entities, references by id, and no address that runs."""
    page: Page = await open_page(timezone_id="UTC")
    drawn = await page.evaluate(DRAW, list(DRAWN))
    assert dict(zip(DRAWN, drawn, strict=True)) == DRAWN
