"""A text as others may have written it: with escapes undone and line breaks taken out.

Each reading knows which part of the original every character of it stands for.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

#: A part of a text: where it begins, and where it ends.
Span = tuple[int, int]
#: What stands in a text at a span, and what it means.
Escape = tuple[int, int, str]

_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_BACKSLASH = re.compile(
    r"\\(?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}"
    r"|x[0-9A-Fa-f]{2}(?:\\x[0-9A-Fa-f]{2})*|[\"'\\/bfnrt])"
)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|#(?:x[0-9A-Fa-f]{1,6}|[0-9]{1,7}));")
#: A line break with what indents the next line; also one that a shell ignores.
_BREAK = re.compile(r"\\?(?:\r\n|\n|\r)[ \t]*")
_INDENTED_BREAK = re.compile(r"(?:\r\n|\n|\r)[ \t]*")
_BARE_BREAK = re.compile(r"[\r\n]+")

_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NAMES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class Reading:
    """One way to read a text."""

    def __init__(
        self,
        text: str,
        parent: "Reading | None" = None,
        marks: "_Marks | None" = None,
        *,
        joined: bool = False,
    ) -> None:
        """`marks`: which part of the parent's text the characters of this one come from. `joined`: without
        its line breaks."""
        self.text = text
        self.joined = joined
        self._parent = parent
        self._marks = marks

    def span(self, begin: int, end: int) -> Span:
        """The part of the original that this part of the reading stands for."""
        if self._parent is None or self._marks is None:
            return begin, end
        return self._parent.span(self._marks.place(begin)[0], self._marks.place(end - 1)[1])

    def read(self, find: Callable[[str], Iterable[Escape]]) -> "Reading":
        """This reading with what is found replaced by what it means; itself when there is nothing."""
        pieces: list[str] = []
        marks = _Marks()
        here = done = 0
        for begin, end, meaning in find(self.text):
            pieces += (self.text[done:begin], meaning)
            marks.add(here, done, 0)
            here += begin - done
            if meaning:
                marks.add(here, begin, end - begin)
                here += 1
            done = end
        if not done:
            return self
        marks.add(here, done, 0)
        return Reading(
            "".join((*pieces, self.text[done:])),
            self,
            marks,
            joined=self.joined or find in _JOINS,
        )


class _Marks:
    """From which place on characters come from where: one by one, or one of them from several."""

    def __init__(self) -> None:
        self._here: list[int] = []
        self._there: list[int] = []
        self._width: list[int] = []  # 0: as many as here

    def add(self, here: int, there: int, width: int) -> None:
        if self._here and self._here[-1] == here:  # nothing was in between
            self._there[-1], self._width[-1] = there, width
            return
        self._here.append(here)
        self._there.append(there)
        self._width.append(width)

    def place(self, at: int) -> Span:
        """Where the character at that place comes from."""
        mark = bisect_right(self._here, at) - 1
        there, width = self._there[mark], self._width[mark]
        if width:
            return there, there + width
        there += at - self._here[mark]
        return there, there + 1


def readings(text: str) -> Iterator[Reading]:
    """The text as it is, and with up to two layers of escapes undone; each also without line breaks, whether
    these were put in before it was escaped or afterwards."""
    plain = Reading(text)
    found = {text: plain}
    roots = [plain]
    if "\n" in text or "\r" in text:
        roots += [plain.read(find) for find in _JOINS]
        found |= {root.text: root for root in roots}
    if any(sign in text for sign in "%\\&"):
        for layers in _LAYERS:
            for root in roots if len(layers) == 1 else (plain,):
                reading = root
                for undo in layers:
                    reading = reading.read(undo)
                found.setdefault(reading.text, reading)
                joined = reading.read(breaks)
                found.setdefault(joined.text, joined)
    return iter(found.values())


def breaks(text: str) -> Iterator[Escape]:
    """The line breaks of a text, with what continues and indents lines; they mean nothing."""
    return ((found.start(), found.end(), "") for found in _BREAK.finditer(text))


def indented_breaks(text: str) -> Iterator[Escape]:
    """The same, where the backslash before one is part of an escape that was broken."""
    return ((found.start(), found.end(), "") for found in _INDENTED_BREAK.finditer(text))


def bare_breaks(text: str) -> Iterator[Escape]:
    """The same, where the blanks behind one are part of what was broken."""
    return ((found.start(), found.end(), "") for found in _BARE_BREAK.finditer(text))


#: How lines may have been broken.
_JOINS = (breaks, indented_breaks, bare_breaks)


def _percent(text: str) -> Iterator[Escape]:
    for found in _PERCENT.finditer(text):
        yield from _of_bytes(bytes.fromhex(found[0].replace("%", "")), found.start(), 3)


def _backslash(text: str) -> Iterator[Escape]:
    for found in _BACKSLASH.finditer(text):
        escape = found[0]
        kind, digits = escape[1], escape[2:]
        if kind == "x":
            yield from _of_bytes(bytes.fromhex(escape.replace("\\x", "")), found.start(), 4)
        elif kind in "uU":
            yield found.start(), found.end(), _of_code(digits)
        else:
            yield found.start(), found.end(), _LETTERS.get(kind, kind)


def _entity(text: str) -> Iterator[Escape]:
    for found in _ENTITY.finditer(text):
        name = found[0][1:-1]
        meaning = _NAMES.get(name)
        if meaning is None:
            code = int(name[2:], 16) if name[1] == "x" else int(name[1:])
            meaning = chr(code) if code <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"
        yield found.start(), found.end(), meaning


def _of_bytes(data: bytes, begin: int, width: int) -> Iterator[Escape]:
    """The characters of UTF-8 that is written with so many characters a byte; of Latin-1 where it is none."""
    for char in data.decode("utf-8", "surrogateescape"):
        size = len(char.encode("utf-8", "surrogateescape")) * width
        yield begin, begin + size, chr(ord(char) & 0xFF) if "\udc80" <= char <= "\udcff" else char
        begin += size


def _of_code(digits: str) -> str:
    """The character of `00e4`, of a pair as in `d83d\\ude00`, or of eight digits."""
    if len(digits) == 8:
        code = int(digits, 16)
        return chr(code) if code <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"
    pair = bytes.fromhex(digits.replace("\\u", ""))
    return pair.decode("utf-16-be", "surrogatepass")


#: Which escapes are undone, the outer ones first. One at a time: what looks like an escape of another kind
#: may be the secret's own.
_LAYERS: tuple[tuple[Callable[[str], Iterable[Escape]], ...], ...] = (
    (_percent,),
    (_backslash,),
    (_entity,),
    (_percent, _percent),
    (_backslash, _backslash),
    (_backslash, _percent),
    (_percent, _backslash),
    (_backslash, _entity),
)
