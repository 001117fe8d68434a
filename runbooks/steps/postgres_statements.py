"""`postgres.slow_queries`: what statements cost since the last time, from pg_stat_statements."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal

from psycopg import sql
from pydantic import Field

from runbooks.errors import StepError
from runbooks.spec.model import Duration, parse_duration, show_duration
from runbooks.steps.postgres_session import Session, session_of
from runbooks.steps.reach import Reach
from runbooks.steps.sql_text import without_values
from runbooks.steps.step import Check, Measured, Output
from runbooks.steps.units import show
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

#: Characters of a statement that are shown, and that are fetched: enough that these are left without values.
SHOWN, _FETCHED = 120, 2000
#: Statements that are remembered: what pg_stat_statements itself keeps by default.
MOST_REMEMBERED = 5000


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What one statement has cost since the counters were reset: calls, milliseconds, rows."""

    id: str
    calls: float
    ms: float
    rows: float
    query: str


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one statement has cost in the window. `before_ms`: the mean of a call before, if there was one."""

    statement: Statement
    calls: float
    ms: float
    is_new: bool
    before_ms: float | None

    @property
    def mean_ms(self) -> float:
        """Of one call."""
        return self.ms / self.calls if self.calls else 0.0


@dataclass(frozen=True, kw_only=True)
class _Extension:
    schema: str
    old: bool  # its columns have the names from before PostgreSQL 13


_EXTENSION = """
SELECT n.nspname::text AS schema,
       NOT EXISTS (SELECT FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
                    WHERE c.relname = 'pg_stat_statements' AND c.relnamespace = n.oid
                      AND a.attname = 'total_exec_time') AS old
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'
"""
_STATEMENTS = """
SELECT queryid::text AS id, sum(calls)::float8 AS calls, sum({time})::float8 AS ms, sum(rows)::float8 AS rows,
       left(min(query), %(length)s) AS query
  FROM {view}
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NOT NULL
 GROUP BY queryid
 ORDER BY ms DESC
 LIMIT %(most)s
"""


@dataclass(frozen=True, kw_only=True)
class _Reset:
    at: str


class PostgresSlowQueries(Check[PostgresTarget]):
    """What statements cost since the last time: which take the most time, which are slow, which are new."""

    kind: ClassVar[str] = "postgres.slow_queries"
    title: ClassVar[str] = "Slow queries"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    outputs: ClassVar[dict[str, Output]] = {
        "slow": Output(title="slow statements"),
        "new": Output(title="new slow statements"),
        "worst_mean_ms": Output(title="slowest statement, mean", unit="ms"),
        "mean_ms": Output(title="mean of all calls", unit="ms"),
        "calls": Output(title="calls"),
        "total_s": Output(title="time in statements", unit="s"),
        "statements": Output(title="statements"),
        "window_s": Output(title="measured over", unit="s"),
    }
    headline: ClassVar[str] = "slow"
    lists: ClassVar[bool] = True

    slower_than: Duration = Field(default=parse_duration("1s"), ge=timedelta(0))
    top: int = Field(default=10, ge=1, le=100)
    by: Literal["total", "mean", "calls"] = "total"
    least_calls: int = Field(default=1, ge=1)

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """The first time, and after a reset, what was counted since the reset. Raises StepError when the
        extension is missing, or the login sees only its own statements."""
        session = await session_of(target, reach)
        extension = await self._extension(session, target)
        await session.demand_sight()
        counted = await self._counted(session, target, extension)
        reset = await self._reset(session, extension)
        now, place = reach.now(), (self.kind, target.name, "statements")
        last = await reach.memory.last(*place)
        earlier: Mapping[str, Any] = last.value if last else {}
        continued = (
            bool(earlier) and earlier.get("reset") == reset and _only_grew(earlier["counted"], counted)
        )
        costs = costs_of(counted, earlier["counted"] if continued else {}, known=earlier.get("counted"))
        await reach.memory.remember(
            *place,
            {"reset": reset, "counted": {each.id: [each.calls, round(each.ms, 3)] for each in counted}},
        )
        window = (now - last.at).total_seconds() if continued and last else None
        limit = self.slower_than.total_seconds() * 1000
        enough = [cost for cost in costs if cost.calls >= self.least_calls]
        slow = [cost for cost in enough if cost.mean_ms > limit]
        total, calls = sum(cost.ms for cost in costs), sum(cost.calls for cost in costs)
        over = f"in {show(window, 's')}" if window else "since the counters were reset"
        if earlier and not continued:
            over += ", which was after the last look"
        return Measured(
            values={
                "slow": len(slow),
                "new": sum(cost.is_new for cost in slow),
                "worst_mean_ms": max((cost.mean_ms for cost in enough), default=0.0),
                "mean_ms": total / calls if calls else 0.0,
                "calls": calls,
                "total_s": total / 1000,
                "statements": len(costs),
                "window_s": window,
            },
            summary=f"slower than {show_duration(self.slower_than)}, of {len(costs)} statements {over}",
            details=tuple(_line(cost, total) for cost in self._sorted(enough)[: self.top]),
        )

    async def _extension(self, session: Session, target: PostgresTarget) -> _Extension:
        found = await session.fetch(_Extension, _EXTENSION)
        if not found:
            raise StepError(
                f"the database of {target.where()} has no pg_stat_statements: put it into "
                "shared_preload_libraries, restart the server, and CREATE EXTENSION pg_stat_statements there"
            )
        return found[0]

    async def _counted(
        self, session: Session, target: PostgresTarget, extension: _Extension
    ) -> list[Statement]:
        query = sql.SQL(_STATEMENTS).format(
            time=sql.Identifier("total_time" if extension.old else "total_exec_time"),
            view=sql.Identifier(extension.schema, "pg_stat_statements"),
        )
        try:
            return await session.fetch(Statement, query, {"length": _FETCHED, "most": MOST_REMEMBERED})
        except StepError as error:
            if "shared_preload_libraries" not in str(error):
                raise
            raise StepError(
                f"{target.where()} counts no statements: put pg_stat_statements into "
                "shared_preload_libraries, and restart the server"
            ) from error

    async def _reset(self, session: Session, extension: _Extension) -> str:
        """When the counters were reset, as the server says it; empty before PostgreSQL 14."""
        if session.version_number < 140000:
            return ""
        query = sql.SQL("SELECT coalesce(stats_reset::text, '') AS at FROM {}").format(
            sql.Identifier(extension.schema, "pg_stat_statements_info")
        )
        (reset,) = await session.fetch(_Reset, query)
        return reset.at

    def _sorted(self, costs: list[Cost]) -> list[Cost]:
        keys = {"total": lambda cost: cost.ms, "mean": lambda cost: cost.mean_ms, "calls": lambda c: c.calls}
        return sorted(costs, key=keys[self.by], reverse=True)


def _only_grew(before: Mapping[str, list[float]], counted: list[Statement]) -> bool:
    """Whether no counter went down: one that did was reset, or its statement was dropped and came back."""
    return all(each.calls >= before[each.id][0] for each in counted if each.id in before)


def costs_of(
    counted: list[Statement],
    before: Mapping[str, list[float]],
    known: Mapping[str, list[float]] | None = None,
) -> list[Cost]:
    """What each statement has cost since `before`; those that were not called are left out. `known`: what was
    there the last time, whether or not its counters go on; None: nothing is new, for want of a last time."""
    costs = []
    for each in counted:
        calls, ms = before.get(each.id, (0.0, 0.0))
        if each.calls <= calls:
            continue
        earlier = (known or {}).get(each.id)
        costs.append(
            Cost(
                statement=each,
                calls=each.calls - calls,
                ms=max(each.ms - ms, 0.0),
                is_new=known is not None and earlier is None,
                before_ms=earlier[1] / earlier[0] if earlier and earlier[0] else None,
            )
        )
    return costs


def _line(cost: Cost, total: float) -> str:
    share = f"{100 * cost.ms / total:.0f} % of the time" if total else "no time"
    was = f" (before {show(cost.before_ms, 'ms')})" if cost.before_ms is not None else ""
    words = [share, f"{cost.calls:,.0f} calls", f"mean {show(cost.mean_ms, 'ms')}{was}"]
    if cost.is_new:
        words.append("new")
    return f"{', '.join(words)}: {one_line(without_values(cost.statement.query), SHOWN)}"
