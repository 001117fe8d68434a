"""How a program that was sent says how far it is, and what it came to: lines of JSON on standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

#: Characters of a line: what reads them takes longer ones apart.
_PIECE = 4000
#: Seconds between two words about how far it is.
_EVERY = 1.0


class Trouble(Exception):
    """It cannot be done; the text is for people. Bytes of names are surrogates in it."""


class Teller:
    """Says how far the work is, but not too often."""

    def __init__(self) -> None:
        self._last = 0.0

    def say(self, text: str) -> None:
        """How far it is."""
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            _write("T", text)


def _write(mark: str, value: Any) -> None:
    # ASCII alone: names that are no UTF-8 are surrogates, which no stream takes.
    text = json.dumps(value)
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    for piece in pieces[:-1]:
        sys.stdout.write("+" + piece + "\n")
    sys.stdout.write(mark + pieces[-1] + "\n")
    sys.stdout.flush()


def answer(main: Callable[[dict[str, Any], Teller], dict[str, Any]]) -> None:
    """Reads what is asked for from standard input, and says what `main` came to."""
    try:
        asked = json.load(sys.stdin)
        _write("R", main(asked, Teller()))
    except Trouble as trouble:
        _write("F", str(trouble))
    except OSError as error:
        where = f": {error.filename}" if isinstance(error.filename, str) else ""
        _write("F", f"{error.strerror or error}{where}")
    except MemoryError:
        _write("F", "there is too little memory")
