"""What a command says, before anybody knows where it will be read.

Slack and the terminal draw the same Reply. Text in it is data: a renderer escapes it, so a host name
with `<!channel>` in it stays a host name with `<!channel>` in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from runbooks.status import Status

T = TypeVar("T")


class Style(StrEnum):
    """How a piece of text is set."""

    PLAIN = "plain"
    STRONG = "strong"
    CODE = "code"


@dataclass(frozen=True)
class Span:
    """A piece of text in one style. With `at` it is a moment, which a renderer may write in the reader's own
    time, with `url` a link; `text` is what stands there otherwise."""

    text: str
    style: Style = Style.PLAIN
    at: datetime | None = None
    ago: bool = False  # as "5 minutes ago", where the renderer can keep that true
    url: str = ""


#: A line of text: a plain string, or pieces in their styles.
Text = str | tuple[Span, ...]


def strong(text: str) -> Span:
    """Text that stands out."""
    return Span(text, Style.STRONG)


def code(text: str) -> Span:
    """Text to be typed or compared letter by letter."""
    return Span(text, Style.CODE)


def moment(at: datetime, *, ago: bool = False) -> Span:
    """A point in time: in the reader's zone where that is known, in UTC elsewhere."""
    return Span(f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC", at=at, ago=ago)


def link(text: str, url: str) -> Span:
    """Text that leads somewhere; only text when there is no address."""
    return Span(text, url=url)


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


@dataclass(frozen=True)
class Alarm:
    """What nobody may overlook: it is red."""

    text: Text


@dataclass(frozen=True)
class Fields:
    """Names with what they stand for."""

    pairs: tuple[tuple[str, Text], ...]


class Mark(StrEnum):
    """What stands before a line of a list of things to do."""

    TO_DO = "to do"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    WARNING = "warning"
    FAILED = "failed"
    IN_DOUBT = "in doubt"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing of such a list; `note` stands below it."""

    mark: Mark
    text: Text
    note: Text = ""
    depth: int = 0


@dataclass(frozen=True)
class Lines:
    """Things to do, in their order: drawn close together."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Attachment:
    """A file that is sent along with a reply."""

    name: str
    content: bytes = field(repr=False)


class ButtonStyle(StrEnum):
    """How a button looks."""

    PLAIN = "plain"
    PRIMARY = "primary"
    DANGER = "danger"


@dataclass(frozen=True, kw_only=True)
class Button:
    """Something that people can do right here. `value` is an id and nothing else: whoever takes the click
    looks everything up at that moment. `command` is what does the same where there are no buttons."""

    text: str
    action: str
    value: str
    style: ButtonStyle = ButtonStyle.PLAIN
    confirm: str = ""  # what is asked before it counts
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Menu:
    """A button that asks which: `choices` are texts with their values, as a button's. `command` is what does
    the same where there are no buttons."""

    text: str
    action: str
    choices: tuple[tuple[str, str], ...]
    command: str = ""


@dataclass(frozen=True)
class Buttons:
    """Buttons in a row."""

    buttons: tuple[Button | Menu, ...]


@dataclass(frozen=True, kw_only=True)
class RunForm:
    """A form that asks for the parameters of a runbook: what was given, and what is wrong with it."""

    runbook: str
    given: Mapping[str, str]
    faults: Mapping[str, str] = field(default_factory=dict)
    word: str = "run"  # or `plan`: what is done with them


Element = Rows | Paragraph | Note | Listing | Alarm | Fields | Lines | Buttons


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
    form: RunForm | None = None  # where forms can be shown, this one is, in place of the reply
    data: object = field(default=None, compare=False)  # the same for machines: `--json`
    run: str = ""  # the run that was started: the terminal follows it
    output: str = ""  # for programs: the terminal prints this as it is, in place of the reply
    replaces: bool = False  # stands in place of the private message whose button asked for it
    files: tuple[Attachment, ...] = ()  # sent along where the reply is read, before it
