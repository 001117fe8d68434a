"""A file that is not whole yet: under a name of its own, locked while its maker lives, and gone with it."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from runbooks.backups.naming import PART
from runbooks.backups.place import PlaceError

#: Bytes that are read or copied at a time.
BLOCK = 4 * 1024 * 1024
#: Ends the name of the folder beside a part, for what a part is made from.
FOLDER = ".d"

_ADVICE = {
    errno.ENOSPC: "there is no room left: make some, or name another place",
    errno.EDQUOT: "the quota of Maint's user is used up",
    errno.EFBIG: "files there may not become so large (a limit of the file system, or `ulimit -f`)",
    errno.EACCES: "give the user that runs Maint write access",
    errno.EPERM: "give the user that runs Maint write access",
    errno.EROFS: "it is mounted read-only",
    errno.ENOENT: "there is no such file",
    errno.EIO: "the disk reports errors: look at the system log",
    errno.ESTALE: "the network file system has lost it: mount it anew",
}


class Part:
    """Such a file, open for writing."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self.path = path

    @property
    def folder(self) -> Path:
        """A folder beside it, which is not made by this and is removed with it when we die."""
        return self.path.with_name(f"{self.path.name}{FOLDER}")

    def write(self, data: bytes) -> None:
        """Adds to it."""
        view = memoryview(data)
        while view:  # unbuffered: the system may take less than all
            view = view[self._file.write(view) :]

    def sync(self) -> None:
        """Returns when all of it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def becomes(self, final: Path) -> None:
        """All of it is on the disk under that name, which had the earlier file until now."""
        self.sync()
        self.path.replace(final)
        synced(final.parent)


@contextmanager
def open_part(final: Path) -> Iterator[Part]:
    """A part for that file, beside it. It is removed at the end, unless it has become something."""
    path = final.with_name(f".{final.name}{PART}")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b", 0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PlaceError(f"{path} is being written by another process of Maint") from None
        file.truncate()
        try:
            yield Part(file, path)
        finally:
            path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether it is a part, or the folder of one, whose maker died."""
    if path.name.endswith(f"{PART}{FOLDER}"):
        return not _is_held(path.with_name(path.name.removesuffix(FOLDER)))
    return path.name.endswith(PART) and path.name.startswith(".") and not _is_held(path)


def _is_held(part: Path) -> bool:
    with suppress(FileNotFoundError), part.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def make_folder(folder: Path) -> None:
    """Makes it, for Maint's user alone, if it is not there."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def synced(folder: Path) -> None:
    """Returns when what the folder lists is on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def told(path: Path, what: str) -> Iterator[None]:
    """Turns the system's errors about that file into PlaceError."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or type(error).__name__)
        raise PlaceError(f"{path} cannot be {what}: {advice}") from error
