"""A dump, from a snapshot of the database to a file that pg_restore reads."""

import asyncio
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from runbooks.backups.encryption import decrypted
from runbooks.backups.part import BLOCK, Part, make_folder, open_part, told
from runbooks.errors import StepError
from runbooks.steps.action import Failed
from runbooks.steps.backup.child import Ended, run_child
from runbooks.steps.backup.programs import Programs
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.server import Login
from runbooks.steps.backup.stores import Sink, Store

#: What to do about what pg_dump says.
_ADVICE = {
    "permission denied": "let the login read everything: GRANT pg_read_all_data TO it (from version 14 on)",
    "row-level security": "policies hide rows from the login: give it BYPASSRLS",
    "server version mismatch": "pg_dump is of another version than the server: set the target's `bin:`",
    "closed the connection": "the server went away in the middle: is it up? Its log says why",
    "terminating connection": "the server ended the connection: is it up? Its log says why",
    "does not exist": "something was dropped meanwhile, or the snapshot's session has ended",
}


@dataclass(frozen=True, kw_only=True)
class Dump:
    """What is to be dumped, and how."""

    login: Login
    snapshot: str
    programs: Programs
    where: str
    kind: str
    format: str
    jobs: int
    compress: int | None
    grace: timedelta


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """A dump that is on the disk. `bytes` and `sha256` of the file, `plain` bytes before encryption."""

    part: Part
    bytes: int
    sha256: str
    plain: int
    entries: int  # of pg_restore --list that have rows, or tables without them


async def stage(stack: ExitStack, store: Store, name: str) -> Part:
    """A part for that file, in the store's own folder if it has one; it goes with the stack."""
    final = store.staging.folder / name

    def opened() -> Part:
        with told(final, "written"):
            make_folder(final.parent)
            return stack.enter_context(open_part(final))

    return await asyncio.to_thread(opened)


async def dump_into(part: Part, dump: Dump, store: Store, progress: Progress) -> Dumped:
    """Dumps, and looks whether pg_restore can read it. Raises Failed, PlaceError."""
    sink = Sink(part, store.key)
    progress.begin("dumping")

    def hear(line: str) -> None:
        if "dumping contents of table" in line:
            progress.name(f"dumping {line.rpartition('table ')[2].strip(chr(34))}")

    if dump.format == "directory":
        entries = await _dump_directory(part, dump, sink, progress, hear)
    else:
        ended = await run_child(
            _argv(dump),
            dump.login.environment,
            takes=partial(_pour, sink=sink, part=part, progress=progress),
            hear=hear,
            grace=dump.grace,
        )
        _check(ended, dump)
        entries = await _listed(dump, partial(_again, part=part, store=store))
    return Dumped(part=part, bytes=sink.bytes, sha256=sink.sha256, plain=sink.taken, entries=entries)


def _argv(dump: Dump, *more: str | Path) -> list[str | Path]:
    kind = {"schema": ["--schema-only"], "data": ["--data-only"]}.get(dump.kind, [])
    compress = [] if dump.compress is None else [f"--compress={dump.compress}"]
    return [
        dump.programs.dump,
        f"--dbname={dump.login.address}",
        f"--format={dump.format}",
        f"--snapshot={dump.snapshot}",
        "--verbose",
        "--no-password",
        "--lock-wait-timeout=60s",
        *kind,
        *compress,
        *more,
    ]


def _check(ended: Ended, dump: Dump) -> None:
    if ended.code == 0:
        return
    fault = ended.fault(f"pg_dump of {dump.where}")
    advice = next((advice for words, advice in _ADVICE.items() if words in fault), "")
    raise Failed(f"{fault}{f' ({advice})' if advice else ''}. Nothing was stored", "\n".join(ended.said))


def _pour(file: BinaryIO, sink: Sink, part: Part, progress: Progress) -> None:
    with told(part.path, "written"):
        while block := file.read(1024 * 1024):
            sink.write(block)
            progress.count(len(block))
        sink.close()


async def _dump_directory(
    part: Part, dump: Dump, sink: Sink, progress: Progress, hear: Callable[[str], None]
) -> int:
    """pg_dump writes a folder, with several connections; stored is one file."""
    folder = part.folder
    try:
        argv = _argv(dump, f"--jobs={dump.jobs}", f"--file={folder}")
        _check(await run_child(argv, dump.login.environment, hear=hear, grace=dump.grace), dump)
        entries = await _listed(dump, None, folder)
        progress.begin("packing")
        await progress.work(partial(_pack, folder, sink, part, progress))
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return entries


def _pack(folder: Path, sink: Sink, part: Part, progress: Progress) -> None:
    with told(part.path, "written"):
        # Streamed: tarfile asks for nothing but write().
        with tarfile.open(mode="w|", fileobj=cast("IO[bytes]", sink), bufsize=BLOCK) as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, arcname=path.name, filter=_without_owner)
                progress.count(path.stat().st_size)
                path.unlink()  # the disk need not hold it twice
        sink.close()


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _again(file: BinaryIO, part: Part, store: Store) -> None:
    """Reads the part as a restore would, as far as somebody listens."""
    for piece in _pieces(part, store):
        file.write(piece)


def _pieces(part: Part, store: Store) -> Iterator[bytes]:
    with part.path.open("rb") as source:
        if store.key:
            yield from decrypted(source, [store.key])
        else:
            yield from iter(lambda: source.read(BLOCK), b"")


async def _listed(dump: Dump, gives: Callable[[BinaryIO], Any] | None, folder: Path | None = None) -> int:
    """How many tables pg_restore finds in it. Raises Failed when it cannot read it."""
    listing = bytearray()
    ended = await run_child(
        [dump.programs.restore, "--list", *([folder] if folder else [])],
        {},
        gives=gives,
        takes=lambda file: listing.extend(b"".join(iter(lambda: file.read(BLOCK), b""))),
        grace=dump.grace,
    )
    if ended.code:
        raise Failed(f"{ended.fault('pg_restore --list of the new dump')}. Nothing was stored")
    word = " TABLE " if dump.kind == "schema" else " TABLE DATA "
    lines = [line for line in listing.decode(errors="replace").splitlines() if not line.startswith(";")]
    if not lines and dump.kind != "data":
        raise StepError(f"the new dump of {dump.where} has nothing in it. Nothing was stored")
    return sum(word in line for line in lines)
