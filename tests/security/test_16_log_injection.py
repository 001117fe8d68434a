"""16: one event is one line of the log, whatever is in it. Also kept by tests/test_logs.py and
tests/test_terminal.py (what reaches a terminal)."""

import io
import json
import logging
import unicodedata
from collections.abc import Iterator

import pytest
import structlog

from bot.logs import set_up_logs
from runbooks.scrub import Scrubber

HOSTILE = (
    'a\n{"event": "command.approved", "level": "info"}',
    "a\r\nINFO all is well",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "\x1b[2J\x1b[H",
    "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
    "\x9b31m",
    "\x08\x08\x08ok",
    "\x00",
    "\u202egnp.exe",
    "\u2066\u2069",
    "\u200e\u200f\u061c",
    "\x0b\x0c\x1c\x1d\x1e",
    '","event":"forged',
)


@pytest.fixture(params=["json", "console"])
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """A log of either form."""
    root, configuration = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    set_up_logs(Scrubber(), request.param, "info", stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configuration)


@pytest.mark.parametrize("text", HOSTILE, ids=[str(at) for at in range(len(HOSTILE))])
def test_a_text_from_outside_makes_no_line_and_moves_no_cursor(stream: io.StringIO, text: str) -> None:
    """As a value, as a key, and in a line of a library."""
    structlog.get_logger().info("typed", text=text, deep=[{text: text}])
    logging.getLogger("some.library").warning("it said %s", text)
    written = stream.getvalue()

    assert len(written.splitlines()) == 2
    odd = {unicodedata.category(letter) for letter in written.replace("\n", "")} & {
        "Cc",
        "Cf",
        "Zl",
        "Zp",
        "Cs",
    }
    assert odd == set()
    if written.startswith("{"):
        first, second = map(json.loads, written.splitlines())
        assert (first["event"], second["level"]) == ("typed", "warning")
