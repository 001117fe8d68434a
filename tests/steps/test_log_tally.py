"""Counting the lines of a window: every line is counted once, whatever it holds and however it arrives."""

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.steps.log_formats import make_format
from runbooks.steps.log_tally import LONGEST_LINE, MOST_SIGNATURES, OTHER, LineReader, Tally
from runbooks.targets import LogsTarget

NOW = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
TRACE = """2026-11-21 09:00:01,000 ERROR app: it broke
Traceback (most recent call last):
  File "x.py", line 1, in <module>

app.errors.Broken: details
that go on without any indent
2026-11-21 09:00:02,000 INFO app: next
"""


def tally_of(
    log: bytes | str, format_: str = "python", *, pieces: int = 1 << 20, middle: bool = False
) -> Tally:
    """What a log adds up to since NOW, fed in pieces of that many bytes."""
    tally = Tally(since=NOW.timestamp())
    target = LogsTarget.model_validate({"type": "logs", "path": "/log", "format": format_})
    reader = LineReader(make_format(target, NOW), tally, middle=middle)
    data = log.encode() if isinstance(log, str) else log
    for start in range(0, len(data), pieces):
        reader.feed(data[start : start + pieces])
    reader.finish()
    return tally


def test_a_trace_belongs_to_the_line_before() -> None:
    """The lines of a traceback, blank ones and the exception's own text, are accounted for."""
    tally = tally_of(TRACE)

    assert (tally.records, tally.errors, tally.continuation, tally.unreadable) == (2, 1, 5, 0)


def test_a_java_trace_belongs_to_the_line_before() -> None:
    """An exception's name without an indent opens a trace."""
    tally = tally_of(
        "2026-11-21 09:00:01,000 ERROR a\njava.io.IOException: x\n\tat a.B(C.java:1)\nCaused by: b\n"
    )

    assert (tally.records, tally.continuation, tally.unreadable) == (1, 3, 0)


def test_records_without_a_time_are_unreadable_even_in_a_trace() -> None:
    """`ERROR:app:message` is a record, but nobody knows of when: it is counted, not swallowed."""
    tally = tally_of(TRACE.replace("that go on", "ERROR:root:that go on"))

    assert (tally.unreadable, tally.continuation) == (1, 4)


def test_a_format_of_single_lines_has_no_continuation() -> None:
    """An indented line in an access log is garbage, and counted as such."""
    line = 'h - - [21/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5\n'

    assert tally_of(f"{line}  garbage\n\n{line}", "nginx").unreadable == 1


def test_the_dirty_lines_of_a_real_access_log_are_all_accounted_for() -> None:
    """A user with a space, bad UTF-8 and a time of "-" are read; garbage and a cut last line are counted."""
    start = b"h - %s [21/Nov/2026:09:00:00 +0000] "
    log = b"".join(
        [
            start % b"bob smith" + b'"GET / HTTP/1.1" 200 5 "-" "-" 0.1\n',
            start % b"-" + b'"GET /\xff\xfe HTTP/1.1" 500 5 "-" "-" 0.1\n',
            start % b"-" + b'"GET / HTTP/1.1" 499 0 "-" "-" -\n',
            b"\x00\x01 garbage\n",
            start % b"-" + b'"GET / HTTP/1.1" 200 5 "http://exa',
        ]
    )

    tally = tally_of(log, "nginx")

    assert (tally.lines, tally.records, tally.errors, tally.unreadable) == (5, 3, 1, 2)


def test_the_edge_of_the_window_is_inside() -> None:
    """A line of the very second in which the window starts counts; one just before does not."""
    tally = tally_of("2026-11-21 08:59:59,999 ERROR early\n2026-11-21 09:00:00,000 ERROR edge\n")

    assert (tally.errors, tally.outside, list(tally.signatures)) == (1, 1, ["ERROR edge"])


def test_garbage_before_the_first_record_is_counted_where_that_is() -> None:
    """Unreadable lines at the start belong to the time of the first line that can be read."""
    old, new = "2026-11-21 08:00:00,000 INFO x\n", "2026-11-21 10:00:00,000 INFO x\n"

    assert tally_of(f"garbage\n{old}{new}").unreadable == 0
    assert tally_of(f"garbage\n{new}").unreadable == 1


def test_a_line_without_end_costs_no_memory() -> None:
    """A line longer than the limit is one line; what is beyond the limit is passed over."""
    log = b"x" * (3 * LONGEST_LINE) + b"\n2026-11-21 09:00:00,000 INFO x\n"

    tally = tally_of(log, pieces=LONGEST_LINE // 2)

    assert (tally.lines, tally.records, tally.unreadable) == (2, 1, 1)


def test_too_many_signatures_are_counted_together() -> None:
    """Errors that all differ are all counted, but not all kept."""
    words = ["".join(word) for word in itertools.product("abcdefghijklmnopqr", repeat=3)]
    tally = tally_of("".join(f"2026-11-21 09:00:00,000 ERROR {word}\n" for word in words))

    assert tally.errors == len(words) == sum(tally.signatures.values())
    assert tally.signatures[OTHER] == len(words) - MOST_SIGNATURES


LINES = st.sampled_from(
    [
        b"2026-11-21 08:00:00,000 INFO old",
        b"2026-11-21 09:30:00,000 ERROR new 1",
        b"garbage",
        b"  indented",
        b"",
        b"Traceback (most recent call last):",
        b"ERROR:app:x",
        b"\xff\xfe\x00",
        b"ValueError: x",
        b"\r",
        b"y" * 70000,
    ]
)


@given(
    lines=st.lists(LINES, max_size=20),
    ended=st.booleans(),
    format_=st.sampled_from(["python", "json", "nginx"]),
)
def test_counts_add_up(lines: list[bytes], ended: bool, format_: str) -> None:
    """Records, unreadable, continuation and lines outside are all the lines there are."""
    log = b"\n".join(lines) + (b"\n" if ended and lines else b"")

    tally = tally_of(log, format_)

    assert tally.lines == log.count(b"\n") + (not log.endswith(b"\n") and log != b"")
    assert tally.lines == tally.records + tally.unreadable + tally.continuation + tally.outside
    assert sum(tally.signatures.values()) == tally.errors <= tally.records


@given(lines=st.lists(LINES, max_size=12), pieces=st.integers(1, 40) | st.integers(60000, 80000))
def test_pieces_of_any_size_give_the_same(lines: list[bytes], pieces: int) -> None:
    """Where a piece of a file ends does not matter."""
    log = b"\n".join(line[:100] if pieces <= 40 else line for line in lines)

    assert tally_of(log, pieces=pieces) == tally_of(log)


@pytest.mark.parametrize("rest", ["half a line\n", "half", ""])
def test_what_starts_in_the_middle_of_a_line_passes_that_over(rest: str) -> None:
    """The rest of a line whose start was not read is not counted."""
    tally = tally_of(f"{rest}2026-11-21 09:00:00,000 INFO x\n" if rest.endswith("\n") else rest, middle=True)

    assert tally.lines == rest.count("\n")
