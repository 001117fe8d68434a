"""`postgres.long_queries`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from runbooks.spec.model import Duration, parse_duration, show_duration
from runbooks.steps.postgres import first_lines
from runbooks.steps.postgres_session import session_of
from runbooks.steps.reach import Reach
from runbooks.steps.sql_text import without_values
from runbooks.steps.step import Check, Measured, Output
from runbooks.steps.units import show
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

#: Characters of a query that are shown.
QUERY_LENGTH = 80
#: Characters of a query that are fetched: enough that QUERY_LENGTH are left without its values.
FETCHED_LENGTH = 2000


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A session that does something, or that another one waits for."""

    pid: int
    login: str
    database: str
    application: str
    state: str
    wait: str
    query_s: float
    state_s: float
    blocked_by: list[int]
    query: str

    @property
    def running(self) -> bool:
        """Whether a query runs; `query_s` is its age."""
        return self.state in ("active", "fastpath function call")

    @property
    def idle_in_transaction(self) -> bool:
        """Whether it holds a transaction open and does nothing, for `state_s`."""
        return self.state.startswith("idle in transaction")


# pg_blocking_pids locks the lock manager for a moment, so only those who wait for a lock are looked up; it
# names a parallel worker's leader, several times over. A blocker may be idle (advisory locks) or autovacuum.
ACTIVITY = """
WITH activity AS (
  SELECT *, CASE WHEN wait_event_type = 'Lock'
                 THEN ARRAY(SELECT DISTINCT unnest(pg_blocking_pids(pid))) ELSE '{}' END AS blocked_by
    FROM pg_stat_activity
)
SELECT pid, coalesce(usename::text, backend_type) AS login, coalesce(datname::text, '') AS database,
       coalesce(application_name, '') AS application, coalesce(state, '?') AS state,
       coalesce(wait_event_type || ':' || wait_event, '') AS wait,
       coalesce(extract(epoch FROM clock_timestamp() - query_start), 0)::float8 AS query_s,
       coalesce(extract(epoch FROM clock_timestamp() - state_change), 0)::float8 AS state_s,
       blocked_by, left(query, %(length)s) AS query
  FROM activity
 WHERE pid <> pg_backend_pid()
   AND (backend_type = 'client backend' AND state <> 'idle'
        OR pid IN (SELECT unnest(blocked_by) FROM activity))
 ORDER BY query_start
"""


class PostgresLongQueries(Check[PostgresTarget]):
    """How many queries run for longer than `longer_than`, and who holds up whom."""

    kind: ClassVar[str] = "postgres.long_queries"
    title: ClassVar[str] = "Long queries"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    outputs: ClassVar[dict[str, Output]] = {
        "count": Output(title="long queries"),
        "oldest_s": Output(title="oldest query", unit="s"),
        "idle_in_transaction_oldest_s": Output(title="longest idle in transaction", unit="s"),
        "blocked": Output(title="sessions that wait for another's lock"),
    }
    headline: ClassVar[str] = "count"

    longer_than: Duration = Field(default=parse_duration("30s"), ge=timedelta(0))

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """An age is 0 when nothing of its sort is there. Raises StepError when the login sees only its own
        sessions, or there is no connection."""
        session = await session_of(target, reach)
        await session.demand_sight()
        found = await session.fetch(Activity, ACTIVITY, {"length": FETCHED_LENGTH})
        limit = self.longer_than.total_seconds()
        running = [activity for activity in found if activity.running]
        long = [activity for activity in running if activity.query_s > limit]
        idle = [activity for activity in found if activity.idle_in_transaction]
        blocked = [activity for activity in found if activity.blocked_by]
        blockers = {pid for activity in blocked for pid in activity.blocked_by}
        oldest = max((activity.query_s for activity in running), default=0.0)
        oldest_idle = max((activity.state_s for activity in idle), default=0.0)
        words = [f"longer than {show_duration(self.longer_than)}"]
        if long:
            words.append(f"the oldest {show(oldest, 's')}")
        if blocked:
            words.append(f"{len(blocked)} blocked")
        if oldest_idle > limit:
            words.append(f"idle in transaction for {show(oldest_idle, 's')}")
        return Measured(
            values={
                "count": len(long),
                "oldest_s": oldest,
                "idle_in_transaction_oldest_s": oldest_idle,
                "blocked": len(blocked),
            },
            summary=", ".join(words),
            details=first_lines(
                [
                    activity_line(activity)
                    for activity in found
                    if activity in long
                    or activity.blocked_by
                    or activity.pid in blockers
                    or (activity.idle_in_transaction and activity.state_s > limit)
                ]
            ),
        )


def activity_line(activity: Activity) -> str:
    """The session, how long it is at it, for whom it waits, and its query without values."""
    age = activity.query_s if activity.running else activity.state_s
    words = [f"pid {activity.pid}", f"{activity.login}@{activity.database}".rstrip("@")]
    if activity.application:
        words.append(activity.application)
    words.append(f"{activity.state} for {show(age, 's')}")
    if activity.blocked_by:
        # 0 is a prepared transaction: it has no process.
        others = " and ".join(
            f"pid {pid}" if pid else "a prepared transaction" for pid in activity.blocked_by
        )
        words.append(f"waits for {others}")
    elif activity.running and activity.wait:
        words.append(f"waits for {activity.wait}")
    return f"{one_line(', '.join(words))}: {one_line(without_values(activity.query), QUERY_LENGTH)}"
