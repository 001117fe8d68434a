"""The catalogue of backups that steps are handed, in the database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from runbooks.backups.backup import Backup
from runbooks.engine.hold import Database
from runbooks.records import backups
from runbooks.steps.reach import utc_now


@dataclass(frozen=True)
class KeptCatalogue:
    """See `runbooks.backups.backup.Catalogue`."""

    database: Database
    now: Callable[[], datetime] = utc_now

    async def add(self, backup: Backup) -> None:
        """Remembers a backup; one that it has already stays as it is."""
        await self.database.write(partial(backups.add, backup=backup))

    async def stored(self, id_: str, places: Sequence[Mapping[str, str]]) -> None:
        """It is in these places now."""
        await self.database.write(partial(backups.stored, id_=id_, places=places))

    async def get(self, id_: str) -> Backup | None:
        """The one of that id, also one that was removed."""
        return await self.database.read(partial(backups.get, id_=id_))

    async def present(self, target: str | None = None) -> Sequence[Backup]:
        """Those that were not removed, newest first."""
        return await self.database.read(partial(backups.present, target=target))

    async def proven(self, id_: str) -> None:
        """It was restored just now, and was what its snapshot had."""
        await self.database.write(partial(backups.proven, id_=id_, at=self.now()))

    async def restored(self, id_: str) -> None:
        """People restored it just now."""
        await self.database.write(partial(backups.restored, id_=id_, at=self.now()))

    async def removed(self, id_: str) -> None:
        """It is in no place any more."""
        await self.database.write(partial(backups.removed, id_=id_, at=self.now()))
