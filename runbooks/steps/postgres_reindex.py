"""`postgres.reindex`: rebuilds indexes, one after another, while people work."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from psycopg import sql
from pydantic import Field, model_validator

from runbooks.errors import StepError
from runbooks.spec.model import parse_duration
from runbooks.steps.action import Call, Done, Doubtful, Failed, Preview, Risk
from runbooks.steps.postgres_indexes import (
    Bloat,
    Index,
    all_indexes,
    bloat_of,
    index_named,
    index_of,
    left_overs,
)
from runbooks.steps.postgres_locks import LockMode
from runbooks.steps.postgres_maintain import PostgresAction, Tally
from runbooks.steps.postgres_radius import Portion, radius
from runbooks.steps.postgres_session import Session, session_of
from runbooks.steps.postgres_tables import (
    Table,
    TableName,
    all_tables,
    demand_permitted,
    lacks_tables,
    named_tables,
)
from runbooks.steps.postgres_work import INDEX_PROGRESS, Gone, LockWait, Work, login_of, told, working
from runbooks.steps.reach import Reach
from runbooks.steps.step import Output
from runbooks.steps.units import show
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

#: What people are told before a rebuild that keeps writers out.
SAFER = (
    "REINDEX without CONCURRENTLY keeps everybody who writes out of the table, and most who read. Without "
    "`concurrently: false` the index is built beside the old one, and nobody waits"
)
#: Seconds for dropping what a cancelled rebuild left; the step's grace is 10 s by default.
CLEANING = 6.0


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """An index, and what its rebuild came to (bytes)."""

    index: Index
    after: float


class PostgresReindex(PostgresAction):
    """Rebuilds an index, those of tables or of a schema, or those that are bloated."""

    kind: ClassVar[str] = "postgres.reindex"
    title: ClassVar[str] = "Rebuild indexes (REINDEX)"
    outputs: ClassVar[dict[str, Output]] = {
        "indexes": Output(title="indexes rebuilt"),
        "bytes_before": Output(title="size before", unit="bytes"),
        "bytes_after": Output(title="size after", unit="bytes"),
        "freed_bytes": Output(title="given back to the disk", unit="bytes"),
        "left_overs": Output(title="left over from broken rebuilds, dropped"),
        "unknown": Output(title="indexes whose bloat nobody knows"),
        "seconds": Output(title="time", unit="s"),
    }

    index: TableName | None = None
    tables: tuple[TableName, ...] = Field(default=(), strict=False)
    db_schema: TableName | None = Field(default=None, alias="schema")
    bloated_above: float | None = Field(default=None, ge=0, le=100)
    database: bool = False
    at_least_mib: float = Field(default=1, ge=0)
    concurrently: bool = True
    #: It waits for every transaction that may still use the old index: longer than for a mere lock.
    lock_timeout: LockWait = parse_duration("1m")

    @classmethod
    async def lacks(cls, target: PostgresTarget, reach: Reach) -> tuple[str, ...]:
        """The right to maintain the tables."""
        return await lacks_tables(await session_of(target, reach), target, "reindex")

    @property
    def risk(self) -> Risk:  # type: ignore[override] # keeping writers out is another thing
        """High when it keeps everybody out."""
        return Risk.LOW if self.concurrently else Risk.HIGH

    @property
    def people(self) -> int:
        """How many must have said yes before it."""
        return 0 if self.concurrently else 2

    @model_validator(mode="after")
    def _one_choice(self) -> "PostgresReindex":
        given = (self.index, self.tables, self.db_schema, self.database)
        if sum(map(bool, given)) > 1:
            raise ValueError("one of `index:`, `tables:`, `schema:` and `database: true` says which indexes")
        if not any(given) and self.bloated_above is None:
            raise ValueError(
                "which indexes? `bloated_above:`, `index:`, `tables:`, `schema:` or `database: true`"
            )
        if not self.concurrently and "lock_timeout" not in self.model_fields_set:
            raise ValueError(
                "`concurrently: false` needs a `lock_timeout:`: while it waits for its lock, everybody waits"
            )
        return self

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """Which indexes, and how."""
        how = "REINDEX CONCURRENTLY" if self.concurrently else "REINDEX"
        first = f"{how} on {target.where()}: {self._which()}"
        if self.concurrently:
            return (first, "first drops what broken rebuilds left there (invalid _ccnew and _ccold)")
        return (first, "nobody can write to a table until its indexes are rebuilt, one after another")

    def plan_warnings(self, targets: object) -> tuple[str, ...]:  # noqa: ARG002 - a hook
        """That there is a safer way."""
        return () if self.concurrently else (SAFER,)

    def _which(self) -> str:
        where = "every index"
        if self.index:
            return f"index {self.index}"
        if self.tables:
            where = f"every index of {', '.join(self.tables)}"
        elif self.db_schema:
            where = f"every index in schema {self.db_schema}"
        if self.bloated_above is None:
            return where
        return f"{where} of at least {self.at_least_mib:g} MiB that is more than {self.bloated_above:g} % air"

    async def foresee(self, target: PostgresTarget, reach: Reach) -> Preview:
        """What it would reach now."""
        session = await session_of(target, reach)
        indexes, tables = await self._meant(session, target)
        due, _ = await self._due(session, [index for index in indexes if not index.left_over])
        works = [Portion(name=index.shown, bytes=index.bytes, copy=index.bytes) for index in due]
        affected = {index.table_oid for index in due}
        # A blocking rebuild keeps readers of the index out too, and every query looks at all indexes.
        mode: LockMode = "SHARE UPDATE EXCLUSIVE" if self.concurrently else "ACCESS EXCLUSIVE"
        theirs = [table for table in tables if table.oid in affected]
        return await radius(target, reach, works, theirs, mode, self.took)

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Rebuilds them, and drops what is left of rebuilds that broke, of this one too."""
        began = perf_counter()
        async with self.working(target, call) as work:
            chosen = await self._chosen(work, target)
            dropped = await self._tidy(target, work, [index.table_oid for index in chosen])
            indexes, bloats = await self._due(work, [index for index in chosen if not index.left_over])
            try:
                tally = await self._rebuild(call, target, work, indexes, bloats)
            except BaseException:
                await self._tidy_after(target, call, [index.table_oid for index in indexes])
                raise
            if indexes and not tally.failures:
                # A rebuild of a process that died ends when the server notices: while ours waited for it.
                dropped += await self._tidy(target, work, [index.table_oid for index in indexes])
        if tally.failures:
            await self._tidy_after(target, call, [index.table_oid for index in indexes])
        tally.lines[:0] = [f"{name}: left over from a rebuild that broke, dropped" for name in dropped]
        tally.demand_whole("rebuilt")
        before = sum(each.index.bytes for each in tally.done)
        after = sum(each.after for each in tally.done)
        unknown = sum(1 for bloat in bloats.values() if bloat.percent is None)
        if tally.done:
            summary = f"{len(tally.done)} rebuilt, {show(before, 'bytes')} → {show(after, 'bytes')}"
        else:
            summary = "no index had to be rebuilt"
        if unknown:
            summary += f"; of {unknown} the bloat is not known"
        return Done(
            values={
                "indexes": len(tally.done),
                "bytes_before": before,
                "bytes_after": after,
                "freed_bytes": max(before - after, 0),
                "left_overs": len(dropped),
                "unknown": unknown,
                "seconds": perf_counter() - began,
            },
            summary=summary,
            output=tally.output,
        )

    async def _chosen(self, work: Work, target: PostgresTarget) -> list[Index]:
        """The indexes that are meant, whatever their state. Raises StepError, also when it may not."""
        indexes, tables = await self._meant(work, target)
        affected = {index.table_oid for index in indexes}
        theirs = [table for table in tables if table.oid in affected]
        demand_permitted(theirs, await login_of(work), work.version_number, "reindex", target.where())
        return indexes

    async def _meant(
        self, reader: Work | Session, target: PostgresTarget
    ) -> tuple[list[Index], Sequence[Table]]:
        tables: Sequence[Table] = await all_tables(reader)
        if self.index:
            index = await index_named(reader, self.index)
            if index is None:
                raise StepError(
                    f"{target.where()} has no index {one_line(self.index)}; "
                    "write it as SQL does: schema.index"
                )
            indexes = [index]
        else:
            indexes = await all_indexes(reader)
            if self.tables:
                named = {table.oid for table in await named_tables(reader, target, self.tables)}
                indexes = [index for index in indexes if index.table_oid in named]
            elif self.db_schema:
                if self.db_schema not in {table.schema for table in tables}:
                    raise StepError(f"{target.where()} has no tables in a schema {one_line(self.db_schema)}")
                indexes = [index for index in indexes if index.schema == self.db_schema]
        return indexes, tables

    async def _due(
        self, work: Work | Session, chosen: Sequence[Index]
    ) -> tuple[list[Index], dict[int, Bloat]]:
        """Those that are to be rebuilt, and the bloat of those of which it was asked."""
        if self.bloated_above is None:
            return list(chosen), {}
        large = [index for index in chosen if index.bytes >= self.at_least_mib * 1024 * 1024]
        bloats = await bloat_of(work, large)
        least = self.bloated_above
        due = [
            index
            for index in large
            if not index.valid or ((percent := bloats[index.oid].percent) is not None and percent > least)
        ]
        return due, bloats

    async def _rebuild(
        self,
        call: Call,
        target: PostgresTarget,
        work: Work,
        indexes: Sequence[Index],
        bloats: dict[int, Bloat],
    ) -> Tally[Rebuilt]:
        tally: Tally[Rebuilt] = Tally()
        for number, index in enumerate(indexes, 1):
            if index.exclusion and self.concurrently:
                tally.lines.append(f"{index.shown}: of an exclusion constraint, left as it is")
                continue
            prefix = f"REINDEX {index.shown} ({number} of {len(indexes)}, {show(index.bytes, 'bytes')})"
            began = perf_counter()
            try:
                async with told(call, target, work, INDEX_PROGRESS, prefix):
                    await work.run(self._statement(index), f"REINDEX {index.shown}")
                now = await index_named(work, index.identifier.as_string(None))
            except Gone as error:
                raise Failed(str(error), tally.output) from error
            except StepError as error:
                tally.failures.append(str(error))
                tally.lines.append(f"{index.shown}: failed: {error}")
                continue
            seconds = perf_counter() - began
            rebuilt = Rebuilt(index=index, after=now.bytes if now else 0.0)
            tally.done.append(rebuilt)
            air = bloats[index.oid].percent if index.oid in bloats else None
            was = f", was {air:.0f} % air" if air is not None else ""
            sizes = f"{show(index.bytes, 'bytes')} → {show(rebuilt.after, 'bytes')}"
            tally.lines.append(f"{index.shown}: {sizes}{was}, {show(seconds, 's')}")
            await call.memory.remember(
                self.took, target.name, index.shown, {"seconds": seconds, "bytes": index.bytes}
            )
        return tally

    def _statement(self, index: Index) -> sql.Composed:
        word = sql.SQL("CONCURRENTLY " if self.concurrently else "")
        return sql.SQL("REINDEX INDEX {}{}").format(word, index.identifier)

    async def _tidy(self, target: PostgresTarget, work: Work, tables: Sequence[int]) -> list[str]:
        """Drops what broken rebuilds left on those tables; their names. Raises StepError."""
        dropped = []
        for index in await left_overs(work, tables):
            # Looked at once more: a rebuild of somebody else's may have made it its own.
            again = await index_of(work, index.oid)
            if again is None or not again.left_over or again.busy:
                continue
            statement = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(index.identifier)
            await work.run(statement, f"dropping the left-over {index.shown} on {target.where()}")
            dropped.append(index.shown)
        return dropped

    async def _tidy_after(self, target: PostgresTarget, call: Call, tables: Sequence[int]) -> None:
        """Drops what this very rebuild left, when it did not end. Raises Doubtful when that cannot be."""
        if not self.concurrently:
            return
        cleaning = asyncio.ensure_future(self._tidy_alone(target, call, tables))
        try:
            await asyncio.shield(cleaning)
        except asyncio.CancelledError:
            await cleaning
            raise

    async def _tidy_alone(self, target: PostgresTarget, call: Call, tables: Sequence[int]) -> None:
        wait = min(self.lock_timeout, parse_duration(f"{CLEANING:.0f}s"))
        try:
            # The connection of before may be gone, or told to stop.
            async with working(target, call, seconds=CLEANING, lock_wait=wait) as work:
                await self._tidy(target, work, tables)
        except StepError as error:
            raise Doubtful(
                f"the rebuild did not end, and what it left could not be dropped ({error}). Such an index "
                "(invalid, _ccnew or _ccold) costs writers time and helps nobody: this step drops it when it "
                "is run again, and so does DROP INDEX CONCURRENTLY"
            ) from error
