"""The files of a folder that a rule is about. Nothing outside the folder is looked at: symbolic links are not
followed, other file systems not entered, and every folder is opened from the one above it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from runbooks.steps.there.telling import Trouble

#: A file of this name keeps everything in its folder, and below.
HOLD = ".maint-hold"
#: How many files one run may be about.
MOST = 20_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Seconds by which the clock there may differ from Maint's.
_LONGEST_SKEW = 3600.0
_DEEPEST = 40


class Found(NamedTuple):
    """A file: its folder's names from the top, its own, and what it was when it was listed."""

    folder: tuple[str, ...]
    name: str
    size: int
    modified: float
    mark: int

    @property
    def path(self) -> str:
        """Its path from the top."""
        return os.path.join(*self.folder, self.name)


def mark_of(status: os.stat_result) -> int:
    """A number that another file, or the same after a change, does not have."""
    text = f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


@contextlib.contextmanager
def opened(top: int, folder: tuple[str, ...]) -> Iterator[int]:
    """A folder below the top one."""
    file = os.dup(top)
    try:
        for name in folder:
            below = os.open(name, _FOLDER, dir_fd=file)
            os.close(file)
            file = below
        yield file
    finally:
        os.close(file)


@contextlib.contextmanager
def top_folder(path: str) -> Iterator[int]:
    """The folder that is named. Raises Trouble when it is none."""
    try:
        file = os.open(path, _FOLDER)
    except NotADirectoryError:
        raise Trouble(f"{path} is no folder, or a symbolic link: name the folder itself") from None
    except FileNotFoundError:
        raise Trouble(f"{path} does not exist") from None
    except PermissionError:
        raise Trouble(f"{path} may not be read: give the user who runs this the folder's group") from None
    try:
        yield file
    finally:
        os.close(file)


class Listing:
    """What a rule found. `held`: what is kept whatever its age is."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self._now = time.time()
        skew = abs(self._now - asked["now"])
        if skew > _LONGEST_SKEW:
            raise Trouble(
                f"the clock there is {skew / 3600:,.0f} h away from Maint's: how old a file is, nobody knows"
            )
        self.held = 0
        self.found: list[Found] = []
        #: Folders that could not be read.
        self.closed: list[str] = []

    def walk(self, top: int, folder: tuple[str, ...] = ()) -> None:
        """Looks through the folder, and those below it where the rule says so."""
        try:
            with opened(top, folder) as file:
                device = os.fstat(file).st_dev
                names = sorted(os.listdir(file))
                kept = HOLD in names
                below = [each for each in names if self._entry(file, folder, each, kept) == device]
        except PermissionError:
            self.closed.append(os.path.join(*folder) if folder else ".")
            return
        if self._asked["recursive"] and len(folder) < _DEEPEST and not kept:
            for name in below:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self.walk(top, (*folder, name))

    def _entry(self, file: int, folder: tuple[str, ...], name: str, kept: bool) -> int | None:
        """Notes a file of the rule; the device of a folder."""
        try:
            status = os.stat(name, dir_fd=file, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(status.st_mode):
            return None if self._excluded(folder, name) else status.st_dev
        if not stat.S_ISREG(status.st_mode) or not self._matches(folder, name) or name == HOLD:
            return None
        if self._now - self._age_from(status) < self._asked["older_than"]:
            return None
        if kept or _any(self._asked["hold"], folder, name):
            self.held += 1
            return None
        self.found.append(Found(folder, name, status.st_size, status.st_mtime, mark_of(status)))
        if len(self.found) > MOST:
            raise Trouble(f"more than {MOST:,} files match: let the rule be about fewer at a time")
        return None

    def _age_from(self, status: os.stat_result) -> float:
        # As systemd-tmpfiles: a file is as old as the last that was done with it.
        return (
            max(status.st_atime, status.st_mtime, status.st_ctime)
            if self._asked["by_use"]
            else status.st_mtime
        )

    def _matches(self, folder: tuple[str, ...], name: str) -> bool:
        return any(fnmatchcase(name, each) for each in self._asked["match"]) and not self._excluded(
            folder, name
        )

    def _excluded(self, folder: tuple[str, ...], name: str) -> bool:
        return _any(self._asked["exclude"], folder, name)


def _any(patterns: list[str], folder: tuple[str, ...], name: str) -> bool:
    path = os.path.join(*folder, name)
    return any(fnmatchcase(name, each) or fnmatchcase(path, each) for each in patterns)
