"""Draws replies at the terminal: the same replies that Slack shows."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as RichText

from commands.command import Progress
from commands.reply import Element, Facts, Listing, Note, Paragraph, Reply, Row, Rows, Span, Style, Text
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
_STYLES = {Style.STRONG: "bold", Style.CODE: "cyan", Style.FAINT: "dim", Style.PLAIN: ""}


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
            return _table(rows)
        case Paragraph(text):
            return _text(text)
        case Note(text):
            note = _text(text)
            note.stylize("dim")
            return note
        case Facts(pairs):
            return Group(*(RichText.assemble((f"{name}: ", "bold"), _text(value)) for name, value in pairs))
        case Listing(_, text):
            return RichText(_safe(text))


def _table(rows: tuple[Row, ...]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(4):
        table.add_column(overflow="fold")
    for row in rows:
        mark = RichText(f"{_SYMBOLS[row.status]} {row.status}", style=_COLOURS[row.status])
        limit = f"limit {row.bound}" if row.bound else ""
        about = "  ".join(part for part in (limit, row.trend, row.note) if part)
        table.add_row(
            mark, RichText(_safe(row.title), style="bold"), _safe_text(row.value), _safe_text(about)
        )
    return table


def _text(text: Text) -> RichText:
    spans = (Span(text),) if isinstance(text, str) else text
    return RichText.assemble(*((_safe(span.text), _STYLES[span.style]) for span in spans))


def _safe_text(text: str) -> RichText:
    return RichText(_safe(text))


def _safe(text: str) -> str:
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )
