"""Draws replies in Block Kit: the only file that writes blocks.

Text is set in rich_text, where it is data: nothing in it is parsed, so `<!channel>`, `*` or a backtick in a
host name is shown as it is and pings nobody. Only the notification's fallback line is mrkdwn; it is escaped.

Limits (docs.slack.dev, reference/block-kit): 50 blocks, 150 characters in a header, 3,000 in a text object.
The sum over a message is undocumented; about 13,200 characters, less 125 for each further block, were
measured by others (slackapi/bolt-js issues 2509 and 2867).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from commands.reply import Element, Listing, Note, Paragraph, Reply, Row, Rows, Span, Style, Text
from runbooks.status import Status
from runbooks.visible import shorten

Block = dict[str, Any]

HEADER_LENGTH = 150
CONTEXT_LENGTH = 2000
FALLBACK_LENGTH = 1000
#: Characters of one message, and what a block costs besides its text: under what Slack takes.
MESSAGE_LENGTH = 12_500
BLOCK_COST = 125
MOST_BLOCKS = 45
#: Characters of one row's note on the card; the whole of it stands in the thread.
NOTE_LENGTH = 300
PARAGRAPH_LENGTH = 2500
#: Characters of a listing that are shown in the thread itself; a longer one becomes a file.
LISTING_LENGTH = 3500

_SYMBOLS = {
    Status.OK: "large_green_circle",
    Status.WARNING: "large_yellow_circle",
    Status.CRITICAL: "red_circle",
    Status.UNKNOWN: "grey_question",
    Status.SKIPPED: "white_circle",
}
#: A header draws no emoji by name without parsing all of its text for them.
_SIGNS = {
    Status.OK: "🟢",
    Status.WARNING: "🟡",
    Status.CRITICAL: "🔴",
    Status.UNKNOWN: "❔",
    Status.SKIPPED: "⚪",
}
_STYLES = {Style.STRONG: {"bold": True}, Style.CODE: {"code": True}}

#: Control characters, and the ones that turn or hide text: a name must not be able to fake a line.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: str) -> str:
    """The text without characters that Slack refuses or that would disguise what it says."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def escape(text: str) -> str:
    """For mrkdwn: no mention, no link, no channel-wide ping can come from it."""
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fallback(reply: Reply) -> str:
    """One line for notifications and for clients that draw no blocks."""
    return escape(shorten(" ".join(reply.fallback.split()), FALLBACK_LENGTH)) or "Maint"


def blocks(reply: Reply) -> list[Block]:
    """The reply as blocks that Slack takes at any size; what does not fit is counted in a last line."""
    header = {
        "type": "header",
        "text": {"type": "plain_text", "text": _header(reply), "emoji": False},
    }
    drawn: list[Block] = [header]
    room = MESSAGE_LENGTH - sum(_length(block) + BLOCK_COST for block in drawn)
    left_out = 0
    for block, length in _elements(reply.elements):
        if length <= room and len(drawn) < MOST_BLOCKS and not left_out:
            drawn.append(block)
            room -= length
        else:
            left_out += 1
    if left_out:
        where = " The thread has everything." if reply.details else ""
        drawn.append(_context(f"… and {left_out} more that did not fit.{where}"))
    return drawn


def listing_blocks(listing: Listing) -> list[Block]:
    """A short listing for a thread."""
    text = shorten(clean(listing.text), LISTING_LENGTH) or " "
    preformatted = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "elements": [preformatted]}]


def _header(reply: Reply) -> str:
    sign = f"{_SIGNS[reply.status]} " if reply.status else ""
    return shorten(sign + " ".join(clean(reply.title).split()), HEADER_LENGTH).strip() or "Maint"


def _elements(elements: Iterable[Element]) -> Iterator[tuple[Block, int]]:
    for element in elements:
        match element:
            case Rows(rows):
                for row in rows:
                    yield _measured(_rich(_row(row)))
            case Paragraph(text):
                yield _measured(_rich(_spans(text, PARAGRAPH_LENGTH)))
            case Note(text):
                note = text if isinstance(text, str) else "".join(span.text for span in text)
                yield _measured(_context(note))
            case Listing():
                for block in listing_blocks(element):
                    yield _measured(block)


def _row(row: Row) -> list[Block]:
    """`● title  value  > bound  ·  7-day median …` and the reason on a line of its own."""
    parts = [
        _symbol(row.status),
        _text(f" {row.status}  "),
        _text(shorten(clean(row.title), 200), {"bold": True}),
    ]
    if row.value:
        parts += [_text("  "), _text(shorten(clean(row.value), 200), {"bold": True})]
    if row.bound:
        parts.append(_text(f"  (limit {shorten(clean(row.bound), 200)})"))
    if row.trend:
        parts.append(_text(f"  ·  {shorten(clean(row.trend), 200)}"))
    if row.note:
        parts.append(_text("\n" + shorten(clean(row.note), NOTE_LENGTH)))
    return parts


def _spans(text: Text, length: int) -> list[Block]:
    spans = (Span(text),) if isinstance(text, str) else text
    parts = []
    for span in spans:
        shown = shorten(clean(span.text), length)
        length = max(1, length - len(shown))
        if shown:
            parts.append(_text(shown, _STYLES.get(span.style)))
    return parts or [_text(" ")]


def _text(text: str, style: dict[str, bool] | None = None) -> Block:
    return {"type": "text", "text": text, "style": style} if style else {"type": "text", "text": text}


def _symbol(status: Status) -> Block:
    return {"type": "emoji", "name": _SYMBOLS[status]}


def _rich(parts: list[Block]) -> Block:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": parts}]}


def _context(text: str) -> Block:
    shown = shorten(clean(text), CONTEXT_LENGTH) or " "
    return {"type": "context", "elements": [{"type": "plain_text", "text": shown, "emoji": False}]}


def _measured(block: Block) -> tuple[Block, int]:
    return block, _length(block) + BLOCK_COST


def _length(part: object) -> int:
    """Characters of text in a block, or in a part of one."""
    if isinstance(part, dict):
        own = len(part["text"]) if isinstance(part.get("text"), str) else 0
        return own + sum(_length(value) for value in part.values())
    return sum(map(_length, part)) if isinstance(part, list) else 0
