"""`postgres.restore` and `postgres.restore_preview`: a backup as a database, and what that would cost."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Self

from psycopg import AsyncConnection
from pydantic import Field, model_validator

from runbooks.backups.backup import Backup
from runbooks.backups.naming import COMING
from runbooks.errors import StepError
from runbooks.spec.model import parse_duration
from runbooks.steps.action import Action, ActionTimeout, Call, Done, Failed, Preview, Risk
from runbooks.steps.backup.programs import find_programs
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.replacing import about, put_in_place
from runbooks.steps.backup.restoring import NEWEST, Restore, chosen, restore, store_with
from runbooks.steps.backup.server import (
    Scratch,
    connect,
    databases,
    drop_database,
    look_at,
    make_database,
)
from runbooks.steps.backup.snapshot import differences, facts_of, total_rows
from runbooks.steps.backup.tables import Table, restore_tables
from runbooks.steps.reach import Reach
from runbooks.steps.step import Output
from runbooks.steps.units import show
from runbooks.targets import BackupsTarget, PostgresTarget, TargetBase

#: Where one logs in to make and rename databases: the one that every server has.
MAINTENANCE = "postgres"
#: Tables that a preview lists.
_LISTED = 200


class _OfBackup(Action[PostgresTarget]):
    """What both have."""

    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    also_names: ClassVar[Mapping[str, type[TargetBase]]] = {"store": BackupsTarget, "of": PostgresTarget}

    target: str
    of: str | None = None
    backup: str = NEWEST
    store: str | None = None
    database: str | None = Field(default=None, min_length=1, max_length=63)
    tables: tuple[str, ...] = Field(default=(), strict=False, max_length=50)

    def _into(self, backup: Backup, now: datetime) -> str:
        return self.database or f"{backup.database[:40]}_restored_{now:%Y%m%d_%H%M%S}"

    def _what(self) -> str:
        which = "the newest backup" if self.backup == NEWEST else f"the backup {self.backup}"
        tables = f"{', '.join(self.tables)} from " if self.tables else ""
        return f"{tables}{which} of {self.of or self.target}"


class PostgresRestorePreview(_OfBackup):
    """Says what a restore would bring, and what would be lost; touches nothing."""

    kind: ClassVar[str] = "postgres.restore_preview"
    title: ClassVar[str] = "What a restore would do"
    risk: ClassVar[Risk] = Risk.READ
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "id": Output(title="backup", number=False),
        "taken_at": Output(title="taken at", number=False),
        "age_s": Output(title="its age", unit="s"),
        "bytes": Output(title="its size", unit="bytes"),
        "rows": Output(title="its rows"),
        "database": Output(title="database", number=False),
        "present_bytes": Output(title="size of the database that is there", unit="bytes"),
        "present_rows": Output(title="rows in it"),
        "lost": Output(title="what would be lost", number=False),
    }

    timeout: ActionTimeout = parse_duration("1h")

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """What it looks at."""
        return (f"compares {self._what()} with what {target.name} ({target.where()}) has now",)

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Looks."""
        backup = await chosen(call.backups, self.of or target.name, self.backup, ("full", "schema"))
        now = call.now()
        into = self._into(backup, now)
        async with connect(target, call, read_only=True) as connection:
            there = await databases(connection)
        saved: Mapping[str, Any] = backup.facts.get("tables", {})
        present = await facts_of(target, call, into, ()) if into in there else {}
        age = show((now - backup.taken_at).total_seconds(), "s")
        lost = "nothing: it is a new database"
        if into in there:
            lost = (
                f"all that was written to {into} in the last {age}; it has {total_rows(present):,} rows now"
            )
        return Done(
            values={
                "id": backup.id,
                "taken_at": f"{backup.taken_at:%Y-%m-%d %H:%M} UTC",
                "age_s": (now - backup.taken_at).total_seconds(),
                "bytes": backup.bytes,
                "rows": total_rows(saved),
                "database": into,
                "present_bytes": there.get(into, 0),
                "present_rows": total_rows(present),
                "lost": lost,
            },
            summary=(
                f"{backup.database} of {age} ago, {show(backup.bytes, 'bytes')} with {total_rows(saved):,}"
                f" rows, into {into}; lost would be {lost}"
            ),
            output=_compared(saved, present),
            warnings=() if backup.proven_at else ("this backup was never restored for a proof",),
        )


class PostgresRestore(_OfBackup):
    """Restores into a new database; with `replace` it takes the place of one, which stays, renamed."""

    kind: ClassVar[str] = "postgres.restore"
    title: ClassVar[str] = "Restore"
    risk: ClassVar[Risk] = Risk.HIGH
    safe_to_repeat: ClassVar[bool] = False
    outputs: ClassVar[Mapping[str, Output]] = {
        "id": Output(title="backup", number=False),
        "taken_at": Output(title="taken at", number=False),
        "database": Output(title="database", number=False),
        "previous": Output(title="the one before is now called", number=False),
        "tables": Output(title="tables"),
        "rows": Output(title="rows"),
    }

    replace: bool = False
    confirm: str = ""
    owners: bool = True
    jobs: int = Field(default=1, ge=1, le=64)
    timeout: ActionTimeout = parse_duration("12h")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.replace and self.tables:
            raise ValueError("single `tables` take no database's place: restore them beside it")
        if self.replace and self.database is None:
            raise ValueError("say which `database` is to be replaced")
        return self

    @property
    def people(self) -> int:
        """Two must have said yes before a database is replaced."""
        return 2 if self.replace else 0

    async def foresee(self, target: PostgresTarget, reach: Reach) -> Preview:
        """What it would bring and what would be lost, by sizes: `postgres.restore_preview` counts rows."""
        backup = await chosen(reach.backups, self.of or target.name, self.backup, ("full", "schema"))
        async with connect(target, reach, read_only=True) as connection:
            there = await databases(connection)
        age = show((reach.now() - backup.taken_at).total_seconds(), "s")
        rows = total_rows(backup.facts.get("tables", {}))
        proof = "proven" if backup.proven_at else "never restored for a proof"
        lines = [f"the backup is {age} old, {show(backup.bytes, 'bytes')} with {rows:,} rows, {proof}"]
        present = self.database in there if self.database else False
        if present and self.database:
            size = show(there[self.database], "bytes")
            lines.append(f"{self.database} has {size} now; lost would be what was written in the last {age}")
        refused = ""
        if present and not self.replace and not self.tables:
            refused = f"there is a database {self.database} already"
        return Preview(lines=tuple(lines), refused=refused)

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """What is restored, and over what."""
        where = f"{target.name} ({target.where()})"
        if self.replace:
            return (
                f"restores {self._what()} beside {self.database} on {where}, and compares it",
                f"ends every session in {self.database}, and puts it in its place",
                f"{self.database} as it is now stays, as {self.database}_before_…, until somebody drops it",
            )
        into = self.database or "a new database"
        if self.tables:
            return (
                f"restores {self._what()} into {into} on {where}, whole or not at all",
                "makes its foreign keys where the other table is there; never touches a table that is there",
            )
        return (f"restores {self._what()} into {into} on {where}; it must not be there yet",)

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Restores. Raises StepError: what was there before is as it was."""
        if self.replace and self.confirm != self.database:
            raise StepError(
                f"`confirm` must be {self.database!r}, typed by who wants it replaced: nothing was touched"
            )
        backup = await chosen(call.backups, self.of or target.name, self.backup, ("full", "schema"))
        store = await store_with(backup, call.targets, self.store)
        into = self._into(backup, call.now())
        async with AsyncExitStack() as stack:
            progress = await stack.enter_async_context(Progress(call.tell))
            admin = await stack.enter_async_context(connect(target, call, MAINTENANCE))
            server = await look_at(admin)
            there = await databases(admin)
            what = Restore(
                target=target,
                reach=call,
                database=into,
                backup=backup,
                store=store,
                programs=await find_programs(target, server.major),
                progress=progress,
                grace=self.grace,
                jobs=self.jobs,
                owners=self.owners,
            )
            if self.tables and into in there:
                told = await restore_tables(what, self._tables(), lived_in=True)
                previous = ""
            elif into in there and not self.replace:
                raise StepError(
                    f"{target.where()} has a database {into} already: name another, or say `replace: true`"
                )
            elif self.replace and into not in there:
                raise StepError(f"{target.where()} has no database {into} that could be replaced")
            else:
                previous, told = await self._beside(admin, what, call)
        await call.backups.restored(backup.id)
        told = (*told, *await self._warnings(target, call, previous))
        return self._done(backup, into, previous, told)

    def _tables(self) -> tuple[Table, ...]:
        return tuple(dict.fromkeys(map(Table.named, self.tables)))

    async def _beside(
        self, admin: AsyncConnection[Any], what: Restore, call: Call
    ) -> tuple[str, tuple[str, ...]]:
        """Into a database of another name, which gets its own when it was looked at; what the one before is
        called then, and warnings."""
        coming = Scratch(admin, call.key, COMING)
        what.progress.begin("looking for what was left over")
        await coming.sweep()
        whole = False
        try:
            like = what.backup.facts["settings"]
            await make_database(admin, coming.name, like, owned_alike=self.owners)
            told = await self._restore(replace(what, database=coming.name))
            what.progress.begin(f"giving it the name {what.database}")
            previous = await put_in_place(admin, what, coming.name, call.now(), self.replace)
            whole = True
        finally:
            if not whole:
                await drop_database(admin, coming.name)
        return previous, told

    async def _restore(self, what: Restore) -> tuple[str, ...]:
        if self.tables:
            return await restore_tables(what, self._tables(), lived_in=False)
        await restore(what)
        await self._compare(what, what.database)
        return ()

    async def _compare(self, what: Restore, database: str) -> None:
        what.progress.begin("comparing it with its snapshot")
        found = await facts_of(what.target, what.reach, database, what.backup.facts.get("checksums", ()))
        if told := differences(what.backup.facts.get("tables", {}), found):
            raise Failed(f"{what.backup.name} is not what its snapshot had: {'; '.join(told)}")

    async def _warnings(self, target: PostgresTarget, call: Call, previous: str) -> tuple[str, ...]:
        if not previous:
            return ()
        async with connect(target, call, MAINTENANCE, read_only=True) as connection:
            settings = await about(connection, previous)
        kept = f"{previous} is still there: drop it when nobody misses it"
        if settings:
            return (kept, f"not in a dump, to be set again: {settings}")
        return (kept,)

    def _done(self, backup: Backup, into: str, previous: str, warnings: tuple[str, ...]) -> Done:
        tables: Mapping[str, Any] = backup.facts.get("tables", {})
        some = f"{', '.join(self.tables)} of " if self.tables else ""
        return Done(
            values={
                "id": backup.id,
                "taken_at": f"{backup.taken_at:%Y-%m-%d %H:%M} UTC",
                "database": into,
                "previous": previous or None,
                "tables": len(self.tables) or len(tables),
                "rows": None if self.tables else total_rows(tables),
            },
            summary=f"{some}{backup.database} as of {backup.taken_at:%Y-%m-%d %H:%M} UTC is in {into}",
            warnings=warnings,
        )


def _compared(saved: Mapping[str, Any], present: Mapping[str, Any]) -> str:
    names = sorted({*saved, *present})
    lines = [f"{'in the backup':>15} {'now':>15}  table"]
    lines += [f"{_rows(saved, name):>15} {_rows(present, name):>15}  {name}" for name in names[:_LISTED]]
    return "\n".join([*lines, *([f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else [])])


def _rows(tables: Mapping[str, Any], name: str) -> str:
    return f"{tables[name]['rows']:,}" if "rows" in tables.get(name, {}) else "-"
