"""Draws replies at the terminal: the same replies that Slack shows."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text as RichText

from commands.command import Progress
from commands.reply import (
    Alarm,
    Buttons,
    Element,
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
    Span,
    Style,
    Text,
    plain,
)
from runbooks.status import Status

_COLOURS = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.CRITICAL: "bold red",
    Status.UNKNOWN: "magenta",
    Status.SKIPPED: "dim",
}
_SYMBOLS = {
    Status.OK: "✔",
    Status.WARNING: "▲",
    Status.CRITICAL: "✖",
    Status.UNKNOWN: "?",
    Status.SKIPPED: "–",
}
_MARKS = {
    Mark.TO_DO: ("○", "dim"),
    Mark.RUNNING: ("▶", "cyan"),
    Mark.WAITING: ("◷", "yellow"),
    Mark.DONE: ("✔", "green"),
    Mark.WARNING: ("▲", "yellow"),
    Mark.FAILED: ("✖", "bold red"),
    Mark.IN_DOUBT: ("?", "magenta"),
    Mark.SKIPPED: ("»", "dim"),
    Mark.CANCELLED: ("–", "dim"),
}
_STYLES = {Style.STRONG: "bold", Style.CODE: "cyan", Style.PLAIN: ""}


def draw(reply: Reply) -> RenderableType:
    """The reply, in colour. Text in it is data: no markup or control sequence of it takes effect."""
    title = RichText(_safe(reply.title), style="bold")
    if reply.status:
        title = RichText.assemble((f"{_SYMBOLS[reply.status]} ", _COLOURS[reply.status]), title)
    return Group(title, *(Padding(_element(element), (0, 0, 0, 2)) for element in reply.elements))


def draw_details(reply: Reply) -> RenderableType:
    """What Slack has in the card's thread."""
    return Group(*(RichText(_safe(listing.text)) for listing in reply.details))


def print_json(reply: Reply) -> None:
    """The reply's data for machines, on standard output."""
    data = reply.data if reply.data is not None else {"error": reply.fallback}
    sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")


def print_output(reply: Reply) -> None:
    """What the reply has for programs, to the byte, on standard output."""
    sys.stdout.buffer.write(reply.output.encode())
    sys.stdout.buffer.flush()


@contextmanager
def live(console: Console) -> Iterator[Progress]:
    """Shows unfinished replies in place while a command works; on a terminal only."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with Live(console=console, refresh_per_second=8, transient=True) as display:
        yield lambda reply: display.update(draw(reply))


def _element(element: Element) -> RenderableType:
    match element:
        case Rows(rows):
            return Group(*map(_row, rows))
        case Paragraph(text):
            return _text(text)
        case Note(text):
            note = _text(text)
            note.stylize("dim")
            return note
        case Alarm(text):
            alarm = RichText.assemble("● ", _text(text))
            alarm.stylize("bold red")
            return alarm
        case Fields(pairs):
            return Group(
                *(RichText.assemble((_safe(f"{name}: "), "bold"), _text(text)) for name, text in pairs)
            )
        case Lines(lines):
            return Group(*map(_line, lines))
        case Buttons(buttons):
            typed = [button for button in buttons if button.command]
            return Group(
                *(RichText.assemble(f"{_safe(b.text)}:  ", (_safe(b.command), "cyan")) for b in typed)
            )
        case Listing(_, text):
            return RichText(_safe(text))


def _line(line: Line) -> RenderableType:
    sign, colour = _MARKS[line.mark]
    first = Padding(RichText.assemble((f"{sign} ", colour), _text(line.text)), (0, 0, 0, 2 * line.depth))
    if not plain(line.note).strip():
        return first
    return Group(first, Padding(_text(line.note), (0, 0, 0, 2 * line.depth + 4)))


def _row(row: Row) -> RenderableType:
    """As in Slack: what and how much in one line, why in the next. It stays readable in a narrow window."""
    limit = f"limit {row.bound}" if row.bound else ""
    mark = RichText(f"{_SYMBOLS[row.status]} {row.status:8}  ", style=_COLOURS[row.status])
    figures = "".join(f"  {_safe(part)}" for part in (row.value, limit, row.trend) if part)
    line = RichText.assemble(mark, (_safe(row.title), "bold"), figures)
    if not row.note:
        return line
    return Group(line, Padding(RichText(_safe(row.note)), (0, 0, 0, 4)))


def _text(text: Text) -> RichText:
    spans = (Span(text),) if isinstance(text, str) else text
    return RichText.assemble(*((_safe(span.text), _STYLES[span.style]) for span in spans))


def _safe(text: str) -> str:
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )
