"""The one connection to a PostgreSQL server that the steps of a report share, and its refusals in words.

One for all of them, not one for each: a connection is a process on the server and a place under
max_connections, which may be just what is scarce; the steps' queries take milliseconds, one after another.
"""

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from runbooks.errors import StepError
from runbooks.libpq import ADVICE, REFUSAL, tls_arguments
from runbooks.scrub import Scrubber
from runbooks.steps.postgres_way import Way, way_to
from runbooks.steps.reach import Shared
from runbooks.steps.via import NotReached
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

T = TypeVar("T")

#: Seconds to connect and log in, where the target's url does not say `connect_timeout`.
CONNECT_TIMEOUT = 5
#: Seconds that the server gives a query, and seconds that a query waits for a lock.
STATEMENT_TIMEOUT = 5
LOCK_TIMEOUT = 1

# In the startup packet, not by SET: behind a pooler a SET would stay for the next user of the connection.
_OPTIONS = (
    f"-c statement_timeout={STATEMENT_TIMEOUT}s -c lock_timeout={LOCK_TIMEOUT}s"
    " -c default_transaction_read_only=on"
)


@dataclass(frozen=True)
class _Refusal:
    pattern: str
    label: str
    advice: str = ""
    no_room: bool = False
    full: bool = False
    login: bool = False


# libpq gives no SQLSTATE for a login that failed, so its words are read, with the codes they stand for. A
# server that speaks another language than English gets its own words shown, without advice.
_REFUSALS = (
    _Refusal("Connection refused", "nothing listens there", "is PostgreSQL running?"),
    _Refusal("No such file or directory", "no socket there", "is PostgreSQL running?"),
    _Refusal("failed to resolve host", "the host name is not known", "check it, and DNS"),
    _Refusal("timeout expired", "no answer", "the network, a firewall, or a server that hangs"),
    _Refusal(  # 28P01, 28000
        "authentication failed|no password supplied|pg_hba.conf|not permitted to log in"
        "|role .* does not exist",
        "login refused",
        "check user and password in the target's url, and pg_hba.conf",
        login=True,
    ),
    _Refusal(  # 53300
        "too many clients|remaining connection slots are reserved",
        "no free connection",
        no_room=True,
        full=True,
    ),
    _Refusal("too many connections for", "no free connection", no_room=True),  # 53300
    _Refusal("the database system is", "not ready"),  # 57P03
    _Refusal(REFUSAL, "no verified TLS", ADVICE),
    _Refusal("database .* does not exist", "wrong database"),  # 3D000
)


class NoConnection(StepError):
    """PostgreSQL cannot be reached or refuses the login. `no_room`: for want of a free connection, and
    `full`: for want of one in the whole server, not only for this login or database. `login`: it does not
    take that user with that password."""

    def __init__(self, text: str, *, no_room: bool = False, full: bool = False, login: bool = False) -> None:
        self.no_room = no_room
        self.full = full
        self.login = login
        super().__init__(text)


@dataclass(frozen=True)
class _Sight:
    login: str
    sees_all: bool


class Session:
    """A connection that only reads. `elapsed_ms` is what it took to connect and log in."""

    def __init__(
        self, target: PostgresTarget, connection: AsyncConnection[Any], way: Way, elapsed_ms: float
    ) -> None:
        self._target = target
        self._connection = connection
        self._way = way
        self.elapsed_ms = elapsed_ms
        self.version = (connection.info.parameter_status("server_version") or "?").split()[0]
        #: As 180004 for 18.4.
        self.version_number = connection.info.server_version

    def lost(self) -> StepError | None:
        """The error for a way there that broke; None where it did not."""
        return self._way.lost()

    async def fetch(
        self, row: type[T], query: LiteralString | sql.Composed, values: Mapping[str, object] | None = None
    ) -> list[T]:
        """The rows, each made into a `row` by its columns' names. Raises StepError when the server will not
        answer the query in STATEMENT_TIMEOUT, NoConnection when it is gone."""
        try:
            async with self._connection.cursor(row_factory=class_row(row)) as cursor:
                await cursor.execute(query, values)
                return await cursor.fetchall()
        except psycopg.errors.QueryCanceled as error:
            raise StepError(
                f"{self._target.where()} did not answer a query within {STATEMENT_TIMEOUT} s"
            ) from error
        except psycopg.OperationalError as error:
            if (lost := self._way.lost()) is not None:
                raise lost from error
            raise NoConnection(
                f"the connection to {self._target.where()} broke: {words(error, self._target)}"
            ) from error
        except psycopg.Error as error:
            raise StepError(
                f"{self._target.where()} refused a query: {words(error, self._target)}"
            ) from error

    async def sight(self) -> _Sight:
        """Who is logged in, as SQL writes it, and whether that login sees other people's sessions."""
        (sight,) = await self.fetch(
            _Sight,
            "SELECT quote_ident(current_user) AS login,"
            " pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all",
        )
        return sight

    async def demand_sight(self) -> None:
        """Raises StepError when the login sees only its own sessions: every number would be too small."""
        sight = await self.sight()
        if not sight.sees_all:
            raise StepError(
                f"the login sees only its own sessions of {self._target.where()}; {grant(sight.login)}"
            )


async def lacks_sight(target: PostgresTarget, reach: Shared) -> tuple[str, ...]:
    """What the login lacks to see other people's sessions. Raises NoConnection."""
    try:
        await (await session_of(target, reach)).demand_sight()
    except NoConnection:
        raise
    except StepError as error:
        return (str(error),)
    return ()


def grant(login: str) -> str:
    """What to do about a login that may not see enough."""
    return f"let it see all: GRANT pg_monitor TO {login}"


async def session_of(target: PostgresTarget, reach: Shared) -> Session:
    """The report's session with that target. Raises NoConnection, or StepError for a url that is wrong."""
    key = ("postgres", target.url.get_secret_value(), target.via)
    return await reach.connections.get(key, lambda: _open(target, reach), Session.lost)


@asynccontextmanager
async def _open(target: PostgresTarget, reach: Shared) -> AsyncIterator[Session]:
    way = await way_to(target, reach)
    began = time.perf_counter()
    connection = await connect(target, way, _OPTIONS)
    try:
        yield Session(target, connection, way, (time.perf_counter() - began) * 1000)
    finally:
        await connection.close()


async def connect(target: PostgresTarget, way: Way, options: str, **changes: str) -> AsyncConnection[Any]:
    """A connection of one's own, with autocommit, and with those options of the server behind the url's.

    `changes`: what is otherwise than in the url. Raises NoConnection, or StepError when the way there broke.
    """
    given = way.given
    arguments: dict[str, Any] = {
        "autocommit": True,
        "prepare_threshold": None,  # no query is sent twice
        "application_name": "maint",
        "connect_timeout": given.get("connect_timeout") or CONNECT_TIMEOUT,
        "options": f"{given.get('options') or ''} {options}".strip(),
        **tls_arguments(given),
        **way.detour,
        **changes,
    }
    try:
        return await AsyncConnection.connect(target.url.get_secret_value(), **arguments)
    except psycopg.OperationalError as error:
        raise await refused(error, target, way) from error


async def refused(error: psycopg.OperationalError, target: PostgresTarget, way: Way) -> StepError:
    """Why there is no connection, and what to do: NoConnection, or what is wrong with the way there."""
    match await way.fault():
        case NotReached() as there:
            return NoConnection(f"{target.where()}: {there}")
        case StepError() as fault:
            return fault
    said = words(error, target)
    for refusal in _REFUSALS:
        if re.search(refusal.pattern, str(error)):
            advice = f" ({refusal.advice})" if refusal.advice else ""
            return NoConnection(
                f"{target.where()}: {refusal.label}: {said}{advice}",
                no_room=refusal.no_room,
                full=refusal.full,
                login=refusal.login,
            )
    return NoConnection(f"{target.where()}: cannot connect: {said}")


def words(error: psycopg.Error, target: PostgresTarget) -> str:
    """What the server or libpq said: the first line, without where (the caller says) and severity."""
    text = str(error).partition("\n")[0]
    text = re.sub(r"^connection (failed|is bad): ", "", text)
    text = re.sub(
        r'^connection to server (at|on socket) "[^"]*"( \([^)]*\))?(, port \d+)? failed: ', "", text
    )
    return one_line(Scrubber(target.secrets())(re.sub(r"^\w+:  ", "", text)))
