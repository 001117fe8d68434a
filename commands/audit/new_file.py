"""Files that a command makes: never over others, and for nobody else to read."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from runbooks.errors import UsageError


class NewFile:
    """A file that is there when it is complete: until `keep` it has another name, and is removed without it.

    Raises UsageError where it cannot be made. It blocks: use it in a thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._part = path.with_name(f".{path.name}.part")
        self._hash = hashlib.sha256()
        with _plain_errors(path):
            if path.exists() or path.is_symlink():
                raise UsageError(f"{path} is there already: name a file that is not.")
            # Who did what is for those to read who may ask the log; nobody's link is followed.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._file = os.fdopen(os.open(self._part, flags, 0o600), "wb")

    @property
    def digest(self) -> str:
        """The sha256 of what was written."""
        return self._hash.hexdigest()

    def write(self, content: bytes) -> None:
        """Adds to it."""
        self._hash.update(content)
        self.size += len(content)
        with _plain_errors(self.path):
            self._file.write(content)

    def flush(self) -> None:
        """Returns when it is on the disk."""
        with _plain_errors(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def keep(self) -> None:
        """Gives it its name."""
        with _plain_errors(self.path):
            self._file.close()
            os.link(self._part, self.path)  # unlike a rename it replaces nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._part.unlink()


def new_folder(path: Path) -> None:
    """Makes a folder for nobody else to read; an empty one may be there. Raises UsageError."""
    with _plain_errors(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise UsageError(f"{path} is not empty: name a folder that is, or that is not there.")


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
