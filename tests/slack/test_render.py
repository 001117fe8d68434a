"""Block Kit that Slack takes, at any size and with any text."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.validate import message_blocks
from bot.slack.render import blocks, escape, fallback, listing_blocks, mention
from commands.reply import (
    Alarm,
    Button,
    Buttons,
    ButtonStyle,
    Fields,
    Line,
    Lines,
    Listing,
    Mark,
    Note,
    Paragraph,
    Reply,
    Row,
    Rows,
    code,
    link,
    moment,
    strong,
)
from runbooks.status import Status

HOSTILE = "<!channel> <@U0ADMIN> <http://evil|ok> *bold* `code` ~no~ _so_ :fire: & \u202e\x00\x1b[31m"


def texts(part: Any) -> list[str]:
    """Every text in a structure of blocks."""
    if isinstance(part, dict):
        own = [part["text"]] if isinstance(part.get("text"), str) else []
        return own + [text for value in part.values() for text in texts(value)]
    if isinstance(part, list):
        return [text for item in part for text in texts(item)]
    return []


def types(part: Any) -> set[str]:
    """Every `type` in a structure of blocks."""
    if isinstance(part, dict):
        own = {str(part["type"])} if "type" in part else set()
        return own.union(*(types(value) for value in part.values()))
    if isinstance(part, list):
        return set().union(*(types(item) for item in part))
    return set()


def report(rows: int, note: str) -> Reply:
    row = Row(status=Status.CRITICAL, title="db", value="97 %", bound="> 80 %", trend="7-day", note=note)
    return Reply(
        title=note or "Health",
        fallback=note or "Health",
        status=Status.CRITICAL,
        elements=(
            Rows((row,) * rows),
            Paragraph((strong(note), code(note))),
            Note(note),
            Listing("log", note),
        ),
        details=(Listing("health.txt", note),),
    )


def assert_slack_takes(drawn: list[dict[str, Any]]) -> None:
    """Raises what the sandbox, which is as strict as Slack, would answer."""
    message_blocks(drawn)


def test_two_hundred_rows_with_long_errors_fit_into_one_card() -> None:
    """200 checks with 3,000 characters each become a card within Slack's limits that says what is missing."""
    drawn = blocks(report(200, "x" * 3000))

    assert_slack_takes(drawn)
    assert "more that did not fit. The thread has everything." in texts(drawn)[-1]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 80), st.text(max_size=4000))
def test_any_reply_is_a_card_that_slack_takes(rows: int, text: str) -> None:
    """Whatever the number of rows and whatever the text, limits hold and no text is empty."""
    assert_slack_takes(blocks(report(rows, text)))


def test_text_is_never_parsed() -> None:
    """Hostile text stands only in blocks whose text Slack does not parse, so it pings nobody."""
    drawn = blocks(report(3, HOSTILE))

    assert "mrkdwn" not in types(drawn)
    assert not {"user", "usergroup", "channel", "broadcast", "link"} & types(drawn)
    assert any("<!channel>" in text for text in texts(drawn))


def test_what_would_disguise_text_is_made_visible() -> None:
    """Control characters and the ones that turn the direction of text do not reach Slack."""
    shown = "".join(texts(blocks(report(1, HOSTILE))))

    assert not {"\u202e", "\x00", "\x1b"} & set(shown)


def test_the_fallback_is_escaped_mrkdwn() -> None:
    """The notification line, which Slack does parse, has its three special characters escaped."""
    assert escape("<!channel> & co") == "&lt;!channel&gt; &amp; co"
    assert "<" not in fallback(report(1, HOSTILE))


def test_a_listing_is_set_letter_by_letter() -> None:
    """Output in a thread keeps its lines and its backticks."""
    drawn = listing_blocks(Listing("x", "a ```b\n  c"))

    assert texts(drawn) == ["a ```b\n  c"]
    assert "rich_text_preformatted" in types(drawn)


def card(text: str, lines: int, buttons: int) -> Reply:
    button = Button(
        text=text, action="approve", value="run.ask", style=ButtonStyle.DANGER, confirm=text, command=text
    )
    return Reply(
        title=text,
        fallback=text,
        elements=(
            Alarm(text),
            Fields(((text, text),) * 10),
            Lines(tuple(Line(mark=mark, text=text, note=text, depth=2) for mark in Mark) * lines),
            *(Buttons((button,)) for _ in range(buttons)),
        ),
    )


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=4000), st.integers(0, 20), st.integers(0, 60))
def test_any_card_with_buttons_is_one_that_slack_takes(text: str, lines: int, buttons: int) -> None:
    """Whatever stands on the buttons and however many there are."""
    assert_slack_takes(blocks(card(text, lines, buttons)))


def test_what_can_be_pressed_is_there_however_long_the_rest_is() -> None:
    """Lines give way to buttons and alarms."""
    drawn = blocks(card("x" * 400, 40, 1))

    assert "maint:approve" in str(drawn)
    assert "red_circle" in str(drawn)
    assert "more that did not fit" in texts(drawn)[-1]


def test_moments_and_links_are_slacks_own() -> None:
    """A moment is drawn in the reader's time, with its UTC time where that is not possible."""
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    parts = (moment(at), moment(at, ago=True), link("run", "https://x.slack.com/1"), link("none", ""))
    reply = Reply(title="t", fallback="t", elements=(Paragraph(parts),))
    (section,) = blocks(reply)[1]["elements"]

    assert [part["type"] for part in section["elements"]] == ["date", "date", "link", "text"]
    assert section["elements"][0]["fallback"] == "2026-11-21 12:00 UTC"
    assert_slack_takes(blocks(reply))


def test_a_mention_calls_those_who_are_known_and_names_the_others() -> None:
    """A role without anybody in Slack is text."""
    assert {"user", "usergroup"} <= types([mention(["U1", "S1"], "x")])
    assert texts([mention([], "<!channel>")]) == ["<!channel>"]
    assert_slack_takes([mention(["U1", "S1"], "x"), mention([], "")])
