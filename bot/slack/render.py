"""Draws replies in Block Kit: the only file that writes blocks.

Text is set in rich_text, where it is data: nothing in it is parsed, so `<!channel>`, `*` or a backtick in a
host name is shown as it is and pings nobody. Only the notification's fallback line is mrkdwn; it is escaped.

Limits (docs.slack.dev, reference/block-kit): 50 blocks, 150 characters in a header, 3,000 in a text object.
The sum over a message is undocumented; about 13,200 characters, less 125 for each further block, were
measured by others (slackapi/bolt-js issues 2509 and 2867).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from commands.reply import (
    Alarm,
    Button,
    Buttons,
    ButtonStyle,
    Element,
    Fields,
    Line,
    Lines,
    Listing,
    Mark,
    Menu,
    Note,
    Paragraph,
    Reply,
    Row,
    Rows,
    Span,
    Style,
    Text,
    plain,
)
from runbooks.status import Status
from runbooks.visible import shorten

T = TypeVar("T")

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
#: Lines of a list that share a block: a block of its own costs each of them BLOCK_COST.
LINES_PER_BLOCK = 8
#: Characters of one line of a list, and of its note.
LINE_LENGTH = 400
#: Characters of a message that alarms and buttons may take before anything else: thirty blocks at most.
RESERVED_LENGTH = 5000
ALARM_LENGTH = 600
#: Buttons of one row (Slack takes 25), characters on one (Slack takes 75) and in the question before it.
MOST_BUTTONS, BUTTON_LENGTH, CONFIRM_LENGTH = 25, 75, 300
#: What a button's action_id begins with, so that one listener takes them all.
ACTION = "maint:"
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
_MARKS = {
    Mark.TO_DO: "white_circle",
    Mark.RUNNING: "arrow_forward",
    Mark.WAITING: "hourglass_flowing_sand",
    Mark.DONE: "white_check_mark",
    Mark.WARNING: "warning",
    Mark.FAILED: "x",
    Mark.IN_DOUBT: "grey_question",
    Mark.SKIPPED: "fast_forward",
    Mark.CANCELLED: "no_entry_sign",
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
    return [header, *blocks_of(reply.elements, taken=_length(header) + BLOCK_COST, more=bool(reply.details))]


def blocks_of(elements: Iterable[Element], taken: int = 0, *, more: bool = False) -> list[Block]:
    """The elements of a message of which so many characters are taken. `more`: a thread has all of it."""
    drawn: list[Block] = []
    measured = list(_elements(elements))
    # What people have to see or to press is there however long the rest is.
    kept = [length for _, length, keep in measured if keep]
    room = MESSAGE_LENGTH - taken - sum(kept)
    places = MOST_BLOCKS - 1 - len(kept)
    left_out = 0
    for block, length, keep in measured:
        if keep:
            drawn.append(block)
        elif length <= room and places > 0 and not left_out:
            drawn.append(block)
            room, places = room - length, places - 1
        else:
            left_out += 1
    if left_out:
        where = " The thread has everything." if more else ""
        drawn.append(_context(f"… and {left_out} more that did not fit.{where}"))
    return drawn


def mention(ids: Iterable[str], name: str) -> Block:
    """Calls those people and usergroups; names who is meant where Slack knows nobody."""
    parts: list[Block] = []
    for id_ in ids:
        group = id_.startswith("S")
        called = {"usergroup_id": id_} if group else {"user_id": id_}
        parts += [{"type": "usergroup" if group else "user", **called}, _text(" ")]
    return _rich(parts or [_text(shorten(clean(name), BUTTON_LENGTH) or " ", {"bold": True})])


def listing_blocks(listing: Listing) -> list[Block]:
    """A short listing for a thread."""
    text = shorten(clean(listing.text), LISTING_LENGTH) or " "
    preformatted = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "elements": [preformatted]}]


def _header(reply: Reply) -> str:
    sign = f"{_SIGNS[reply.status]} " if reply.status else ""
    return shorten(sign + " ".join(clean(reply.title).split()), HEADER_LENGTH).strip() or "Maint"


def _elements(elements: Iterable[Element]) -> Iterator[tuple[Block, int, bool]]:
    """Each block, what it takes of the room, and whether it must not be left out."""
    reserved = 0
    for element in elements:
        for block in _drawn(element):
            length = _length(block) + BLOCK_COST
            keep = isinstance(element, Buttons | Alarm) and reserved + length <= RESERVED_LENGTH
            reserved += length if keep else 0
            yield block, length, keep


def _drawn(element: Element) -> Iterator[Block]:
    match element:
        case Rows(rows):
            for row in rows:
                yield _rich(_row(row))
        case Paragraph(text):
            yield _rich(_spans(text, PARAGRAPH_LENGTH))
        case Note(text):
            yield _context(plain(text))
        case Alarm(text):
            sign = {"type": "emoji", "name": "red_circle"}
            yield _rich([sign, _text(" "), *_spans(text, ALARM_LENGTH, {"bold": True})])
        case Fields(pairs):
            for few in _in_parts(pairs, LINES_PER_BLOCK):
                yield _stacked([_field(name, text) for name, text in few])
        case Lines(lines):
            for some in _in_parts(lines, LINES_PER_BLOCK):
                yield _stacked([_line(line) for line in some])
        case Buttons(buttons):
            if buttons:
                yield _actions(buttons)
        case Listing():
            yield from listing_blocks(element)


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


def _spans(text: Text, length: int, style: dict[str, bool] | None = None) -> list[Block]:
    spans = (Span(text),) if isinstance(text, str) else text
    parts = []
    for span in spans:
        shown = shorten(clean(span.text), length)
        length = max(1, length - len(shown))
        if shown:
            parts.append(_span(span, shown, {**(style or {}), **_STYLES.get(span.style, {})}))
    return parts or [_text(" ")]


def _span(span: Span, shown: str, style: dict[str, bool]) -> Block:
    if span.at is not None:
        moment = {"type": "date", "timestamp": int(span.at.timestamp()), "fallback": shown}
        return {**moment, "format": "{ago}" if span.ago else "{date_short_pretty} {time}"}
    if span.url:
        return {"type": "link", "url": span.url, "text": shown, **({"style": style} if style else {})}
    return _text(shown, style)


def _line(line: Line) -> list[Block]:
    parts = [_text("\u2003" * line.depth)] if line.depth else []
    parts += [
        {"type": "emoji", "name": _MARKS[line.mark]},
        _text("  "),
        *_spans(line.text, LINE_LENGTH),
    ]
    if plain(line.note).strip():
        parts += [_text("\n" + "\u2003" * (line.depth + 2)), *_spans(line.note, LINE_LENGTH)]
    return parts


def _field(name: str, text: Text) -> list[Block]:
    label = shorten(clean(name), BUTTON_LENGTH) or " "
    return [_text(f"{label}: ", {"bold": True}), *_spans(text, LINE_LENGTH)]


def _actions(buttons: tuple[Button | Menu, ...]) -> Block:
    drawn = [_menu(each) if isinstance(each, Menu) else _button(each) for each in buttons[:MOST_BUTTONS]]
    return {"type": "actions", "elements": drawn}


def _menu(menu: Menu) -> Block:
    return {
        "type": "static_select",
        "action_id": ACTION + menu.action,
        "placeholder": _plain_text(shorten(clean(menu.text), BUTTON_LENGTH)),
        "options": [
            {"text": _plain_text(shorten(clean(text), BUTTON_LENGTH)), "value": value}
            for text, value in menu.choices
        ],
    }


def _button(button: Button) -> Block:
    drawn: Block = {
        "type": "button",
        "text": _plain_text(shorten(clean(button.text), BUTTON_LENGTH)),
        "action_id": ACTION + button.action,
        "value": button.value,
    }
    if button.style is not ButtonStyle.PLAIN:
        drawn["style"] = str(button.style)
    if button.confirm:
        drawn["confirm"] = {
            "title": _plain_text("Are you sure?"),
            "text": _plain_text(shorten(clean(button.confirm), CONFIRM_LENGTH)),
            "confirm": drawn["text"] if len(button.text) <= 30 else _plain_text("Yes"),
            "deny": _plain_text("No"),
            **({"style": "danger"} if button.style is ButtonStyle.DANGER else {}),
        }
    return drawn


def _plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text or " ", "emoji": False}


def _in_parts(items: tuple[T, ...], size: int) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _text(text: str, style: dict[str, bool] | None = None) -> Block:
    return {"type": "text", "text": text, "style": style} if style else {"type": "text", "text": text}


def _symbol(status: Status) -> Block:
    return {"type": "emoji", "name": _SYMBOLS[status]}


def _rich(parts: list[Block]) -> Block:
    return _stacked([parts])


def _stacked(sections: list[list[Block]]) -> Block:
    """Lines one below the other: sections of one block would run together."""
    parts = sections[0][:]
    for section in sections[1:]:
        parts += [_text("\n"), *section]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": parts}]}


def _context(text: str) -> Block:
    shown = shorten(clean(text), CONTEXT_LENGTH) or " "
    return {"type": "context", "elements": [{"type": "plain_text", "text": shown, "emoji": False}]}


def _length(part: object) -> int:
    """Characters of text in a block, or in a part of one."""
    if isinstance(part, dict):
        own = len(part["text"]) if isinstance(part.get("text"), str) else 0
        return own + sum(_length(value) for value in part.values())
    return sum(map(_length, part)) if isinstance(part, list) else 0
