"""A file that was made, into every place of a store: what one has taken counts, whatever another does."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from runbooks.backups.backup import Backup, Catalogue
from runbooks.backups.manifest import write_manifest
from runbooks.backups.naming import folder_of
from runbooks.backups.part import BLOCK
from runbooks.backups.place import Place, PlaceError
from runbooks.errors import StepError
from runbooks.steps.action import Failed
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.stores import Store


@asynccontextmanager
async def leaving() -> AsyncIterator[ExitStack]:
    """A stack that is left in a thread: it removes files."""
    stack = ExitStack()
    try:
        yield stack
    finally:
        await asyncio.shield(asyncio.to_thread(stack.close))


async def tidy(target: str, store: Store, token: str, known: frozenset[str], progress: Progress) -> None:
    """Removes what processes that died have left, and an earlier try of ours. A bucket that is away is told
    of when it is needed."""
    progress.begin("looking for what was left over")
    for place in (store.staging, *store.places):
        try:
            await progress.work(partial(_sweep, place, target, token, known))
        except PlaceError:
            if place is store.staging:
                raise


def _sweep(place: Place, target: str, token: str, known: frozenset[str]) -> list[str]:
    return list(place.sweep(folder_of(target), token, known))


def missing(backup: Backup, store: Store) -> tuple[Place, ...]:
    """The places of the store that do not have it."""
    return tuple(place for place in store.places if not store.has(place, backup))


async def store_in_all(
    backup: Backup, file: Path, store: Store, catalogue: Catalogue, progress: Progress, *, read_back: bool
) -> Backup:
    """The backup with the places that it is in now. Raises Failed when one did not take it."""
    manifest = write_manifest(backup, key_id=store.key_id)
    faults: list[str] = []
    for place in missing(backup, store):
        try:
            file = await _put(place, backup, file, manifest, progress, read_back=read_back)
        except PlaceError as error:
            faults.append(str(error))
        else:
            backup = replace(backup, places=(*backup.places, store.noted(place, backup.name)))
    if backup.places:
        await catalogue.add(backup)
        await catalogue.stored(backup.id, backup.places)
    if faults:
        there = ", ".join(place["where"] for place in backup.places)
        kept = (
            f"It is in {there}: a retry stores it where it is missing" if there else "Nothing is kept of it"
        )
        raise Failed(f"{'; '.join(faults)}. {kept}; every earlier backup is as it was")
    return backup


async def complete(
    backup: Backup, store: Store, catalogue: Catalogue, progress: Progress, *, read_back: bool
) -> Backup:
    """Stores a backup where it is missing, from the folder that has it. Raises Failed, StepError."""
    folder = next((Path(each["where"]) for each in backup.places if each["kind"] == "folder"), None)
    if folder is None:
        raise StepError(f"{backup.name} is in no folder that it could be stored from: make a new backup")
    return await store_in_all(backup, folder, store, catalogue, progress, read_back=read_back)


async def _put(
    place: Place, backup: Backup, file: Path, manifest: bytes, progress: Progress, *, read_back: bool
) -> Path:
    """Where the file is then: a folder takes it over."""
    progress.begin(f"storing it in {place.where(backup.name)}")
    await progress.work(partial(place.put, file, backup.name, backup.sha256, manifest, progress.count))
    if read_back:
        progress.begin(f"reading it back from {place.where(backup.name)}")
        await progress.work(partial(_read_back, place, backup, progress))
    return Path(place.where(backup.name)) if place.kind == "folder" else file


def _read_back(place: Place, backup: Backup, progress: Progress) -> None:
    digest = hashlib.sha256()
    with place.read(backup.name) as reader:
        while block := reader.read(BLOCK):
            digest.update(block)
            progress.count(len(block))
    if digest.hexdigest() != backup.sha256:
        raise PlaceError(f"{place.where(backup.name)} gives something else back than was stored there")
