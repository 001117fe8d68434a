"""What the lines of a window add up to. Every line is counted somewhere; none is dropped in silence."""

import re
from collections import Counter
from dataclasses import dataclass, field

from runbooks.steps.log_formats import Format, Line
from runbooks.steps.log_signatures import fold
from runbooks.visible import cut

#: Bytes of a line that are looked at; the rest of a longer one is passed over.
LONGEST_LINE = 64 * 1024
#: Characters of an error that tell it from others.
LONGEST_TEXT = 500
#: Different signatures that are kept; the errors of further ones are counted under OTHER.
MOST_SIGNATURES = 5000
OTHER = "(other)"

#: What opens a block that belongs to the line before: a trace of Python, or of a Java-like language.
_TRACE = re.compile(
    r"Traceback \(most recent call last\)|Caused by: |[\w.$]{1,200}(?:Exception|Error)(?::|$)"
)
#: A line of Python's basicConfig: a record of its own, but one without a time.
_UNTIMED_RECORD = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):[^:]*:")


@dataclass(kw_only=True)
class Tally:
    """Counts of lines: `lines` is the sum of `records` and `unreadable` in the window, `continuation`
    (traces, blank lines) and `outside` (before the window). `newest` is the last time seen."""

    since: float
    lines: int = 0
    records: int = 0
    errors: int = 0
    unreadable: int = 0
    continuation: int = 0
    outside: int = 0
    newest: float | None = None
    signatures: Counter[str] = field(default_factory=Counter)
    unread_example: str = ""

    def add_error(self, line: Line) -> None:
        """Counts an error under its signature."""
        self.errors += 1
        signature = f"{line.label} {fold(cut(line.text, LONGEST_TEXT))}".strip()
        known = signature in self.signatures or len(self.signatures) < MOST_SIGNATURES
        self.signatures[signature if known else OTHER] += 1


class LineReader:
    """Reads one file's bytes into a tally, in pieces of any size.

    `middle`: the bytes start somewhere inside a line, which is passed over. Raises only what the format
    raises.
    """

    def __init__(self, format_: Format, tally: Tally, *, middle: bool = False) -> None:
        self._format = format_
        self._tally = tally
        self._rest = b""
        self._passing = middle  # over the rest of a line
        self._skip = middle  # and that line is not ours to count
        self._inside: bool | None = None  # whether the last record was in the window; None before the first
        self._early = 0  # lines before the first record that could not be read
        self._in_trace = False

    def feed(self, piece: bytes) -> None:
        """The next bytes of the file."""
        if self._passing:
            _, ended, piece = piece.partition(b"\n")
            if not ended:
                return
            self._end_of_passed_line()
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > LONGEST_LINE:
            self._rest = self._rest[:LONGEST_LINE]
            self._passing = True

    def finish(self) -> None:
        """The file has ended; its last line may lack its end."""
        if self._passing:
            self._end_of_passed_line()
        elif self._rest:
            self._line(self._rest)
        self._rest = b""
        self._settle(inside=True)

    def _end_of_passed_line(self) -> None:
        if not self._skip:
            self._line(self._rest)
        self._rest = b""
        self._passing = self._skip = False

    def _settle(self, *, inside: bool) -> None:
        if inside:
            self._tally.unreadable += self._early
        else:
            self._tally.outside += self._early
        self._early = 0

    def _line(self, raw: bytes) -> None:
        tally = self._tally
        tally.lines += 1
        text = raw[:LONGEST_LINE].decode(errors="replace").rstrip("\r")
        line = self._format.read(text)
        if line is None:
            self._no_record(text)
            return
        self._in_trace = False
        inside = line.at >= tally.since
        if self._early:
            self._settle(inside=inside)
        self._inside = inside
        if tally.newest is None or line.at > tally.newest:
            tally.newest = line.at
        if not inside:
            tally.outside += 1
            return
        tally.records += 1
        if line.error:
            tally.add_error(line)

    def _no_record(self, text: str) -> None:
        tally = self._tally
        if self._goes_on(text):
            tally.continuation += 1
        elif self._inside is None:
            self._early += 1
            tally.unread_example = tally.unread_example or cut(text, LONGEST_TEXT)
        elif self._inside:
            tally.unreadable += 1
            tally.unread_example = tally.unread_example or cut(text, LONGEST_TEXT)
        else:
            tally.outside += 1

    def _goes_on(self, text: str) -> bool:
        if not text or text.isspace():
            return True
        if not self._format.multiline or _UNTIMED_RECORD.match(text):
            self._in_trace = False
            return False
        # What follows a trace may be anything: the text of the exception.
        self._in_trace = self._in_trace or _TRACE.match(text) is not None
        return self._in_trace or text[0].isspace()
