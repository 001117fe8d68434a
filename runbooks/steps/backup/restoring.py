"""A backup into an empty database: which one, from where, and by pg_restore."""

import asyncio
import shutil
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from runbooks.backups.backup import Backup, Catalogue
from runbooks.backups.naming import folder_of, token_of
from runbooks.backups.part import told
from runbooks.errors import StepError
from runbooks.steps.action import Failed
from runbooks.steps.backup.child import run_child
from runbooks.steps.backup.dumping import stage
from runbooks.steps.backup.programs import Programs
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.server import login_of
from runbooks.steps.backup.stores import Store, store_named
from runbooks.steps.backup.storing import leaving
from runbooks.steps.reach import Shared
from runbooks.targets import PostgresTarget, TargetBase

#: Says the newest one instead of an id.
NEWEST = "newest"
_ADVICE = {
    "permission denied to create extension": "the extension must be trusted, or made by a superuser before",
    "could not open extension control file": "install the extension's package on the server first",
    "must be able to SET ROLE": "restore with `owners: false`, or with a login that is in those roles",
    "must be owner": "restore with `owners: false`, or with a superuser",
    "role ": "make the role first, or restore with `owners: false`",
    "No space left on device": "the server's disk is full",
    "already exists": "restore into a new database",
}


async def chosen(catalogue: Catalogue, target: str, which: str, kinds: Sequence[str]) -> Backup:
    """The backup of that id, or the newest. Raises StepError when there is none that would do."""
    there = [each for each in await catalogue.present(target) if each.kind in kinds]
    if not there:
        raise StepError(f"there is no {' or '.join(kinds)} backup of {target}: `backups {target}` lists them")
    if which == NEWEST:
        return there[0]
    found = [each for each in there if each.id == which or each.name == which]
    if not found:
        what = f"{' or '.join(kinds)} backup {which[:60]!r}"
        raise StepError(f"there is no {what} of {target}: `backups {target}` lists them")
    return found[0]


async def store_with(backup: Backup, targets: Mapping[str, TargetBase], wanted: str | None = None) -> Store:
    """The store that has it; `wanted` says which. Raises StepError when it is none of maint.yaml's."""
    names = [name for name in sorted(backup.stores) if wanted in (None, name)]
    known = [name for name in names if name in targets]
    if not known:
        there = ", ".join(place["where"] for place in backup.places)
        raise StepError(f"{backup.name} is in {there}, and maint.yaml has no store for that")
    return await asyncio.to_thread(store_named, known[0], targets)


@dataclass(frozen=True, kw_only=True)
class Restore:
    """What is restored, and into which database."""

    target: PostgresTarget
    reach: Shared
    database: str
    backup: Backup
    store: Store
    programs: Programs
    progress: Progress
    grace: timedelta
    jobs: int = 1
    owners: bool = True
    tables: tuple[str, ...] = ()
    at_once: bool = False  # all of it or nothing, in one transaction


async def restore(what: Restore) -> None:
    """Restores it. Raises Failed, PlaceError: what the database has then is of no use."""
    login = await login_of(what.target, what.reach, what.database)
    argv: list[str | Path] = [
        what.programs.restore,
        f"--dbname={login.address}",
        "--no-password",
        "--exit-on-error",
        "--verbose",
        *([] if what.owners else ["--no-owner", "--no-privileges"]),
        *(["--single-transaction"] if what.at_once else []),
        *_of_tables(what.tables),
    ]

    def hear(line: str) -> None:
        if "processing data for table" in line:
            what.progress.name(f"restoring {line.rpartition('table ')[2].strip(chr(34))}")

    what.progress.begin(f"restoring {what.backup.name}")
    if what.backup.format == "directory":
        async with _unpacked(what) as folder:
            jobs = [f"--jobs={what.jobs}"] if what.jobs > 1 and not what.at_once else []
            argv += ["--format=directory", *jobs, folder]
            ended = await run_child(argv, login.environment, hear=hear, grace=what.grace)
    else:
        argv.append("--format=custom")
        gives = partial(_give, what=what)
        ended = await run_child(argv, login.environment, gives=gives, hear=hear, grace=what.grace)
    if ended.code:
        fault = ended.fault(f"pg_restore into {what.database} of {what.target.where()}")
        advice = next((advice for words, advice in _ADVICE.items() if words in fault), "")
        raise Failed(f"{fault}{f' ({advice})' if advice else ''}", "\n".join(ended.said))


def _of_tables(tables: Sequence[str]) -> Iterator[str]:
    for table in tables:
        schema, _, name = table.rpartition(".")
        if schema:
            yield f"--schema={schema}"
        yield f"--table={name}"


def _give(file: BinaryIO, what: Restore) -> None:
    broken = False
    for piece in what.store.pieces(what.backup):
        what.progress.count(len(piece))
        if not broken:
            try:
                file.write(piece)
            except BrokenPipeError:
                # It may have read what it needs. All the same the rest must be what was stored.
                broken = True


@asynccontextmanager
async def _unpacked(what: Restore) -> AsyncIterator[Path]:
    """The folder that pg_dump wrote, as long as it is needed; if we die, the next backup removes it."""
    name = f"{folder_of(what.backup.target)}/{what.database}-{token_of(what.database)}.restore"
    async with leaving() as stack:
        part = await stage(stack, what.store, name)
        await asyncio.to_thread(_fresh, part.folder)
        stack.callback(shutil.rmtree, part.folder, ignore_errors=True)
        await what.progress.work(partial(_unpack, what, part.folder))
        yield part.folder


def _fresh(folder: Path) -> None:
    with told(folder, "written"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)


def _unpack(what: Restore, folder: Path) -> None:
    reader = _Pieces(what.store.pieces(what.backup), what.progress)
    with told(folder, "written"):
        try:
            with tarfile.open(mode="r|", fileobj=reader) as tar:  # type: ignore[call-overload]
                for member in tar:
                    _unpack_one(tar, member, folder)
        except tarfile.TarError as error:
            raise StepError(f"{what.backup.name} cannot be unpacked: {error}") from error
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
