"""A place where backups are. Everything blocks: call it in a thread."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from runbooks.backups.encryption import Reader
from runbooks.errors import StepError

#: Is told how many bytes more have gone through; what it raises ends the transfer.
Progress = Callable[[int], object]


class PlaceError(StepError):
    """A place did not take a backup, or does not give it back. The text names it, and no secret."""


class Place(Protocol):
    """Where files are kept, by names as `naming` makes them. Raises PlaceError."""

    kind: str

    def where(self, name: str) -> str:
        """What people know that file by."""

    def put(self, file: Path, name: str, sha256: str, manifest: bytes, progress: Progress) -> None:
        """Stores the file and its manifest; returns when it was looked whether all of it has arrived. Under
        that name there is all of it or nothing, whatever happens. It takes over the file, or copies it."""

    def manifest(self, name: str) -> bytes | None:
        """The manifest of the file of that name, if all of that file is there; it was looked."""

    def read(self, name: str) -> AbstractContextManager[Reader]:
        """The file, opened."""

    def remove(self, name: str, sha256: str) -> bool:
        """Removes the file and its manifest, if it is that file; False when there was none."""

    def sweep(self, folder: str, token: str, known: frozenset[str]) -> Iterator[str]:
        """Removes what dead processes left unfinished in that folder, and what the effect of that token has
        left that is not known; says what it was."""

    def free(self) -> int | None:
        """Bytes that there is room for; None where that has no meaning."""
