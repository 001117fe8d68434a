"""`postgres.analyze` and `postgres.vacuum`: table after table, each in its own time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import ClassVar, Generic, LiteralString, TypeVar

from psycopg import sql
from pydantic import Field, model_validator

from runbooks.errors import StepError
from runbooks.steps.action import Action, Call, Done, Failed, Preview, Risk
from runbooks.steps.postgres_locks import LockMode
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
from runbooks.steps.postgres_work import (
    ANALYZE_PROGRESS,
    PATIENCE,
    REWRITE_PROGRESS,
    VACUUM_PROGRESS,
    Gone,
    LockWait,
    Work,
    login_of,
    told,
    working,
)
from runbooks.steps.reach import Reach, Shared
from runbooks.steps.step import Output, Value
from runbooks.steps.units import show
from runbooks.targets import PostgresTarget

#: The first version with REINDEX CONCURRENTLY, and VACUUM that leaves a file's end alone.
OLDEST = 120000
#: Lines of the output; the rest is counted.
MOST_LINES = 200
#: What people are told before a rewrite.
SAFER = (
    "VACUUM FULL keeps everybody out of the table (ACCESS EXCLUSIVE). Without `full: true` the room is used "
    "again, and nobody waits; pg_repack gives it back to the disk while people work"
)
T = TypeVar("T")


@dataclass
class Tally(Generic[T]):
    """What was done, and what could not be: one table that is locked does not keep the others waiting."""

    done: list[T] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        """Everything, for the thread."""
        rest = len(self.lines) - MOST_LINES
        return "\n".join([*self.lines[:MOST_LINES], *([f"and {rest} more"] if rest > 0 else [])])

    def demand_whole(self, verb: str) -> None:
        """Raises Failed when something was not done."""
        if self.failures:
            what = f"{len(self.failures)} of {len(self.failures) + len(self.done)} could not be {verb}"
            raise Failed(f"{what}: {'; '.join(self.failures[:5])}", self.output)


class PostgresAction(Action[PostgresTarget]):
    """What the steps that change a PostgreSQL have. Each has a connection of its own."""

    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    safe_to_repeat: ClassVar[bool] = True

    target: str
    lock_timeout: LockWait = PATIENCE

    @asynccontextmanager
    async def working(self, target: PostgresTarget, reach: Shared) -> AsyncIterator[Work]:
        """The connection: its statements end before the step's timeout does. Raises StepError."""
        async with working(target, reach, seconds=self.seconds, lock_wait=self.lock_timeout) as work:
            if work.version_number < OLDEST:
                raise StepError(f"{target.where()} is older than PostgreSQL 12, which {self.kind} needs")
            yield work

    async def chosen(
        self,
        reader: Work | Session,
        target: PostgresTarget,
        names: Sequence[str],
        choose: Callable[[Table], bool],
    ) -> list[Table]:
        """The named tables, or those that it is time for. Raises StepError."""
        if names:
            return await named_tables(reader, target, names)
        return [table for table in await all_tables(reader) if choose(table)]

    async def tables_of(
        self,
        work: Work,
        target: PostgresTarget,
        names: Sequence[str],
        choose: Callable[[Table], bool],
        verb: str,
    ) -> list[Table]:
        """The named tables, or those that it is time for. Raises StepError, also when it may not."""
        tables = await self.chosen(work, target, names, choose)
        demand_permitted(tables, await login_of(work), work.version_number, verb, target.where())
        return tables

    async def each(
        self,
        call: Call,
        target: PostgresTarget,
        work: Work,
        tables: Sequence[Table],
        do: Callable[[Table], Awaitable[str]],
        verb: str,
        progress: LiteralString,
    ) -> Tally[Table]:
        """Does it to one table after another, telling how far it is; remembers how long each took."""
        tally: Tally[Table] = Tally()
        for number, table in enumerate(tables, 1):
            prefix = f"{verb} {table.shown} ({number} of {len(tables)}, {show(table.bytes, 'bytes')})"
            began = perf_counter()
            try:
                async with told(call, target, work, progress, prefix):
                    said = await do(table)
            except Gone as error:
                raise Failed(str(error), tally.output) from error
            except StepError as error:
                tally.failures.append(str(error))
                tally.lines.append(f"{table.shown}: failed: {error}")
                continue
            seconds = perf_counter() - began
            tally.done.append(table)
            tally.lines.append(f"{table.shown}: {said or 'done'}, {show(seconds, 's')}")
            await call.memory.remember(
                self.took, target.name, table.shown, {"seconds": seconds, "bytes": table.bytes}
            )
        return tally

    @property
    def took(self) -> str:
        """Under which kind it is remembered how long a table took."""
        return f"{self.kind}:took"


class PostgresAnalyze(PostgresAction):
    """Renews the planner's statistics, of the named tables or of those that changed a lot since."""

    kind: ClassVar[str] = "postgres.analyze"
    title: ClassVar[str] = "Renew statistics (ANALYZE)"
    risk: ClassVar[Risk] = Risk.LOW
    outputs: ClassVar[dict[str, Output]] = {
        "tables": Output(title="tables analyzed"),
        "rows_changed": Output(title="rows changed since the last time"),
        "seconds": Output(title="time", unit="s"),
    }

    tables: tuple[TableName, ...] = Field(default=(), strict=False)
    changed_rows: int = Field(default=1000, ge=0)

    @classmethod
    async def lacks(cls, target: PostgresTarget, reach: Reach) -> tuple[str, ...]:
        """The right to maintain the tables."""
        return await lacks_tables(await session_of(target, reach), target, "analyze")

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """Which tables."""
        which = ", ".join(self.tables) or (
            f"every table in which more than {self.changed_rows:,} rows changed since, or that never was"
        )
        return (f"ANALYZE on {target.where()}: {which}",)

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Analyzes them."""
        began = perf_counter()
        async with self.working(target, call) as work:
            tables = await self.tables_of(work, target, self.tables, self._is_due, "analyze")

            async def do(table: Table) -> str:
                statement = sql.SQL("ANALYZE {}").format(table.identifier)
                await work.run(statement, f"ANALYZE {table.shown}")
                return f"{table.changed:,.0f} rows had changed"

            tally = await self.each(call, target, work, tables, do, "ANALYZE", ANALYZE_PROGRESS)
        tally.demand_whole("analyzed")
        values: dict[str, Value] = {
            "tables": len(tally.done),
            "rows_changed": sum(table.changed for table in tally.done),
            "seconds": perf_counter() - began,
        }
        return Done(values=values, summary=_counted(len(tally.done), "analyzed"), output=tally.output)

    async def foresee(self, target: PostgresTarget, reach: Reach) -> Preview:
        """What it would reach now."""
        tables = await self.chosen(await session_of(target, reach), target, self.tables, self._is_due)
        works = [Portion(name=table.shown, bytes=table.bytes, copy=0.0) for table in tables]
        return await radius(target, reach, works, tables, "SHARE UPDATE EXCLUSIVE", self.took)

    def _is_due(self, table: Table) -> bool:
        return table.changed > self.changed_rows or (not table.analyzed and table.live > 0)


class PostgresVacuum(PostgresAction):
    """Frees what dead rows hold. `full` rewrites the table, and nobody can use it meanwhile."""

    kind: ClassVar[str] = "postgres.vacuum"
    title: ClassVar[str] = "Free dead rows (VACUUM)"
    outputs: ClassVar[dict[str, Output]] = {
        "tables": Output(title="tables vacuumed"),
        "dead_before": Output(title="dead rows before"),
        "dead_after": Output(title="dead rows after"),
        "freed_bytes": Output(title="given back to the disk", unit="bytes"),
        "oldest_age": Output(title="oldest transaction age afterwards"),
        "seconds": Output(title="time", unit="s"),
    }

    tables: tuple[TableName, ...] = Field(default=(), strict=False)
    dead_percent: float = Field(default=5, ge=0, le=100)
    dead_rows: int = Field(default=1000, ge=0)
    older_than: int = Field(default=100_000_000, ge=0)
    analyze: bool = True
    full: bool = False

    @classmethod
    async def lacks(cls, target: PostgresTarget, reach: Reach) -> tuple[str, ...]:
        """The right to maintain the tables."""
        return await lacks_tables(await session_of(target, reach), target, "vacuum")

    @property
    def risk(self) -> Risk:  # type: ignore[override] # a rewrite is another thing than a clean-up
        """High when it keeps everybody out."""
        return Risk.HIGH if self.full else Risk.LOW

    @property
    def people(self) -> int:
        """How many must have said yes before it."""
        return 2 if self.full else 0

    @model_validator(mode="after")
    def _full_is_meant(self) -> "PostgresVacuum":
        if self.full and not self.tables:
            raise ValueError("`full: true` needs `tables:`: nobody can read or write a table meanwhile")
        if self.full and "lock_timeout" not in self.model_fields_set:
            raise ValueError(
                "`full: true` needs a `lock_timeout:`: while it waits for its lock, everybody waits behind it"
            )
        return self

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """Which tables, and what it means."""
        words = "VACUUM (FULL, ANALYZE)" if self.full else "VACUUM (ANALYZE)" if self.analyze else "VACUUM"
        which = ", ".join(self.tables) or (
            f"every table with more than {self.dead_rows:,} dead rows that are more than "
            f"{self.dead_percent:g} %, or older than {self.older_than:,} transactions"
        )
        first = f"{words} on {target.where()}: {which}"
        if not self.full:
            return (first,)
        return (
            first,
            "rewrites each table and its indexes; nobody can read or write it until that is done",
            f"gives up when the lock does not come within {show(self.lock_timeout.total_seconds(), 's')}",
        )

    def plan_warnings(self, targets: object) -> tuple[str, ...]:  # noqa: ARG002 - a hook
        """That there is a safer way."""
        if not self.full:
            return ()
        return (SAFER,)

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Vacuums them. Raises StepError, and refuses a rewrite for which the disk has no room."""
        began = perf_counter()
        async with self.working(target, call) as work:
            tables = await self.tables_of(work, target, self.tables, self._is_due, "vacuum")
            if self.full:
                await self.demand_room(target, call, tables)

            async def do(table: Table) -> str:
                await work.run(self._statement(table, work.version_number), f"VACUUM {table.shown}")
                return f"{table.dead:,.0f} dead rows"

            progress = REWRITE_PROGRESS if self.full else VACUUM_PROGRESS
            tally = await self.each(call, target, work, tables, do, "VACUUM", progress)
            after = {table.oid: table for table in await all_tables(work)}
        tally.demand_whole("vacuumed")
        now = [after[table.oid] for table in tally.done if table.oid in after]
        dead = sum(table.dead for table in tally.done)
        freed = sum(table.bytes for table in tally.done) - sum(table.bytes for table in now)
        values: dict[str, Value] = {
            "tables": len(tally.done),
            "dead_before": dead,
            "dead_after": sum(table.dead for table in now),
            "freed_bytes": max(freed, 0),
            "oldest_age": max((table.age for table in after.values()), default=0.0),
            "seconds": perf_counter() - began,
        }
        summary = f"{_counted(len(tally.done), 'vacuumed')}, {dead:,.0f} dead rows"
        if freed > 0:
            summary += f", {show(freed, 'bytes')} given back"
        return Done(
            values=values,
            summary=summary,
            output=tally.output,
            warnings=tuple(self._kept_alive(tally.done, now)),
        )

    async def foresee(self, target: PostgresTarget, reach: Reach) -> Preview:
        """What it would reach now."""
        session = await session_of(target, reach)
        tables = await self.chosen(session, target, self.tables, self._is_due)
        return await radius(target, reach, self._works(tables), tables, self.lock, self.took)

    @property
    def lock(self) -> LockMode:
        """What it holds on a table while it is at work."""
        return "ACCESS EXCLUSIVE" if self.full else "SHARE UPDATE EXCLUSIVE"

    def _works(self, tables: Sequence[Table]) -> list[Portion]:
        # A table is copied without its dead rows, at most as it is.
        return [
            Portion(name=table.shown, bytes=table.bytes, copy=table.bytes if self.full else 0.0)
            for table in tables
        ]

    async def demand_room(self, target: PostgresTarget, call: Call, tables: Sequence[Table]) -> None:
        """Raises StepError when it is known that the largest copy does not fit on the disk."""
        reach = Reach(targets=call.targets, connections=call.connections, now=call.now, memory=call.memory)
        preview = await radius(target, reach, self._works(tables), tables, self.lock, self.took)
        if preview.refused:
            raise StepError(f"VACUUM FULL was not begun: {preview.refused}")

    def _statement(self, table: Table, version: int) -> sql.Composed:
        asked = ((sql.SQL("FULL"), self.full), (sql.SQL("ANALYZE"), self.analyze))
        options = [word for word, on in asked if on]
        if not self.full and version >= 120000:
            # Emptying the file's end takes the table away from everybody for a moment; that is for `full`.
            options.append(sql.SQL("TRUNCATE false"))
        given = sql.SQL("({}) ").format(sql.SQL(", ").join(options)) if options else sql.SQL("")
        return sql.SQL("VACUUM {}{}").format(given, table.identifier)

    def _is_due(self, table: Table) -> bool:
        many = table.dead > self.dead_rows and table.dead_percent > self.dead_percent
        return many or table.age > self.older_than

    @staticmethod
    def _kept_alive(before: Sequence[Table], after: Sequence[Table]) -> list[str]:
        then = {table.oid: table for table in before}
        kept = [table for table in after if table.dead > 1000 and table.dead > then[table.oid].dead * 0.5]
        if not kept:
            return []
        names = ", ".join(table.shown for table in kept[:3])
        why = "an old transaction, a prepared one, a replication slot or a replica may still see them"
        return [f"dead rows of {names} could not be freed: {why}"]


def _counted(number: int, verb: str) -> str:
    if not number:
        return f"no table had to be {verb}"
    return f"{number} table{'' if number == 1 else 's'} {verb}"
