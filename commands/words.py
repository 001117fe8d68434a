"""Reads what people type, on phones too."""

import re
import shlex
from collections.abc import Mapping

from runbooks.errors import UsageError
from runbooks.nearest import nearest
from runbooks.targets import TargetBase
from runbooks.visible import shorten

#: What phones and word processors make of plain quotes and spaces.
_TYPOGRAPHIC = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»", '"'),
        **dict.fromkeys("‘’‚‛", "'"),
        **dict.fromkeys("\u00a0\u202f\u2007\u3000", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", None),
        **dict.fromkeys("‐‑‒", "-"),
    }
)
#: Between two letters it closes no quote: "it's".
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
#: Stands for an apostrophe while quotes are read; a private character that nobody types.
_HIDDEN = "\ue000"
#: Characters of a command that are read; nobody types more, and a modal takes longer texts.
LONGEST = 2000


def _plain_dashes(word: str) -> str:
    """A long dash that opens a word was two hyphens before a phone saw it; elsewhere it was one."""
    stripped = word.lstrip("—–―")
    opening = "--" if len(stripped) < len(word) else ""
    return opening + stripped.replace("—", "-").replace("–", "-").replace("―", "-")


def split_words(text: str) -> tuple[str, ...]:
    """The words of a command. Quotes group; one that is never closed is taken as a letter."""
    text = _APOSTROPHE.sub(_HIDDEN, text[:LONGEST].replace(_HIDDEN, "").translate(_TYPOGRAPHIC))
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    return tuple(_plain_dashes(word.replace(_HIDDEN, "'")) for word in words)


def find_target(word: str, targets: Mapping[str, TargetBase]) -> TargetBase:
    """The target of that name, whatever its case. Raises UsageError that names the nearest one."""
    by_folded = {name.casefold(): target for name, target in targets.items()}
    if target := by_folded.get(word.casefold()):
        return target
    if meant := nearest(word, targets):
        hint = f"Did you mean {meant}?"
    elif targets:
        hint = f"There are: {', '.join(sorted(targets))}. Without a name it is all of them."
    else:
        hint = "maint.yaml names no target yet."
    if "," in word:
        hint = "Put spaces between the names, no commas."
    raise UsageError(f"There is no target {quoted(word)}. {hint}")


def quoted(word: str) -> str:
    """A word that was not understood, to be said back."""
    return repr(shorten(word, 40))


def counted(number: int, noun: str) -> str:
    """`1 target`, `3 targets`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
