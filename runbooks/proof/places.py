"""Where anchors are kept beside the database: a file, a bucket. All of them block."""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from runbooks.errors import MaintError
from runbooks.proof.checkpoint import Checkpoint, find_checkpoints

#: Bytes of a file that are read: ten years of anchors are two megabytes.
LARGEST_FILE = 64 * 1024 * 1024


class PlaceError(MaintError):
    """A place did not take an anchor, or not say what it has. The text names it, and no secret."""


class Place(Protocol):
    """Keeps anchors. Raises PlaceError."""

    @property
    def name(self) -> str:
        """What people know it by."""

    def read(self) -> tuple[Checkpoint, ...]:
        """The anchors that it has."""

    def keep(self, anchors: Iterable[Checkpoint]) -> int:
        """Adds those that it has not, in their order; how many. Returns when they are kept."""


class FilePlace:
    """A file of lines, one for each anchor, that only ever grows."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    def read(self) -> tuple[Checkpoint, ...]:
        """Those in the file; none when there is no file yet."""
        if not self._path.exists():
            return ()
        return read_file(self._path)

    def keep(self, anchors: Iterable[Checkpoint]) -> int:
        """Appends, and waits for the disk."""
        try:
            with self._path.open("a+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # another process may have the same file
                there = set(self.read())
                new = [each for each in anchors if each not in there]
                if new:
                    file.seek(0)
                    text = file.read()
                    # A line that was cut off when the power failed stays a line of its own.
                    file.write("" if not text or text.endswith("\n") else "\n")
                    file.write("".join(f"{each.line}\n" for each in new))
                    file.flush()
                    os.fsync(file.fileno())
        except (OSError, UnicodeDecodeError) as error:
            raise PlaceError(f"{self._path} cannot be written: {_reason(error)}.") from error
        return len(new)


def read_file(path: Path) -> tuple[Checkpoint, ...]:
    """The anchors in any file: our own, or one into which somebody pasted messages. Raises PlaceError."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise PlaceError(
                f"{path} is larger than {LARGEST_FILE // 1024 // 1024} MB: that is no file of anchors."
            )
        return tuple(find_checkpoints(path.read_text(encoding="utf-8", errors="replace")))
    except OSError as error:
        raise PlaceError(f"{path} cannot be read: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
