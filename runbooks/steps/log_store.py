"""Packed logs into a target of the type `backups`: each into every place of it, and looked at there."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from runbooks.backups.log_naming import log_name
from runbooks.backups.manifest import fields_of
from runbooks.backups.naming import token_of
from runbooks.backups.part import Part, told
from runbooks.backups.place import Place, PlaceError
from runbooks.steps.action import Action, Call
from runbooks.steps.backup.dumping import stage
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.stores import Sink, Store
from runbooks.steps.backup.storing import leaving
from runbooks.steps.sent_bytes import bytes_there
from runbooks.targets import HostTarget
from runbooks.visible import one_line

#: Raised when the meaning of a field of a log's manifest changes.
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class PackedLog:
    """A packed file on a host: its path below the folder, bytes, mark and checksum."""

    path: str
    size: int
    mark: int
    sha256: str


@dataclass(kw_only=True)
class Stored:
    """What came of them: those that are in every place now, of which some were before."""

    there: list[PackedLog] = field(default_factory=list)
    new: list[tuple[PackedLog, str]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Of what was new."""
        return sum(each.size for each, _ in self.new)


@dataclass(frozen=True, kw_only=True)
class LogStoring:
    """Files of one folder of one host, on their way into one store."""

    action: Action[Any]
    host: HostTarget
    folder: str
    store: Store
    call: Call
    progress: Progress

    async def put(self, files: Sequence[PackedLog], stored: Stored) -> None:
        """Stores those that are not there; what has come of them is in `stored`, also when one fails. Raises
        StepError: under its final name there is all of a file or nothing."""
        await self._tidy(files)
        for each in files:
            self.progress.begin(f"looking for {one_line(each.path, 200)} in {self.store.name}")
            name, lacking = await self.progress.work(partial(self._find, each))
            if lacking:
                await self._store(each, name, lacking)
                stored.new.append((each, name))
            stored.there.append(each)

    async def _tidy(self, files: Sequence[PackedLog]) -> None:
        """Removes what processes that died have left of files on their way."""
        self.progress.begin("looking for what was left over")
        token = token_of(self.call.key)
        for name in sorted({self._name(each).rpartition("/")[0] for each in files}):
            for place in (self.store.staging, *self.store.places):
                await self.progress.work(partial(_sweep, place, name, token))

    def _name(self, each: PackedLog, content: str = "") -> str:
        below, _, file = each.path.rpartition("/")
        folder = f"{self.folder}/{below}"
        return log_name(self.host.name, folder, file, encrypted=bool(self.store.key), content=content)

    def _find(self, each: PackedLog) -> tuple[str, list[Place]]:
        """Its name in the store, and the places that lack it. Another file of that name is never replaced."""
        for name in (self._name(each), self._name(each, each.sha256)):
            has = {place.kind: _content(place, name) for place in self.store.places}
            if set(has.values()) <= {"", each.sha256}:
                return name, [place for place in self.store.places if not has[place.kind]]
        raise PlaceError(f"{self.store.name} has something else under the name {name}: look at it there")

    async def _store(self, each: PackedLog, name: str, lacking: Sequence[Place]) -> None:
        async with leaving() as stack:
            part = await stage(stack, self.store, name)
            sink = await self._fetch(each, part)
            file = part.path
            manifest = self._manifest(each, sink)
            for place in lacking:
                self.progress.begin(f"storing {place.where(name)}")
                await self.progress.work(
                    partial(place.put, file, name, sink.sha256, manifest, self.progress.count)
                )
                file = Path(place.where(name)) if place.kind == "folder" else file
                if await self.progress.work(partial(_content, place, name)) != each.sha256:
                    raise PlaceError(f"{place.where(name)} is not what was stored there")

    async def _fetch(self, each: PackedLog, part: Part) -> Sink:
        """Its bytes, from where it is into the part, encrypted if the store has a key."""
        self.progress.begin(f"reading {one_line(each.path, 200)}")
        hashed = hashlib.sha256()
        sink = Sink(part, self.store.key)

        def take(data: bytes) -> None:
            hashed.update(data)
            sink.write(data)
            self.progress.count(len(data))

        async def in_thread(data: bytes) -> None:
            await self.progress.work(partial(_written, part, partial(take, data)))

        asked = {"folder": self.folder, "file": each.path}
        await bytes_there(self.action, self.host, self.call, asked, in_thread)
        if hashed.hexdigest() != each.sha256:
            raise PlaceError(f"{one_line(each.path)} was changed, or cut short, while it was read: it stays")
        await self.progress.work(partial(_written, part, sink.close))
        return sink

    def _manifest(self, each: PackedLog, sink: Sink) -> bytes:
        fields: dict[str, Any] = {
            "maint_log": VERSION,
            "host": self.host.name,
            "folder": self.folder,
            "file": each.path,
            "stored_at": self.call.now().isoformat(),
            "bytes": sink.bytes,
            "sha256": sink.sha256,
            "content_bytes": each.size,
            "content_sha256": each.sha256,
            "encrypted": bool(self.store.key),
            "key_id": self.store.key_id,
            "run": self.call.run,
        }
        # ASCII alone: names that are no UTF-8 have surrogates.
        return json.dumps(fields, indent=2).encode() + b"\n"


def _written(part: Part, write: Callable[[], object]) -> None:
    with told(part.path, "written"):
        write()


def _sweep(place: Place, folder: str, token: str) -> list[str]:
    return list(place.sweep(folder, token, frozenset()))


def _content(place: Place, name: str) -> str:
    """The checksum of the packed log in a file that is there; empty when there is none, or not all of it."""
    manifest = place.manifest(name)
    return "" if manifest is None else str(fields_of(manifest).get("content_sha256", "?"))
