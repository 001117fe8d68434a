"""Text from outside (log lines, names of processes, what servers say) made fit to show."""

import re

import regex


def cut(text: str, most: int) -> str:
    """At most `most` characters of it, cut between words: no half of a secret that no scrubber would know."""
    return text if len(text) <= most else text[: most + 1].rpartition(" ")[0]


def shorten(text: str, most: int) -> str:
    """At most `most` characters, with a mark where something is missing; for text without secrets."""
    return text if len(text) <= most else text[: most - 1] + "…"


def one_line(text: str, most: int = 200) -> str:
    """At most about `most` characters, every control, bidi and separator character written as an escape."""
    kept = cut(text.strip(), most)
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)
    return escaped if len(kept) == len(text.strip()) else f"{escaped} …".strip()


#: Colours and cursor movements of terminals.
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
#: What would move, hide or reorder text; a database takes no NUL either.
_CONTROLS = regex.compile(r"[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}--[\t\n]]", regex.VERSION1)


def printable(text: str) -> str:
    """Text of several lines without a terminal's colours, every other control character as an escape."""
    plain = _TERMINAL.sub("", text) if "\x1b" in text else text
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), plain)
