"""`postgres.backup`: a dump that was looked at, in every place of a store, or nothing at all."""

import asyncio
import statistics
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from psycopg import AsyncConnection
from pydantic import Field, model_validator

from runbooks.backups.backup import Backup
from runbooks.backups.naming import file_name, token_of
from runbooks.errors import StepError
from runbooks.spec.model import parse_duration
from runbooks.steps.action import Action, ActionTimeout, Call, Done, Failed, Preview, Risk
from runbooks.steps.backup.dumping import Dump, Dumped, dump_into, stage
from runbooks.steps.backup.programs import find_programs
from runbooks.steps.backup.progress import Progress
from runbooks.steps.backup.server import Server, connect, end_sessions_of, login_of, look_at
from runbooks.steps.backup.snapshot import count, open_snapshot, total_rows
from runbooks.steps.backup.stores import Store, store_named
from runbooks.steps.backup.storing import complete, leaving, missing, store_in_all, tidy
from runbooks.steps.reach import Reach
from runbooks.steps.step import Output
from runbooks.steps.units import show
from runbooks.targets import BackupsTarget, PostgresTarget, TargetBase

#: How many earlier backups are looked at for what is usual.
USUAL = 10
#: A backup that is smaller than this part of the usual size is worth a look.
SMALL = 0.5
#: Room that is wanted for a file of the usual size, in terms of it.
ROOM = 1.3


@dataclass(frozen=True, kw_only=True)
class _Making:
    """A backup on its way."""

    target: PostgresTarget
    call: Call
    store: Store
    token: str
    progress: Progress


class PostgresBackup(Action[PostgresTarget]):
    """Dumps one database, from one snapshot, with the pg_dump of the server's version."""

    kind: ClassVar[str] = "postgres.backup"
    title: ClassVar[str] = "Backup"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    also_names: ClassVar[Mapping[str, type[TargetBase]]] = {"store": BackupsTarget}
    risk: ClassVar[Risk] = Risk.LOW
    #: What a dead process left of the first try is removed by the next.
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "id": Output(title="backup", number=False),
        "name": Output(title="file", number=False),
        "bytes": Output(title="size", unit="bytes"),
        "seconds": Output(title="duration", unit="s"),
        "sha256": Output(title="checksum", number=False),
        "tables": Output(title="tables"),
        "rows": Output(title="rows"),
        "percent_of_usual": Output(title="size, of the usual one", unit="%"),
    }

    target: str
    store: str
    format: Literal["custom", "directory"] = "custom"
    jobs: int = Field(default=1, ge=1, le=64)
    compress: Annotated[int, Field(ge=0, le=9)] | None = None
    schema_only: bool = False
    data_only: bool = False
    checksums: tuple[str, ...] = Field(default=(), strict=False)
    at_least: int = Field(default=500, ge=1)
    read_back: bool = False
    timeout: ActionTimeout = parse_duration("6h")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.schema_only and self.data_only:
            raise ValueError("`schema_only` and `data_only` together leave nothing")
        if self.jobs > 1 and self.format != "directory":
            raise ValueError("several `jobs` need `format: directory`: a custom dump is written by one")
        if self.checksums and self.schema_only:
            raise ValueError("a schema has no rows to make `checksums` of")
        return self

    @property
    def what(self) -> str:
        """The kind of backup."""
        return "schema" if self.schema_only else "data" if self.data_only else "full"

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """What is dumped, and where it goes."""
        part = {"schema": "the schema of ", "data": "the rows of "}.get(self.what, "")
        how = f"{self.format} format" + (f", {self.jobs} connections" if self.jobs > 1 else "")
        lines = [f"dumps {part}{target.name} ({target.where()}) with its own version of pg_dump ({how})"]
        if not self.schema_only:
            sums = f", with checksums of {', '.join(self.checksums)}" if self.checksums else ""
            lines.append(f"counts the rows of every table in the same snapshot{sums}")
        lines.append(f"looks at the result, and stores it in {self.store}")
        return (*lines, *(["reads it back from every place"] if self.read_back else []))

    async def foresee(self, target: PostgresTarget, reach: Reach) -> Preview:
        """How much it would be, how long it usually takes, and how much room there is."""
        async with connect(target, reach, read_only=True) as connection:
            server = await look_at(connection)
        known = await reach.backups.present(target.name)
        like = [each for each in known if (each.database, each.kind) == (server.database, self.what)]
        lines = [
            f"{server.database} has {show(server.size, 'bytes')} on a server of version {server.version}"
        ]
        if like:
            seconds = statistics.median(each.seconds for each in like[:USUAL])
            lines.append(f"usually {show(_usual(like), 'bytes')} in {show(seconds, 's')}")
        try:
            await find_programs(target, server.major)
        except StepError as error:
            return Preview(lines=tuple(lines), refused=str(error))
        store = await asyncio.to_thread(store_named, self.store, reach.targets)
        free = await asyncio.to_thread(store.staging.free)
        return Preview(lines=(*lines, f"{store.staging.folder} has {show(free, 'bytes')} free"))

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Makes it. Raises StepError: then there is no new backup, and every earlier one is as it was."""
        store = await asyncio.to_thread(store_named, self.store, call.targets)
        token = token_of(call.key)
        async with Progress(call.tell) as progress:
            made = await call.backups.get(token)
            if made is None:
                making = _Making(target=target, call=call, store=store, token=token, progress=progress)
                made = await self._make(making)
            elif missing(made, store):
                made = await complete(made, store, call.backups, progress, read_back=self.read_back)
        return _done(made, _like(made, await call.backups.present(target.name)))

    async def _make(self, making: _Making) -> Backup:
        target, call, store, progress = making.target, making.call, making.store, making.progress
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            connection, snapshot = await stack.enter_async_context(open_snapshot(target, call))
            taken_at = call.now()
            server = await look_at(connection)
            programs = await find_programs(target, server.major)
            known = await call.backups.present(target.name)
            await end_sessions_of(connection, making.token)
            await tidy(target.name, store, making.token, frozenset(each.name for each in known), progress)
            await self._check_room(making, server, known)
            name = file_name(
                target=target.name,
                database=server.database,
                kind=self.what,
                format_=self.format,
                taken_at=taken_at,
                token=making.token,
                encrypted=bool(store.key),
            )
            part = await stage(await stack.enter_async_context(leaving()), store, name)
            dump = Dump(
                login=await login_of(target, call, token=making.token),
                snapshot=snapshot,
                programs=programs,
                where=target.where(),
                kind=self.what,
                format=self.format,
                jobs=self.jobs,
                compress=self.compress,
                grace=self.grace,
            )
            dumped, tables = await self._both(connection, dump_into(part, dump, store, progress))
            self._check(dumped, tables, target)
            backup = Backup(
                id=making.token,
                target=target.name,
                database=server.database,
                name=name,
                taken_at=taken_at,
                kind=self.what,
                format=self.format,
                bytes=dumped.bytes,
                sha256=dumped.sha256,
                encrypted=bool(store.key),
                places=(),
                server_version=server.version,
                seconds=time.monotonic() - began,
                run=call.run,
                facts={
                    "tables": tables,
                    "checksums": list(self.checksums),
                    "settings": server.settings,
                    "database_bytes": server.size,
                    "dumped_with": programs.version,
                },
            )
            return await store_in_all(
                backup, part.path, store, call.backups, progress, read_back=self.read_back
            )

    async def _both(
        self, connection: AsyncConnection[Any], dumping: Coroutine[Any, Any, Dumped]
    ) -> tuple[Dumped, dict[str, Any]]:
        """The dump, and at the same time the counts of the same snapshot; the first fault ends both."""
        dump = asyncio.ensure_future(dumping)
        tables = asyncio.ensure_future(count(connection, self.checksums, rows=not self.schema_only))
        try:
            ended, _ = await asyncio.wait({dump, tables}, return_when=asyncio.FIRST_EXCEPTION)
            for task in ended:
                task.result()
            return dump.result(), tables.result()
        finally:
            for task in (dump, tables):
                task.cancel()
            await asyncio.gather(dump, tables, return_exceptions=True)

    async def _check_room(self, making: _Making, server: Server, known: Sequence[Backup]) -> None:
        like = [each for each in known if (each.database, each.kind) == (server.database, self.what)]
        usual = _usual(like)
        wanted, why = (
            (server.size, "as the database has") if usual is None else (usual * ROOM, "as backups take")
        )
        staging = making.store.staging
        free = await making.progress.work(staging.free)
        if free < wanted:
            raise StepError(
                f"{staging.folder} has {show(free, 'bytes')} free, and {show(wanted, 'bytes')} are wanted,"
                f" {why}: make room, or give the store another `staging:`. Nothing was begun"
            )

    def _check(self, dumped: Dumped, tables: Mapping[str, Any], target: PostgresTarget) -> None:
        if dumped.plain < self.at_least:
            raise Failed(
                f"the dump of {target.where()} has only {dumped.plain} bytes, less than `at_least: "
                f"{self.at_least}`. Nothing was stored"
            )
        if dumped.entries < len(tables):
            raise Failed(
                f"the dump of {target.where()} has {dumped.entries} tables, and the database {len(tables)}:"
                " may the login read all of them? Nothing was stored"
            )


def _like(backup: Backup, known: Sequence[Backup]) -> list[Backup]:
    """The others of the same database and kind."""
    same = (backup.database, backup.kind)
    return [each for each in known if (each.database, each.kind) == same and each.id != backup.id]


def _usual(like: Sequence[Backup]) -> float | None:
    """The median size of the last ones, in bytes."""
    return statistics.median(each.bytes for each in like[:USUAL]) if like else None


def _done(backup: Backup, like: Sequence[Backup]) -> Done:
    usual = _usual(like)
    percent = None if usual is None else round(100 * backup.bytes / usual, 1)
    compared, warnings = "", []
    if usual is not None and percent is not None:
        compared = f" ({percent:.0f} % of the usual {show(usual, 'bytes')})"
        if percent < 100 * SMALL:
            warnings.append(f"it is much smaller than usual: {percent:.0f} %. Was something deleted?")
    tables: Mapping[str, Any] = backup.facts.get("tables", {})
    where = " and ".join(place["where"] for place in backup.places)
    encrypted = "encrypted, " if backup.encrypted else ""
    return Done(
        values={
            "id": backup.id,
            "name": backup.name,
            "bytes": backup.bytes,
            "seconds": round(backup.seconds, 1),
            "sha256": backup.sha256,
            "tables": len(tables),
            "rows": total_rows(tables),
            "percent_of_usual": percent,
        },
        summary=(
            f"{show(backup.bytes, 'bytes')}{compared} in {show(backup.seconds, 's')}, {len(tables)} tables"
            f" with {total_rows(tables):,} rows, sha256 {backup.sha256[:12]}…, {encrypted}in {where}"
        ),
        warnings=tuple(warnings),
    )
