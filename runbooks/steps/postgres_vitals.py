"""`postgres.vitals`: how a database is before maintenance and after it, side by side."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, LiteralString

from runbooks.errors import StepError
from runbooks.steps.action import Action, Call, Done, Risk
from runbooks.steps.postgres_session import session_of
from runbooks.steps.postgres_tables import all_tables
from runbooks.steps.step import Output, Value
from runbooks.steps.units import show
from runbooks.targets import PostgresTarget

#: Of these more than before is worth a look.
_LESS_IS_BETTER = ("invalid_indexes", "pending_restart")


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """What of a database can be told in one number each (sizes in bytes)."""

    bytes: float
    index_bytes: float
    hit_percent: float | None
    connections: float
    idle_in_transaction: float
    invalid_indexes: float
    pending_restart: float


_VITALS: LiteralString = """
SELECT pg_database_size(d.datname)::float8 AS bytes,
       (SELECT coalesce(sum(pg_relation_size(indexrelid)), 0)
          FROM pg_stat_user_indexes)::float8 AS index_bytes,
       (100.0 * d.blks_hit / nullif(d.blks_hit + d.blks_read, 0))::float8 AS hit_percent,
       (SELECT count(*) FROM pg_stat_activity
         WHERE datname = d.datname AND backend_type = 'client backend')::float8 AS connections,
       (SELECT count(*) FROM pg_stat_activity
         WHERE datname = d.datname AND state LIKE 'idle in transaction%')::float8 AS idle_in_transaction,
       (SELECT count(*) FROM pg_index WHERE NOT indisvalid)::float8 AS invalid_indexes,
       (SELECT count(*) FROM pg_settings WHERE pending_restart)::float8 AS pending_restart
  FROM pg_stat_database AS d WHERE d.datname = current_database()
"""


class PostgresVitals(Action[PostgresTarget]):
    """Looks at the database, and `after` says what is otherwise than `before` in the same run."""

    kind: ClassVar[str] = "postgres.vitals"
    title: ClassVar[str] = "Before and after"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    risk: ClassVar[Risk] = Risk.READ
    safe_to_repeat: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Output]] = {
        "bytes": Output(title="database", unit="bytes"),
        "index_bytes": Output(title="indexes", unit="bytes"),
        "dead_rows": Output(title="dead rows"),
        "changed_rows": Output(title="rows changed since ANALYZE"),
        "oldest_age": Output(title="oldest transaction age"),
        "hit_percent": Output(title="reads from memory", unit="%"),
        "connections": Output(title="connections"),
        "idle_in_transaction": Output(title="idle in transaction"),
        "invalid_indexes": Output(title="invalid indexes"),
        "pending_restart": Output(title="settings that wait for a restart"),
    }

    target: str
    moment: Literal["before", "after"]

    def lines(self, target: PostgresTarget) -> tuple[str, ...]:
        """What it looks at."""
        beside = " beside what it was before" if self.moment == "after" else ""
        return (f"sizes, dead rows, indexes and connections of {target.where()}{beside}",)

    async def act(self, target: PostgresTarget, call: Call) -> Done:
        """Looks. Raises StepError when the database cannot be asked."""
        now = await self._now(target, call)
        place = (self.kind, target.name, call.run)
        if self.moment == "before":
            await call.memory.remember(*place, now)
            return Done(values=now, summary=show(now["bytes"], "bytes"), output=self._table(now, None))
        kept = await call.memory.last(*place)
        before = kept.value if kept else None
        warnings = [
            f"{self.outputs[name].title}: {show(now[name], '')}, before {show(before[name], '')}"
            for name in _LESS_IS_BETTER
            if before and _number(now[name]) > _number(before[name])
        ]
        return Done(
            values=now,
            summary=self._summary(before, now) if before else "nothing was looked at before, in this run",
            output=self._table(now, before),
            warnings=tuple(warnings),
        )

    async def _now(self, target: PostgresTarget, call: Call) -> dict[str, Value]:
        session = await session_of(target, call)
        found = await session.fetch(Vitals, _VITALS)
        if not found:
            raise StepError(f"{target.where()} tells nothing of its database")
        tables = await all_tables(session)
        return {
            **asdict(found[0]),
            "dead_rows": sum(table.dead for table in tables),
            "changed_rows": sum(table.changed for table in tables),
            "oldest_age": max((table.age for table in tables), default=0.0),
        }

    def _summary(self, before: Mapping[str, Any], now: Mapping[str, Value]) -> str:
        return ", ".join(
            f"{self.outputs[name].title} {self._shown(name, before)} → {self._shown(name, now)}"
            for name in ("bytes", "index_bytes", "dead_rows")
        )

    def _shown(self, name: str, values: Mapping[str, Any]) -> str:
        return show(values.get(name), self.outputs[name].unit)

    def _table(self, now: Mapping[str, Value], before: Mapping[str, Any] | None) -> str:
        rows = [
            (output.title, self._shown(name, before) if before else "", self._shown(name, now))
            for name, output in self.outputs.items()
        ]
        if before:
            rows.insert(0, ("", "before", "after"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
                if width
            ).rstrip()
            for row in rows
        )


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
