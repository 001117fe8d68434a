"""One backup, as Maint knows it; and who remembers them all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A database at one moment, in one file. `bytes` and `sha256` are of the file as it is stored.

    `places`: maps with `store` (the target that it is in), `kind` (`folder`, `s3`) and `where`. `facts`: what
    the snapshot had: `tables` (rows and checksums by name), `database` (encoding and the like).
    """

    id: str
    target: str
    database: str
    name: str
    taken_at: datetime
    kind: str  # full, schema, data
    format: str  # custom, directory
    bytes: int
    sha256: str
    encrypted: bool
    places: tuple[Mapping[str, str], ...]
    server_version: str
    seconds: float
    run: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    proven_at: datetime | None = None
    restored_at: datetime | None = None
    hold: str = ""
    removed_at: datetime | None = None

    @property
    def stores(self) -> frozenset[str]:
        """The targets that it is in."""
        return frozenset(place["store"] for place in self.places)


class Catalogue(Protocol):
    """The backups that Maint took. All raise RecordsError when the database does not answer."""

    async def add(self, backup: Backup) -> None:
        """Remembers a backup that is whole in every place; one that it has already stays as it is."""

    async def stored(self, id_: str, places: Sequence[Mapping[str, str]]) -> None:
        """It is in these places now."""

    async def get(self, id_: str) -> Backup | None:
        """The one of that id, also one that was removed."""

    async def present(self, target: str | None = None) -> Sequence[Backup]:
        """Those that were not removed, newest first; of one target, or of all."""

    async def proven(self, id_: str) -> None:
        """It was restored just now, and was what its snapshot had."""

    async def restored(self, id_: str) -> None:
        """People restored it just now."""

    async def removed(self, id_: str) -> None:
        """It is in no place any more."""


class NoCatalogue:
    """The catalogue where there is no database: nothing was ever backed up."""

    async def add(self, backup: Backup) -> None:
        """Forgets it."""

    async def stored(self, id_: str, places: Sequence[Mapping[str, str]]) -> None:
        """Forgets it."""

    async def get(self, id_: str) -> Backup | None:  # noqa: ARG002 - as Catalogue has it
        """Nothing."""
        return None

    async def present(self, target: str | None = None) -> Sequence[Backup]:  # noqa: ARG002
        """Nothing."""
        return ()

    async def proven(self, id_: str) -> None:
        """Forgets it."""

    async def restored(self, id_: str) -> None:
        """Forgets it."""

    async def removed(self, id_: str) -> None:
        """Forgets it."""
