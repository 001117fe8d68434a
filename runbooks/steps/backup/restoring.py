"""A backup into an empty database: which one, from where, and by pg_restore."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from runbooks.backups.backup import Backup, Catalogue
from runbooks.errors import StepError
from runbooks.steps.action import Failed
from runbooks.steps.backup.archive import Archive, open_archive
from runbooks.steps.backup.programs import Programs
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.server import login_of
from runbooks.steps.backup.stores import Store, store_named
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


@asynccontextmanager
async def opened(what: Restore) -> AsyncIterator[Archive]:
    """Its backup, to be read by pg_restore."""
    archive = Archive(
        backup=what.backup,
        store=what.store,
        program=what.programs.restore,
        progress=what.progress,
        grace=what.grace,
    )
    async with open_archive(archive, what.database) as ready:
        yield ready


async def restore(what: Restore) -> None:
    """Restores all of it. Raises Failed, PlaceError: what the database has then is of no use."""
    what.progress.begin(f"restoring {what.backup.name}")
    async with opened(what) as archive:
        jobs = [f"--jobs={what.jobs}"] if what.jobs > 1 and archive.folder else []
        await restore_from(archive, what, *jobs)


async def restore_from(archive: Archive, what: Restore, *more: str) -> None:
    """Restores what those options choose. Raises Failed, PlaceError, as `restore`."""
    login = await login_of(what.target, what.reach, what.database)
    options = [
        f"--dbname={login.address}",
        "--no-password",
        "--exit-on-error",
        "--verbose",
        *([] if what.owners else ["--no-owner", "--no-privileges"]),
        *more,
    ]

    def hear(line: str) -> None:
        if "processing data for table" in line:
            what.progress.name(f"restoring {line.rpartition('table ')[2].strip(chr(34))}")

    ended = await archive.restore(options, login.environment, hear)
    if ended.code:
        fault = ended.fault(f"pg_restore into {what.database} of {what.target.where()}")
        advice = next((advice for words, advice in _ADVICE.items() if words in fault), "")
        raise Failed(f"{fault}{f' ({advice})' if advice else ''}", "\n".join(ended.said))
