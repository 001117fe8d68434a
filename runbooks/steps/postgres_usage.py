"""`postgres.index_usage` and `postgres.table_sizes`: what takes room, and what of it nobody needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, LiteralString

from pydantic import Field

from runbooks.spec.model import Duration, parse_duration, show_duration
from runbooks.status import Status
from runbooks.steps.chart import Panel, panel
from runbooks.steps.postgres_session import Session, session_of
from runbooks.steps.postgres_tables import Table, all_tables
from runbooks.steps.reach import Reach
from runbooks.steps.step import Check, Measured, Output
from runbooks.steps.units import show
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

#: Tables whose sizes are remembered, largest first.
MOST_REMEMBERED = 1000
#: Earlier looks that a picture shows, and tables in it.
MOST_SEEN, MOST_DRAWN = 36, 4


@dataclass(frozen=True, kw_only=True)
class Unused:
    """An index that no query has used while the server counted, and that keeps no rule."""

    schema: str
    name: str
    table: str
    bytes: float
    scans: float
    last_used: datetime | None
    expression: bool  # the planner has statistics of it, used or not
    writes: float  # rows written to its table: each costs the index something


# What enforces something is needed, read or not. A partition's index goes only with that of the whole table.
# `last_idx_scan` is there from PostgreSQL 16 on.
_UNUSED: LiteralString = """
SELECT s.schemaname::text AS schema, s.indexrelname::text AS name, s.relname::text AS table,
       pg_relation_size(s.indexrelid)::float8 AS bytes, s.idx_scan::float8 AS scans,
       (to_jsonb(s) ->> 'last_idx_scan')::timestamptz AS last_used, i.indexprs IS NOT NULL AS expression,
       coalesce(t.n_tup_ins + t.n_tup_upd + t.n_tup_del, 0)::float8 AS writes
  FROM pg_stat_user_indexes AS s
  JOIN pg_index AS i ON i.indexrelid = s.indexrelid
  LEFT JOIN pg_stat_user_tables AS t ON t.relid = s.relid
 WHERE NOT i.indisprimary AND NOT i.indisunique AND NOT i.indisexclusion AND NOT i.indisreplident
   AND i.indisvalid
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = s.indexrelid)
   AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = s.indexrelid)
   AND s.idx_scan <= %(most)s
 ORDER BY bytes DESC, schema, name
"""


@dataclass(frozen=True, kw_only=True)
class _Counted:
    since_s: float
    reset: bool  # somebody reset the statistics; else they are at least as old as the server is up
    bytes: float
    indexes: int
    replicas: int
    is_replica: bool


_COUNTED: LiteralString = """
SELECT extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time()))::float8 AS since_s,
       stats_reset IS NOT NULL AS reset,
       (SELECT coalesce(sum(pg_relation_size(indexrelid)), 0) FROM pg_stat_user_indexes)::float8 AS bytes,
       (SELECT count(*) FROM pg_stat_user_indexes)::int AS indexes,
       (SELECT count(*) FROM pg_stat_replication)::int AS replicas,
       pg_is_in_recovery() AS is_replica
  FROM pg_stat_database WHERE datname = current_database()
"""


class PostgresIndexUsage(Check[PostgresTarget]):
    """Which indexes no query has used, and what they cost."""

    kind: ClassVar[str] = "postgres.index_usage"
    title: ClassVar[str] = "Unused indexes"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    outputs: ClassVar[dict[str, Output]] = {
        "unused": Output(title="unused indexes"),
        "unused_bytes": Output(title="size of the unused indexes", unit="bytes"),
        "unused_percent": Output(title="of all indexes' size", unit="%"),
        "indexes": Output(title="indexes"),
        "statistics_age_s": Output(title="age of the statistics", unit="s"),
        "replicas": Output(title="replicas"),
    }
    headline: ClassVar[str] = "unused"
    lists: ClassVar[bool] = True

    at_least_mib: float = Field(default=1, ge=0)
    most_scans: int = Field(default=0, ge=0)
    counted_for: Duration = Field(default=parse_duration("7d"), ge=timedelta(0))

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """A warning by itself: the server has counted for less than `counted_for`."""
        session = await session_of(target, reach)
        (counted,) = await session.fetch(_Counted, _COUNTED)
        found = await session.fetch(Unused, _UNUSED, {"most": self.most_scans})
        unused = [index for index in found if index.bytes >= self.at_least_mib * 1024 * 1024]
        size = sum(index.bytes for index in unused)
        young = counted.since_s < self.counted_for.total_seconds()
        age = show(counted.since_s, "s")
        since = f"counted for {'' if counted.reset else 'at least '}{age}"
        finding = f"the statistics are only {age} old: too young to call an index unused"
        return Measured(
            values={
                "unused": len(unused),
                "unused_bytes": size,
                "unused_percent": 100 * size / counted.bytes if counted.bytes else 0.0,
                "indexes": counted.indexes,
                "statistics_age_s": counted.since_s,
                "replicas": counted.replicas,
            },
            summary=f"of {counted.indexes}, {show(size, 'bytes')}, {since}",
            findings=((Status.WARNING, finding),) if young and unused else (),
            details=(*map(_unused_line, unused), *_where_else(counted)) if unused else (),
        )


def _unused_line(index: Unused) -> str:
    used = "never used" if not index.scans else f"used {index.scans:,.0f} times"
    if index.last_used:
        used += f", last {index.last_used:%Y-%m-%d}"
    words = [f"{index.schema}.{index.name} on {index.table}: {show(index.bytes, 'bytes')}", used]
    if index.writes:
        words.append(f"{index.writes:,.0f} rows written since")
    if index.expression:
        words.append("on an expression: the planner has its statistics from it")
    return one_line(", ".join(words), 300)


def _where_else(counted: _Counted) -> tuple[str, ...]:
    if counted.is_replica:
        return ("This is a replica: what the primary and other replicas use is counted there.",)
    if counted.replicas:
        return (f"Each of {counted.replicas} replicas counts for itself: look there before one is dropped.",)
    return ()


@dataclass(frozen=True, kw_only=True)
class _Size:
    name: str
    bytes: float


class PostgresTableSizes(Check[PostgresTarget]):
    """The largest tables with their indexes, and how much each has grown."""

    kind: ClassVar[str] = "postgres.table_sizes"
    title: ClassVar[str] = "Table sizes"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    outputs: ClassVar[dict[str, Output]] = {
        "bytes": Output(title="database", unit="bytes"),
        "grown_bytes": Output(title="growth", unit="bytes"),
        "grown_percent": Output(title="growth", unit="%"),
        "window_s": Output(title="growth since", unit="s"),
        "tables": Output(title="tables"),
        "largest": Output(title="largest table", number=False),
        "fastest": Output(title="fastest growing table", number=False),
    }
    headline: ClassVar[str] = "bytes"
    lists: ClassVar[bool] = True

    top: int = Field(default=10, ge=1, le=100)
    since: Duration | None = None

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """Growth is since the last time, or since the last one that is at least `since` ago."""
        session = await session_of(target, reach)
        database = await _database(session)
        tables = await all_tables(session)
        now = reach.now()
        place = (self.kind, target.name, database.name)
        earlier = await reach.memory.last(*place, before=now - self.since if self.since else None)
        seen = [(each.at, each.value) for each in reversed(await reach.memory.recent(*place, MOST_SEEN))]
        await reach.memory.remember(
            *place,
            {
                "bytes": database.bytes,
                "tables": {table.shown: table.bytes for table in tables[:MOST_REMEMBERED]},
            },
        )
        then: Mapping[str, float] = earlier.value["tables"] if earlier else {}
        grown = database.bytes - earlier.value["bytes"] if earlier else None
        window = (now - earlier.at).total_seconds() if earlier else None
        growths = {table.shown: table.bytes - then[table.shown] for table in tables if table.shown in then}
        fastest = max(growths, key=lambda name: growths[name], default=None)
        if fastest is not None and growths[fastest] <= 0:
            fastest = None
        if grown is None or window is None:
            asked = f" {show_duration(self.since)} ago or more" if self.since else ""
            words = f"nothing to compare with{asked}"
        else:
            words = f"{_signed(grown)} in {show(window, 's')}"
        return Measured(
            values={
                "bytes": database.bytes,
                "grown_bytes": grown,
                "grown_percent": 100 * grown / earlier.value["bytes"]
                if grown is not None and earlier
                else None,
                "window_s": window,
                "tables": len(tables),
                "largest": tables[0].shown if tables else None,
                "fastest": fastest,
            },
            summary=words,
            details=tuple(_lines(tables, growths, then, self.top)),
            drawn=_drawn(target.name, database, tables, seen, now),
        )


def _drawn(
    target: str,
    database: _Size,
    tables: Sequence[Table],
    seen: Sequence[tuple[datetime, Mapping[str, Any]]],
    now: datetime,
) -> tuple[Panel, ...]:
    """How the database and its largest tables have grown, as far as it was looked at before."""
    whole = [(at, float(sizes["bytes"])) for at, sizes in seen]
    largest = {
        table.shown: [
            *(
                (at, float(sizes["tables"][table.shown]))
                for at, sizes in seen
                if table.shown in sizes["tables"]
            ),
            (now, table.bytes),
        ]
        for table in tables[:MOST_DRAWN]
    }
    since = seen[0][0] if seen else now
    drawn = (
        panel(f"Size of {target}", "bytes", {database.name: [*whole, (now, database.bytes)]}, since),
        panel(f"Largest tables of {target}", "bytes", largest, since),
    )
    return tuple(each for each in drawn if each is not None)


async def _database(session: Session) -> _Size:
    (size,) = await session.fetch(
        _Size,
        "SELECT current_database()::text AS name, pg_database_size(current_database())::float8 AS bytes",
    )
    return size


def _lines(
    tables: Sequence[Table], growths: Mapping[str, float], then: Mapping[str, float], top: int
) -> list[str]:
    largest = list(tables[:top])
    fast = sorted(tables[top:], key=lambda table: -growths.get(table.shown, 0))
    largest += [table for table in fast[:3] if growths.get(table.shown, 0) > 0]
    lines = []
    for table in largest:
        words = [f"{table.shown}: {show(table.bytes, 'bytes')}"]
        words.append(f"of it {show(table.bytes - table.heap_bytes, 'bytes')} indexes")
        if table.shown in growths:
            words.append(_signed(growths[table.shown]))
        elif then:
            words.append("new")
        lines.append(", ".join(words))
    return lines


def _signed(growth: float) -> str:
    return f"{'+' if growth >= 0 else '−'}{show(abs(growth), 'bytes')}"
