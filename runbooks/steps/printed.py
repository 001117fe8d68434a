"""What a program prints: its lines as they come, and its beginning and end when there is too much of it."""

import asyncio
import codecs
import re
from collections import deque
from collections.abc import Callable, Sequence

from runbooks.visible import one_line, printable

#: Characters of a line that are waited for; a longer one is passed on in pieces.
LONGEST_LINE = 16_000
#: Characters in which a line break is looked for, to cut at.
NEAR = 4_000
#: Seconds between two lines of progress.
TELL_EVERY = 0.2
#: Characters that the words about what was left out may take.
_WORDS = 60

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY")
_SPACES = re.compile(r"\s")


class Lines:
    """Cuts a stream of bytes into lines fit to show, each with its line break.

    What a line has overwritten of itself (a progress bar) is left out. A very long line comes in pieces,
    and so does the last one, which may have no line break.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        #: What a line that is not over showed last, before it overwrote that: a progress bar. Never what
        #: is half written, which may be half a secret.
        self.drawn = ""

    def feed(self, data: bytes, *, last: bool = False) -> list[str]:
        """The lines that are over with these bytes; with `last` everything."""
        *whole, rest = (self._rest + self._decoder.decode(data, last)).split("\n")
        found = [f"{_last_written(line)}\n" for line in whole]
        self.drawn, rest = _overwritten(rest)
        while len(rest) > LONGEST_LINE:
            found.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        if last and rest:
            found.append(_last_written(rest))
            rest = ""
        self._rest = rest
        return [printable(line) for line in found]


def _overwritten(rest: str) -> tuple[str, str]:
    """What an unfinished line showed before, and what of it is still needed."""
    before, _, now = rest.rstrip("\r").rpartition("\r")
    ends = rest[len(rest.rstrip("\r")) :]
    return printable(now if ends else _last_written(before)), now + ends


def _last_written(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


class Kept:
    """At most `most` characters of a text that comes in pieces: its beginning, its end, and how many bytes
    were left out between them. It is cut at a line break, or at a blank: no half of a secret that no
    scrubber would know."""

    def __init__(self, most: int) -> None:
        self._half = (most - _WORDS) // 2
        self._head = ""
        self._tail: deque[str] = deque()
        self._tail_length = 0
        self._bytes = 0

    def add(self, piece: str) -> None:
        """The next piece."""
        self._bytes += len(piece.encode())
        if not self._tail:
            room = self._half - len(self._head)
            self._head += piece[:room]
            piece = piece[room:]
        if piece:
            self._tail.append(piece)
            self._tail_length += len(piece)
        while self._tail_length - len(self._tail[0] if self._tail else "") > self._half:
            self._tail_length -= len(self._tail.popleft())

    def text(self) -> str:
        """The whole text, or its beginning and end."""
        head, tail = self._head, "".join(self._tail)
        if len(head.encode()) + len(tail.encode()) == self._bytes and len(tail) <= self._half:
            return head + tail
        end = _cut_after(tail, max(0, len(tail) - self._half))
        head, tail = head[: _cut_before(head)], tail[end:]
        left_out = self._bytes - len(head.encode()) - len(tail.encode())
        return f"{head}{mark_left_out(left_out)}{tail}"


def _cut_before(text: str) -> int:
    """Where to cut its end off: at a line break, as a secret may hold blanks, if there is one near."""
    at = text.rfind("\n", max(0, len(text) - NEAR)) + 1
    return at or max((found.end() for found in _SPACES.finditer(text)), default=0)


def _cut_after(text: str, least: int) -> int:
    """The same for its beginning, of which so much goes at least."""
    at = text.find("\n", least, least + NEAR) + 1
    found = None if at else _SPACES.search(text, least)
    return at or (found.end() if found else len(text))


def mark_left_out(count: int) -> str:
    """The line that stands for so many bytes."""
    return f"\n[… {count:,} bytes are left out here …]\n"


class KeyLines:
    """Knows the lines of a private key: alone, each looks like nothing in particular."""

    def __init__(self) -> None:
        self._inside = False

    def without(self, lines: Sequence[str]) -> list[str]:
        """The lines that are of none; a key may begin in one call and end in a later one."""
        found = []
        for line in lines:
            if _KEY_BEGINS.search(line):
                self._inside = True
            if not self._inside:
                found.append(line)
            if _KEY_ENDS.search(line):
                self._inside = False
        return found


class Teller:
    """Tells the last line, at most every TELL_EVERY seconds; the very last one is always told."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._line = ""
        self._timer: asyncio.TimerHandle | None = None

    def say(self, line: str) -> None:
        """This is the last line now."""
        # All of it: who cuts it before it is scrubbed may leave half a secret.
        self._line = one_line(line, LONGEST_LINE) or self._line
        if self._timer is None and self._line:
            self._now()
            self._timer = asyncio.get_running_loop().call_later(TELL_EVERY, self._again)

    def close(self) -> None:
        """Tells what was not told yet."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._now()

    def _again(self) -> None:
        self._timer = None
        if self._line:
            self.say("")

    def _now(self) -> None:
        line, self._line = self._line, ""
        if line:
            self._tell(line)
