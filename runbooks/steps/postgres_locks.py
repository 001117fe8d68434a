"""`postgres.explain_locks`: who waits for whom, and who would be in the way of a lock on a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, LiteralString

from pydantic import Field

from runbooks.steps.postgres_queries import ACTIVITY, FETCHED_LENGTH, Activity, activity_line
from runbooks.steps.postgres_session import session_of
from runbooks.steps.postgres_tables import TableName, named_tables
from runbooks.steps.reach import Reach
from runbooks.steps.step import Check, Measured, Output
from runbooks.steps.units import show
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

LockMode = Literal[
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
]
_MODES: tuple[LockMode, ...] = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
# Which do not go together, one line for each mode, in that order.
# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
_CONFLICTS = (
    ".......x",
    "......xx",
    "....xxxx",
    "...xxxxx",
    "..xx.xxx",
    "..xxxxxx",
    ".xxxxxxx",
    "xxxxxxxx",
)
#: Generations of a tree of sessions that wait for each other.
DEEPEST = 20


def conflicting(mode: LockMode) -> tuple[LockMode, ...]:
    """The modes that cannot be held beside it."""
    row = _CONFLICTS[_MODES.index(mode)]
    return tuple(other for other, mark in zip(_MODES, row, strict=True) if mark == "x")


def _as_in_pg_locks(mode: LockMode) -> str:
    """`AccessExclusiveLock`."""
    return mode.title().replace(" ", "") + "Lock"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A session that holds a lock on a table, or waits for it."""

    pid: int
    login: str
    application: str
    state: str
    mode: str
    granted: bool
    seconds: float  # of its transaction

    def line(self) -> str:
        """For people."""
        if not self.pid:
            return f"a prepared transaction holds {self.mode}"
        who = f"{self.login}, {self.application}" if self.application else self.login
        verb = "holds" if self.granted else "waits for"
        since = f"{self.state}, its transaction {show(self.seconds, 's')} old"
        return one_line(f"pid {self.pid} ({who}) {verb} {self.mode}: {since}")


HOLDERS: LiteralString = """
SELECT coalesce(l.pid, 0) AS pid, coalesce(a.usename::text, a.backend_type, '?') AS login,
       coalesce(a.application_name, '') AS application, coalesce(a.state, '?') AS state, l.mode::text,
       l.granted, coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS seconds
  FROM pg_locks AS l
  LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.locktype = 'relation' AND l.relation = ANY(%(oids)s) AND l.mode = ANY(%(modes)s)
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.pid IS DISTINCT FROM pg_backend_pid()
 ORDER BY seconds DESC, l.pid
"""


def in_the_way(oids: Sequence[int], mode: LockMode) -> dict[str, list[object]]:
    """The values for HOLDERS: who would keep a lock of that mode waiting."""
    return {"oids": list(oids), "modes": [_as_in_pg_locks(each) for each in conflicting(mode)]}


class PostgresExplainLocks(Check[PostgresTarget]):
    """Who waits for whom, and who would be in the way of a lock on `table`."""

    kind: ClassVar[str] = "postgres.explain_locks"
    title: ClassVar[str] = "Who waits for whom"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    outputs: ClassVar[dict[str, Output]] = {
        "blocked": Output(title="sessions that wait for another's lock"),
        "blockers": Output(title="sessions that hold up others and wait for nobody"),
        "longest_wait_s": Output(title="longest wait", unit="s"),
        "in_the_way": Output(title="sessions in the way of the lock"),
        "oldest_in_the_way_s": Output(title="oldest transaction in the way", unit="s"),
    }
    headline: ClassVar[str] = "blocked"
    lists: ClassVar[bool] = True

    table: TableName | None = None
    mode: LockMode = Field(default="ACCESS EXCLUSIVE")

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """Raises StepError when the login sees only its own sessions, or the table is not there."""
        session = await session_of(target, reach)
        await session.demand_sight()
        found = await session.fetch(Activity, ACTIVITY, {"length": FETCHED_LENGTH})
        by_pid = {activity.pid: activity for activity in found}
        blocked = [activity for activity in found if activity.blocked_by]
        roots = _roots(blocked)
        holders: list[Holder] = []
        if self.table is not None:
            tables = await named_tables(session, target, [self.table])
            holders = await session.fetch(Holder, HOLDERS, in_the_way([t.oid for t in tables], self.mode))
        words = [f"by {len(roots)}"] if blocked else []
        if self.table is not None:
            words.append(f"{len(holders)} in the way of {self.mode} on {one_line(self.table)}")
        return Measured(
            values={
                "blocked": len(blocked),
                "blockers": len(roots),
                "longest_wait_s": max((activity.query_s for activity in blocked), default=0.0),
                "in_the_way": len(holders) if self.table is not None else None,
                "oldest_in_the_way_s": max((each.seconds for each in holders), default=0.0)
                if self.table is not None
                else None,
            },
            summary=", ".join(words),
            details=(*tree(blocked, by_pid), *(f"in the way: {each.line()}" for each in holders)),
        )


def _roots(blocked: Sequence[Activity]) -> list[int]:
    """Those whom others wait for, and who wait for nobody; in a circle, nobody is."""
    waiting = {activity.pid for activity in blocked}
    return sorted({pid for activity in blocked for pid in activity.blocked_by if pid not in waiting})


def tree(blocked: Sequence[Activity], by_pid: Mapping[int, Activity]) -> Iterator[str]:
    """One line for each session, those who wait below whom they wait for, each once."""
    waits: dict[int, list[Activity]] = {}
    for activity in blocked:
        for pid in activity.blocked_by:
            waits.setdefault(pid, []).append(activity)
    shown: set[int] = set()

    def below(pid: int, depth: int) -> Iterator[str]:
        for activity in waits.get(pid, ()):
            if activity.pid not in shown and depth < DEEPEST:
                shown.add(activity.pid)
                yield f"{'  ' * depth}└ {activity_line(activity)}"
                yield from below(activity.pid, depth + 1)

    for root in _roots(blocked):
        yield activity_line(by_pid[root]) if root in by_pid else _unseen(root)
        yield from below(root, 1)
    for activity in blocked:  # a circle, which the server is about to break
        if activity.pid not in shown:
            shown.add(activity.pid)
            yield activity_line(activity)
            yield from below(activity.pid, 1)


def _unseen(pid: int) -> str:
    return f"pid {pid}, which is gone by now" if pid else "a prepared transaction (pg_prepared_xacts)"
