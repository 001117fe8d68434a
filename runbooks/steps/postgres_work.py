"""A connection of its own for a step that changes a PostgreSQL: it ends by itself, or is ended there.

A statement that nobody waits for any more goes on in the server, and keeps its locks. So whoever is cancelled
here tells the server, and looks whether it has stopped; and when Maint's process is gone, the server notices.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from runbooks.errors import StepError
from runbooks.spec.model import Duration, parse_duration, up_to
from runbooks.steps.action import Call, Doubtful, Failed
from runbooks.steps.postgres_session import NoConnection, Session, connect, session_of, words
from runbooks.steps.postgres_way import Way, way_to
from runbooks.steps.reach import Shared
from runbooks.steps.units import show
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

T = TypeVar("T")

#: How long a statement may wait for its lock: everybody who comes later waits behind it.
LockWait = Annotated[Duration, up_to("1h")]
PATIENCE = parse_duration("10s")
#: Seconds between two looks at how far it is.
LOOK = 1.0
#: Seconds for telling the server to stop, and how often it is told: a request that comes too early is lost.
CANCEL_TIMEOUT, CANCELS, BETWEEN_CANCELS = 3.0, 6, 0.5
#: Seconds after which a connection on which nothing is heard any more is given up.
_SILENCE = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "4"}

Statement = LiteralString | sql.Composed


class LockTimeout(StepError):
    """The lock did not come in time: others hold it."""


class Gone(StepError):
    """The server, or the connection, went away in the middle."""


class NotPermitted(StepError):
    """The login lacks a privilege."""


class _Progress:
    """A look at how far a statement is, in words; empty when there is nothing to say."""

    def __init__(self, session: Session, pid: int, query: LiteralString) -> None:
        self._session = session
        self._pid = pid
        self._query = query

    async def __call__(self) -> str:
        blockers = await self._session.fetch(_Blocker, _BLOCKERS, {"pid": self._pid})
        if blockers:
            return f"waits for {'; '.join(blocker.words() for blocker in blockers[:3])}"
        found = await self._session.fetch(_Stage, self._query, {"pid": self._pid})
        return found[0].words() if found else ""


@dataclass(frozen=True, kw_only=True)
class _Blocker:
    pid: int
    login: str
    application: str
    state: str
    seconds: float

    def words(self) -> str:
        """Who it is, and for how long already."""
        if not self.pid:
            return "a prepared transaction"
        who = f"{self.login}, {self.application}" if self.application else self.login
        return one_line(
            f"pid {self.pid} ({who}: {self.state}, its transaction {show(self.seconds, 's')} old)"
        )


# 0 is a prepared transaction: it has no process. A vacuum or a build waits in phases for old snapshots too.
_BLOCKERS = """
SELECT blocker AS pid, coalesce(usename::text, '?') AS login, coalesce(application_name, '') AS application,
       coalesce(state, '?') AS state,
       coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8 AS seconds
  FROM (SELECT DISTINCT unnest(pg_blocking_pids(%(pid)s)) AS blocker) AS blockers
  LEFT JOIN pg_stat_activity ON pg_stat_activity.pid = blocker
"""


@dataclass(frozen=True, kw_only=True)
class _Stage:
    phase: str
    done: float | None
    whole: float | None

    def words(self) -> str:
        """`scanning heap, 40 %`."""
        if not self.whole:
            return self.phase
        return f"{self.phase}, {100 * (self.done or 0) / self.whole:.0f} %"


VACUUM_PROGRESS: LiteralString = """
SELECT phase, heap_blks_scanned::float8 AS done, heap_blks_total::float8 AS whole
  FROM pg_stat_progress_vacuum WHERE pid = %(pid)s
"""
REWRITE_PROGRESS: LiteralString = """
SELECT phase, heap_blks_scanned::float8 AS done, heap_blks_total::float8 AS whole
  FROM pg_stat_progress_cluster WHERE pid = %(pid)s
"""
ANALYZE_PROGRESS: LiteralString = """
SELECT phase, sample_blks_scanned::float8 AS done, sample_blks_total::float8 AS whole
  FROM pg_stat_progress_analyze WHERE pid = %(pid)s
"""
INDEX_PROGRESS: LiteralString = """
SELECT phase, coalesce(nullif(blocks_done, 0), tuples_done)::float8 AS done,
       coalesce(nullif(blocks_total, 0), tuples_total)::float8 AS whole
  FROM pg_stat_progress_create_index WHERE pid = %(pid)s
"""


class Work:
    """The connection, while the step has it."""

    def __init__(
        self, target: PostgresTarget, connection: AsyncConnection[Any], way: Way, lock_wait: timedelta
    ) -> None:
        self._target = target
        self._connection = connection
        self._way = way
        self._lock_wait = lock_wait
        self.pid = connection.info.backend_pid
        #: As 180004 for 18.4.
        self.version_number = connection.info.server_version

    async def fetch(
        self, row: type[T], query: Statement, values: Mapping[str, object] | None = None
    ) -> list[T]:
        """The rows, each made into a `row` by its columns' names. Raises StepError."""
        cursor = self._connection.cursor(row_factory=class_row(row))
        await self._finish(cursor.execute(query, values), "a query")
        return await cursor.fetchall()

    async def run(self, statement: Statement, what: str, values: Mapping[str, object] | None = None) -> None:
        """Carries it out; `what` is said of it when it fails. Cancelled, it is ended in the server.

        Raises LockTimeout, NotPermitted, Gone, or another StepError; Doubtful when it could not be ended.
        """
        await self._finish(self._connection.execute(statement, values), what)

    def scram(self, user: str, password: str) -> str:
        """What the server keeps in place of that password: it never sees the password itself."""
        made = self._connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256")
        return made.decode()

    async def _finish(self, work: Awaitable[Any], what: str) -> None:
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            await self._end(task, what)
            raise
        if (error := task.exception()) is not None:
            raise self._said(error, what) from error

    async def _end(self, task: "asyncio.Future[Any]", what: str) -> None:
        """Tells the server to stop, until it has."""
        for _ in range(CANCELS):
            if task.done():
                break
            with suppress(psycopg.Error):
                await self._connection.cancel_safe(timeout=CANCEL_TIMEOUT)
            await asyncio.wait({task}, timeout=BETWEEN_CANCELS)
        if not task.done():
            task.cancel()
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise Doubtful(
                f"{what} on {self._target.where()} could not be told to stop; as a superuser there: "
                f"SELECT pg_terminate_backend({self.pid})"
            )
        task.cancelled() or task.exception()

    def _said(self, error: BaseException, what: str) -> BaseException:
        where = self._target.where()
        if not isinstance(error, psycopg.Error):
            return error
        if (lost := self._way.lost()) is not None:
            return Gone(_gone(what, where, str(lost)))
        said = words(error, self._target)
        match error:
            case psycopg.errors.LockNotAvailable():
                return LockTimeout(
                    f"{what}: the lock did not come within {show(self._lock_wait.total_seconds(), 's')}; "
                    "postgres.explain_locks shows who holds it"
                )
            case psycopg.errors.InsufficientPrivilege():
                return NotPermitted(f"{what}: {where} does not permit it: {said}")
            case psycopg.errors.AdminShutdown() | psycopg.errors.CrashShutdown():
                return Gone(_gone(what, where, said))
            case psycopg.errors.QueryCanceled():
                # Our own cancel ends in CancelledError: this is statement_timeout, or somebody there.
                return Failed(
                    f"{what}: {said}, and nothing of it stays; a longer `timeout:` gives it more time"
                )
            case psycopg.errors.DiskFull():
                return Failed(
                    f"{what}: the disk of {where} is full: {said}. What was written for it is gone again"
                )
            case psycopg.OperationalError() if error.sqlstate is None or self._connection.closed:
                return Gone(_gone(what, where, said))
        return Failed(f"{what}: {where} refused: {said}")


def _gone(what: str, where: str, said: str) -> str:
    return (
        f"{what}: {where} went away in the middle ({said}). When it is back, what was not "
        "committed is undone: "
        "look why it went, then press Retry"
    )


@asynccontextmanager
async def working(
    target: PostgresTarget,
    reach: Shared,
    *,
    seconds: float,
    lock_wait: timedelta = PATIENCE,
    options: str = "",
) -> AsyncIterator[Work]:
    """A connection on which no statement takes longer than that many seconds, or waits longer for a lock.

    Raises NoConnection, or StepError for a url that is wrong or a way there that is closed.
    """
    way = await way_to(target, reach)
    limits = (
        f"-c statement_timeout={max(1, round(seconds * 1000))}"
        f" -c lock_timeout={max(1, round(lock_wait.total_seconds() * 1000))}"
        " -c default_transaction_read_only=off"
    )
    connection = await connect(target, way, f"{limits} {options}".strip(), **_SILENCE)
    try:
        if connection.info.server_version >= 140000:
            # Whoever is killed cannot cancel: the server looks whether somebody is still there.
            with suppress(psycopg.Error):
                await connection.execute("SET client_connection_check_interval = '5s'")
        yield Work(target, connection, way, lock_wait)
    finally:
        await connection.close()


@asynccontextmanager
async def told(
    call: Call, target: PostgresTarget, work: Work, query: LiteralString, prefix: str
) -> AsyncIterator[None]:
    """Tells how far the work is while the block runs, by a second connection; what it cannot see it leaves
    out."""
    task = asyncio.create_task(_tell(call, target, work.pid, query, prefix))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _tell(call: Call, target: PostgresTarget, pid: int, query: LiteralString, prefix: str) -> None:
    call.tell(prefix)
    try:
        look: Callable[[], Awaitable[str]] = _Progress(await session_of(target, call), pid, query)
    except NoConnection:
        return
    while True:
        await asyncio.sleep(LOOK)
        with suppress(StepError):
            if said := await look():
                call.tell(f"{prefix}: {said}")


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who is logged in: the name as SQL writes it."""

    name: str
    superuser: bool


async def login_of(work: "Work | Session") -> Login:
    """The login."""
    (login,) = await work.fetch(
        Login,
        "SELECT quote_ident(current_user) AS name, rolsuper AS superuser FROM pg_roles"
        " WHERE rolname = current_user",
    )
    return login
