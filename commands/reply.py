"""What a command says, before anybody knows where it will be read.

Slack and the terminal draw the same Reply. Text in it is data: a renderer escapes it, so a host name
with `<!channel>` in it stays a host name with `<!channel>` in it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import TypeVar, cast

from runbooks.status import Status

T = TypeVar("T")


class Style(StrEnum):
    """How a piece of text is set."""

    PLAIN = "plain"
    STRONG = "strong"
    CODE = "code"


@dataclass(frozen=True)
class Span:
    """A piece of text in one style."""

    text: str
    style: Style = Style.PLAIN


#: A line of text: a plain string, or pieces in their styles.
Text = str | tuple[Span, ...]


def strong(text: str) -> Span:
    """Text that stands out."""
    return Span(text, Style.STRONG)


def code(text: str) -> Span:
    """Text to be typed or compared letter by letter."""
    return Span(text, Style.CODE)


def plain(text: Text) -> str:
    """The same without styles."""
    return text if isinstance(text, str) else "".join(span.text for span in text)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing with a status: a check, say. Drawn as one line or a short paragraph."""

    status: Status
    title: str
    value: str = ""  # "1,240 ms"
    bound: str = ""  # "> 500 ms", the threshold that it passed, or the one that it keeps
    trend: str = ""  # "7-day median 310 ms"
    note: str = ""  # the reason, or words beside the value


@dataclass(frozen=True)
class Rows:
    """Rows, in the order they are to be read."""

    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    text: Text


@dataclass(frozen=True)
class Note:
    """Small print."""

    text: Text


@dataclass(frozen=True)
class Listing:
    """Output to be read letter by letter, under its name; a renderer may make a file of a long one."""

    name: str
    text: str


Element = Rows | Paragraph | Note | Listing


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a command says. `fallback` is one line that reads well in a notification or a log."""

    title: str
    fallback: str
    status: Status | None = None
    elements: tuple[Element, ...] = ()
    details: tuple[Listing, ...] = ()  # for those who want to look closer: a thread in Slack
    private: bool = True  # seen only by the person who asked
    done: bool = True  # False while more is to come
    data: object = field(default=None, compare=False)  # the same for machines: `--json`
    run: str = ""  # the run that was started: the terminal follows it


def scrubbed(value: T, scrub: Callable[[str], str]) -> T:
    """The same with every text in it scrubbed, however deep: a Reply, or a part of one."""
    return cast("T", _scrubbed(value, scrub))


def _scrubbed(value: object, scrub: Callable[[str], str]) -> object:
    if isinstance(value, StrEnum):
        return value
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrubbed(item, scrub) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_scrubbed(item, scrub) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{each.name: _scrubbed(getattr(value, each.name), scrub) for each in fields(value)}
        )
    return value
