"""A log of an application, as the tests write it."""

import gzip
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runbooks.steps.step import Measured

#: Measures the log: its window, and settings of its target.
Count = Callable[..., Awaitable[Measured]]

NOW = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)


def line(minutes_ago: float, text: str = "ERROR app: it broke") -> str:
    """A line of Python's logging, so long ago."""
    return f"{NOW - timedelta(minutes=minutes_ago):%Y-%m-%d %H:%M:%S},000 {text}\n"


def write(path: Path, *lines: str, minutes_ago: float = 0) -> None:
    """A log of those lines, last written to so long ago; gzipped when its name says so."""
    data = "".join(lines).encode()
    write_raw(path, gzip.compress(data) if path.suffix == ".gz" else data, minutes_ago)


def write_raw(path: Path, data: bytes, minutes_ago: float = 0) -> None:
    """A file of those bytes, last written to so long ago."""
    path.write_bytes(data)
    written = (NOW - timedelta(minutes=minutes_ago)).timestamp()
    os.utime(path, (written, written))
