"""A stored backup as pg_restore reads it: by its standard input, or as the folder that pg_dump wrote."""

import asyncio
import codecs
import shutil
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from runbooks.backups.backup import Backup
from runbooks.backups.naming import folder_of, token_of
from runbooks.backups.part import BLOCK, told
from runbooks.errors import StepError
from runbooks.steps.action import Failed
from runbooks.steps.backup.child import Ended, run_child
from runbooks.steps.backup.dumping import stage
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.stores import Store
from runbooks.steps.backup.storing import leaving


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A backup that can be read. `folder`: where it was unpacked, if it must be."""

    backup: Backup
    store: Store
    program: Path  # pg_restore
    progress: Progress
    grace: timedelta
    folder: Path | None = None

    async def restore(
        self, options: Sequence[str], environment: Mapping[str, str], hear: Callable[[str], None]
    ) -> Ended:
        """How pg_restore ended with those options. Reads all of the backup, and compares its checksum."""
        if self.folder:
            return await run_child(self._argv(options), environment, hear=hear, grace=self.grace)
        gives = partial(self._give, to_the_end=True)
        return await run_child(self._argv(options), environment, gives=gives, hear=hear, grace=self.grace)

    async def read(self, *options: str) -> str:
        """What pg_restore writes with those options. Reads as much of the backup as that takes: of one in a
        file its beginning. Raises Failed, PlaceError."""
        written = bytearray()
        ended = await run_child(
            self._argv(options),
            {},
            gives=None if self.folder else partial(self._give, to_the_end=False),
            takes=lambda file: written.extend(b"".join(iter(lambda: file.read(BLOCK), b""))),
            grace=self.grace,
        )
        if ended.code:
            raise Failed(ended.fault(f"pg_restore of {self.backup.name}"), "\n".join(ended.said))
        try:
            return written.decode()
        except UnicodeDecodeError:
            return written.decode(_codec(self.backup.facts), errors="replace")

    def _argv(self, options: Sequence[str]) -> list[str | Path]:
        where = ["--format=directory", self.folder] if self.folder else ["--format=custom"]
        return [self.program, *options, *where]

    def _give(self, file: BinaryIO, *, to_the_end: bool) -> None:
        broken = False
        for piece in self.store.pieces(self.backup):
            self.progress.count(len(piece))
            if not broken:
                try:
                    file.write(piece)
                except BrokenPipeError:
                    # It may have read what it needs. All the same the rest must be what was stored.
                    broken = True
                    if not to_the_end:
                        return


def _codec(facts: Mapping[str, Any]) -> str:
    """Names in a dump are written as its database writes them, unless its url has a `client_encoding`."""
    name = str(facts.get("settings", {}).get("encoding", "UTF8")).replace("WIN", "cp")
    try:
        return codecs.lookup(name).name
    except LookupError:  # SQL_ASCII, and what Python does not know
        return "utf-8"


@asynccontextmanager
async def open_archive(archive: Archive, database: str) -> AsyncIterator[Archive]:
    """The archive ready to be read for a restore into that database: unpacked while the block runs, if it is
    a folder's; if we die, the next backup removes that."""
    if archive.backup.format != "directory":
        yield archive
        return
    name = f"{folder_of(archive.backup.target)}/{database}-{token_of(database)}.restore"
    async with leaving() as stack:
        part = await stage(stack, archive.store, name)
        await asyncio.to_thread(_fresh, part.folder)
        stack.callback(shutil.rmtree, part.folder, ignore_errors=True)
        await archive.progress.work(partial(_unpack, archive, part.folder))
        yield replace(archive, folder=part.folder)


def _fresh(folder: Path) -> None:
    with told(folder, "written"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)


def _unpack(archive: Archive, folder: Path) -> None:
    reader = _Pieces(archive.store.pieces(archive.backup), archive.progress)
    with told(folder, "written"):
        try:
            with tarfile.open(mode="r|", fileobj=reader) as tar:  # type: ignore[call-overload]
                for member in tar:
                    _unpack_one(tar, member, folder)
        except tarfile.TarError as error:
            raise StepError(f"{archive.backup.name} cannot be unpacked: {error}") from error
        while reader.read(1024 * 1024):  # to its end, where the checksum is compared
            pass


def _unpack_one(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Plain files within the folder, and nothing else: the filters of extractall came with Python 3.11.4."""
    path = PurePosixPath(member.name)
    if member.isdir() and ".." not in path.parts:
        return
    found = tar.extractfile(member) if member.isfile() else None
    if found is None or path.is_absolute() or ".." in path.parts:
        raise StepError(f"{member.name!r} in the backup is no file of its folder: pg_dump writes none such")
    place = folder / path
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with place.open("xb") as file:
        shutil.copyfileobj(found, file, 1024 * 1024)


class _Pieces:
    """An iterator of bytes, as a file to read."""

    def __init__(self, pieces: Iterator[bytes], progress: Progress) -> None:
        self._pieces, self._progress, self._rest = pieces, progress, b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._progress.count(len(piece))
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
