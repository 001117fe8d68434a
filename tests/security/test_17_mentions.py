"""17: text from outside pings nobody and leads nowhere. Also kept by tests/slack/test_render.py,
tests/scenario/test_delivery.py, tests/browser/test_hostile.py and tests/sandbox/test_any_payload.py."""

import re
from typing import Any

import pytest

from bot.slack.modals import answer_form
from bot.slack.render import blocks, escape, fallback
from commands.reply import Alarm, Button, Buttons, Fields, Line, Lines, Listing, Mark, Note, Paragraph, Reply
from tests.slack.test_render import texts, types

HOSTILE = (
    "<!channel>",
    "<!here|here>",
    "<!everyone>",
    "<!subteam^S000000SRE>",
    "<@U0000ADMIN>",
    "<#C000000OPS|ops>",
    "<http://evil.example|Approve>",
    "<!date^0^{date}^http://evil.example|now>",
    "&lt;!channel&gt;",
    "<mailto:a@b|c>",
    "*bold* _it_ `code` ~no~ :fire:",
    "> quote\n```x```",
    "\u202e<!here>",
    "<\u200b!channel>",
    "<!channel\n>",
)


@pytest.mark.parametrize("text", HOSTILE, ids=[str(at) for at in range(len(HOSTILE))])
def test_it_is_text_wherever_it_stands(text: str) -> None:
    """In no element is it mrkdwn, and where Slack parses (the notification) it is escaped."""
    reply = Reply(
        title=text,
        fallback=text,
        elements=(
            Paragraph(text),
            Note(text),
            Alarm(text),
            Fields(((text, text),)),
            Lines((Line(mark=Mark.TO_DO, text=text, note=text),)),
            Listing(text, text),
            Buttons((Button(text=text, action="x", value=text, confirm=text, command=text),)),
        ),
    )
    drawn = blocks(reply)

    assert "mrkdwn" not in types(drawn)
    assert not {"user", "usergroup", "broadcast", "channel", "link", "date"} & types(drawn)
    assert not re.search(r"<[!@#h]", fallback(reply))
    assert "mrkdwn" not in types(_view(text))


def _view(text: str) -> Any:
    return answer_form(title=text, about=text, label=text, kept={"value": text})


def test_what_slack_would_parse_is_escaped_once() -> None:
    """`&` first, so that nothing is unescaped into markup."""
    assert escape("<!channel> &lt;!here&gt;") == "&lt;!channel&gt; &amp;lt;!here&amp;gt;"
    assert texts(blocks(Reply(title="a", fallback="a", elements=(Paragraph("&lt;b"),))))[-1] == "&lt;b"
