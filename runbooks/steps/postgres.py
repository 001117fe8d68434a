"""`postgres.connect` and `postgres.connections`. PostgreSQL 10 or newer."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from runbooks.status import Status
from runbooks.steps.postgres_session import NoConnection, Session, grant, lacks_sight, session_of
from runbooks.steps.postgres_way import way_to
from runbooks.steps.reach import Reach
from runbooks.steps.step import Check, Measured, Output
from runbooks.steps.units import show
from runbooks.steps.via import in_time
from runbooks.targets import PostgresTarget
from runbooks.visible import one_line

#: Lines of details; the rest is counted.
DETAIL_LINES = 20


def first_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """At most DETAIL_LINES of them, and how many more there are."""
    rest = len(lines) - DETAIL_LINES
    return (*lines[:DETAIL_LINES], *([f"and {rest} more"] if rest > 0 else []))


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a server says of its part in replication."""

    replica: bool
    receiving: bool  # a walreceiver runs
    meant_to_receive: bool  # primary_conninfo is set
    caught_up: bool  # all that was received is replayed
    since_replay_s: float | None  # since the last replayed transaction was committed on the primary
    senders: int  # to replicas and others, whether we may see more of them or not


_STANDING = """
SELECT pg_is_in_recovery() AS replica,
       EXISTS (SELECT FROM pg_stat_wal_receiver) AS receiving,
       EXISTS (SELECT FROM pg_settings WHERE name = 'primary_conninfo' AND setting <> '') AS meant_to_receive,
       coalesce(pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn(), false) AS caught_up,
       greatest(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)::float8 AS since_replay_s,
       (SELECT count(*) FROM pg_stat_replication) AS senders
"""


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A replica, as its primary sees it."""

    name: str
    catching_up: bool
    lag_s: float
    behind_bytes: float


# `replay_lag` is NULL when a replica that streams has nothing left to replay. Logical subscribers and
# pg_basebackup are senders' clients too, but no replicas.
_REPLICAS = """
SELECT coalesce(nullif(application_name, ''), client_addr::text, 'pid ' || pid) AS name,
       state = 'catchup' AS catching_up,
       coalesce(extract(epoch FROM replay_lag), 0)::float8 AS lag_s,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::float8 AS behind_bytes
  FROM pg_stat_replication AS sender
 WHERE state IN ('streaming', 'catchup')
   AND NOT EXISTS (SELECT FROM pg_replication_slots
                    WHERE active_pid = sender.pid AND slot_type = 'logical')
 ORDER BY lag_s DESC, behind_bytes DESC
"""


def replica_lag(standing: Standing) -> float | None:
    """Seconds that a replica's answers are old; None when it has replayed nothing yet.

    The age of the last replayed transaction grows while nobody writes on the primary, so a replica that
    receives and has replayed everything is not behind at all. A link that is dead without being closed
    goes unnoticed for wal_receiver_timeout (60 s).
    https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-INFO
    """
    return 0.0 if standing.receiving and standing.caught_up else standing.since_replay_s


class PostgresConnect(Check[PostgresTarget]):
    """Connects and logs in; says what the server is, and how far replication is behind."""

    kind: ClassVar[str] = "postgres.connect"
    title: ClassVar[str] = "PostgreSQL"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    outputs: ClassVar[dict[str, Output]] = {
        "elapsed_ms": Output(title="time to connect and log in", unit="ms"),
        "version": Output(title="version", number=False),
        "role": Output(title="role", number=False),
        "lag_s": Output(title="replication lag", unit="s"),
    }
    headline: ClassVar[str] = "elapsed_ms"

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """`lag_s` is a replica's own lag, on a primary its worst replica's; None where there is none."""
        deadline = asyncio.get_running_loop().time() + self.seconds
        await in_time(way_to(target, reach), target, self.seconds)
        try:
            async with asyncio.timeout_at(deadline):
                session = await session_of(target, reach)
                (standing,) = await session.fetch(Standing, _STANDING)
                return await (self._replica if standing.replica else self._primary)(session, standing)
        except NoConnection as error:
            return Measured(findings=((Status.CRITICAL, str(error)),))
        except TimeoutError:
            text = f"{target.where()}: no answer within {show(self.seconds, 's')}"
            return Measured(findings=((Status.CRITICAL, text),))

    async def _replica(self, session: Session, standing: Standing) -> Measured:
        lag = replica_lag(standing)
        words = ["replica", f"PostgreSQL {session.version}"]
        if lag is not None:
            words.append(f"{show(lag, 's')} behind" if lag else "caught up")
        findings: list[tuple[Status, str]] = []
        if standing.meant_to_receive and not standing.receiving:
            findings.append((Status.WARNING, "the replica receives nothing from its primary"))
        return Measured(
            values=self._values(session, "replica", lag),
            summary=", ".join(words),
            findings=tuple(findings),
        )

    async def _primary(self, session: Session, standing: Standing) -> Measured:
        words = ["primary", f"PostgreSQL {session.version}"]
        sight = await session.sight()
        if standing.senders and not sight.sees_all:
            hidden = f"the lag of replicas is hidden from the login; {grant(sight.login)}"
            asked = "lag_s" in {**self.warning, **self.critical}
            return Measured(
                values=self._values(session, "primary", None),
                summary=", ".join(words),
                findings=((Status.UNKNOWN, hidden),) if asked else (),
                details=(hidden,),
            )
        replicas = await session.fetch(Replica, _REPLICAS)
        if replicas:
            count = "1 replica" if len(replicas) == 1 else f"{len(replicas)} replicas"
            words.append(f"{count}, at most {show(replicas[0].lag_s, 's')} behind")
        return Measured(
            values=self._values(session, "primary", replicas[0].lag_s if replicas else None),
            summary=", ".join(words),
            findings=tuple(
                (Status.WARNING, f"{_replica_line(replica)}, catching up")
                for replica in replicas
                if replica.catching_up
            ),
            details=first_lines([_replica_line(replica) for replica in replicas]),
        )

    def _values(self, session: Session, role: str, lag: float | None) -> dict[str, float | str | None]:
        return {"elapsed_ms": session.elapsed_ms, "version": session.version, "role": role, "lag_s": lag}


def _replica_line(replica: Replica) -> str:
    behind = f"{show(replica.lag_s, 's')} and {show(replica.behind_bytes, 'bytes')} behind"
    return f"replica {one_line(replica.name)}: {behind}"


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """How many sessions of one kind there are."""

    login: str
    database: str
    application: str
    state: str
    waiting: bool  # for a lock
    ours: bool
    number: int


# Only client backends take a place under max_connections: https://www.postgresql.org/docs/current/runtime-config-connection.html
_SESSIONS = """
SELECT coalesce(usename::text, '?') AS login, coalesce(datname::text, '?') AS database,
       coalesce(application_name, '') AS application, coalesce(state, '?') AS state,
       coalesce(wait_event_type = 'Lock', false) AS waiting, pid = pg_backend_pid() AS ours,
       count(*) AS number
  FROM pg_stat_activity
 WHERE backend_type = 'client backend'
 GROUP BY 1, 2, 3, 4, 5, 6
"""


@dataclass(frozen=True, kw_only=True)
class Places:
    """How many connections ordinary logins may share."""

    number: int


_PLACES = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true)::int, 0) AS number
"""


class PostgresConnections(Check[PostgresTarget]):
    """How many of the connections that ordinary logins may have are in use."""

    kind: ClassVar[str] = "postgres.connections"
    title: ClassVar[str] = "PostgreSQL connections"
    needs: ClassVar[type[PostgresTarget]] = PostgresTarget
    outputs: ClassVar[dict[str, Output]] = {
        "used_percent": Output(title="connections in use", unit="%"),
        "used": Output(title="connections"),
        "available": Output(title="free connections"),
        "active": Output(title="active"),
        "idle": Output(title="idle"),
        "idle_in_transaction": Output(title="idle in transaction"),
        "waiting": Output(title="waiting for a lock"),
    }
    headline: ClassVar[str] = "used_percent"

    @classmethod
    async def lacks(cls, target: PostgresTarget, reach: Reach) -> tuple[str, ...]:
        """pg_monitor."""
        return await lacks_sight(target, reach)

    async def measure(self, target: PostgresTarget, reach: Reach) -> Measured:
        """Our own connection is in `used`, for it takes a place, and in none of the states.

        Raises StepError when the login sees only its own sessions, or there is no connection for another
        reason than that all are taken.
        """
        try:
            session = await session_of(target, reach)
        except NoConnection as error:
            if not error.no_room:
                raise
            values = {"used_percent": 100.0, "available": 0.0} if error.full else {}
            return Measured(values=values, findings=((Status.CRITICAL, str(error)),))
        await session.demand_sight()
        (places,) = await session.fetch(Places, _PLACES)
        sessions = await session.fetch(Sessions, _SESSIONS)
        used = sum(group.number for group in sessions)
        others = [group for group in sessions if not group.ours]
        states = _by_state(others)
        in_transaction = states["idle in transaction"]
        words = [f"{used} of {places.number}"]
        if in_transaction:
            words.append(f"{in_transaction} idle in transaction")
        waiting = sum(group.number for group in others if group.waiting)
        if waiting:
            words.append(f"{waiting} waiting for a lock")
        return Measured(
            values={
                "used_percent": 100 * used / places.number,
                "used": used,
                "available": max(places.number - used, 0),
                "active": states["active"],
                "idle": states["idle"],
                "idle_in_transaction": in_transaction,
                "waiting": waiting,
            },
            summary=", ".join(words),
            details=first_lines(_by_owner(sessions)),
        )


def _by_state(sessions: Iterable[Sessions]) -> Counter[str]:
    states: Counter[str] = Counter()
    for group in sessions:
        states[group.state.removesuffix(" (aborted)")] += group.number
    return states


def _by_owner(sessions: Iterable[Sessions]) -> list[str]:
    owners: dict[tuple[str, str, str], list[Sessions]] = {}
    for group in sessions:
        owners.setdefault((group.login, group.database, group.application), []).append(group)
    lines = []
    for (login, database, application), groups in owners.items():
        number = sum(group.number for group in groups)
        states = ", ".join(f"{count} {state}" for state, count in _by_state(groups).most_common())
        of = f" ({application})" if application else ""
        lines.append((-number, one_line(f"{number} of {login}@{database}{of}: {states}")))
    return [line for _, line in sorted(lines)]
