"""What maintenance of a PostgreSQL would reach: locks, room, who is in the way, how long it takes.

What cannot be known says so, and why: nobody should take silence for an answer.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from runbooks.errors import StepError
from runbooks.libpq import is_local
from runbooks.spec.model import parse_duration
from runbooks.steps.action import Preview
from runbooks.steps.machine import find_machine
from runbooks.steps.postgres_locks import HOLDERS, Holder, LockMode, in_the_way
from runbooks.steps.postgres_session import Session, session_of
from runbooks.steps.postgres_tables import Table
from runbooks.steps.postgres_way import url_says
from runbooks.steps.reach import Reach
from runbooks.steps.units import show
from runbooks.targets import HostTarget, PostgresTarget
from runbooks.visible import one_line

#: What holding such a lock means to everybody else.
_MEANS: dict[str, str] = {
    "ACCESS EXCLUSIVE": "nobody reads or writes meanwhile",
    "SHARE": "nobody writes meanwhile",
    "SHARE UPDATE EXCLUSIVE": "people read and write meanwhile",
}
#: Tables, and sessions, that are named; the rest is counted.
MOST_NAMED = 5
#: Earlier runs that an estimate is made of.
EARLIER = 5
#: The share of the free disk that must be left over.
LEFT_OVER = 0.1
_DF = parse_duration("5s")


@dataclass(frozen=True, kw_only=True)
class Portion:
    """What a step would do to one table or index of a table (bytes): `copy` is the room for a second one."""

    name: str
    bytes: float
    copy: float


@dataclass(frozen=True, kw_only=True)
class _State:
    directory: str | None
    oldest_s: float | None
    oldest: str
    sees_all: bool
    replicas: int
    lag_s: float | None
    is_replica: bool


_STATE: LiteralString = """
SELECT current_setting('data_directory', true) AS directory,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all,
       extract(epoch FROM clock_timestamp() - oldest.xact_start)::float8 AS oldest_s,
       coalesce(format('pid %s (%s, %s: %s)', oldest.pid, oldest.usename, oldest.application_name,
                       oldest.state), '') AS oldest,
       (SELECT count(*) FROM pg_stat_replication)::int AS replicas,
       (SELECT max(extract(epoch FROM replay_lag)) FROM pg_stat_replication)::float8 AS lag_s,
       pg_is_in_recovery() AS is_replica
  FROM (SELECT) AS one
  LEFT JOIN LATERAL (
    SELECT * FROM pg_stat_activity
     WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'
     ORDER BY xact_start LIMIT 1) AS oldest ON true
"""


async def radius(
    target: PostgresTarget,
    reach: Reach,
    works: Sequence[Portion],
    tables: Sequence[Table],
    mode: LockMode,
    took: str,
) -> Preview:
    """What it would reach. `took`: under which kind it is remembered how long each took."""
    session = await session_of(target, reach)
    (state,) = await session.fetch(_State, _STATE)
    if not works:
        return Preview(lines=("nothing has to be done at this moment", *_of_server(state)))
    needed = max(work.copy for work in works)
    free, why = await free_bytes(target, reach, state.directory) if needed else (None, "")
    return Preview(
        lines=(
            _locks(works, mode),
            *(await _waiting(session, tables, mode, state)),
            *_room(needed, free, why),
            *_of_server(state),
            await _time(reach, target, works, took),
        ),
        refused=no_room(needed, free),
    )


def no_room(needed: float, free: float | None) -> str:
    """Why it would not begin, when it is known that the disk is too small; empty otherwise."""
    if free is None or not needed or needed <= free * (1 - LEFT_OVER):
        return ""
    return (
        f"the largest copy needs {show(needed, 'bytes')}, and the disk has {show(free, 'bytes')} free: "
        "a database whose disk is full stops"
    )


def _locks(works: Sequence[Portion], mode: LockMode) -> str:
    listed = ", ".join(f"{work.name} ({show(work.bytes, 'bytes')})" for work in works[:MOST_NAMED])
    more = f" and {len(works) - MOST_NAMED} more" if len(works) > MOST_NAMED else ""
    return f"lock {mode}, one after another: {listed}{more}; {_MEANS.get(mode, '')}".rstrip("; ")


async def _waiting(
    session: Session, tables: Sequence[Table], mode: LockMode, state: _State
) -> tuple[str, ...]:
    if not state.sees_all:
        return ("who is in the way: unknown, the login sees only its own sessions (pg_monitor)",)
    holders = await session.fetch(Holder, HOLDERS, in_the_way([table.oid for table in tables], mode))
    if not holders:
        return ("nobody is in the way of that lock",)
    more = f"and {len(holders) - MOST_NAMED} more" if len(holders) > MOST_NAMED else ""
    lines = [f"in the way: {holder.line()}" for holder in holders[:MOST_NAMED]]
    return (*lines, *([more] if more else []))


def _room(needed: float, free: float | None, why: str) -> tuple[str, ...]:
    if not needed:
        return ()
    there = f"{show(free, 'bytes')} free there" if free is not None else f"free there: unknown, {why}"
    return (f"disk: about {show(needed, 'bytes')} for the largest copy, {there}",)


def _of_server(state: _State) -> tuple[str, ...]:
    if not state.sees_all:
        oldest = "unknown, the login sees only its own sessions (pg_monitor)"
    elif state.oldest_s is None:
        oldest = "none"
    else:
        oldest = f"{show(state.oldest_s, 's')}, {one_line(state.oldest)}"
    if state.is_replica:
        lag = "this is a replica: nothing can be changed here"
    elif not state.replicas:
        lag = "no replicas"
    elif not state.sees_all:
        lag = f"{state.replicas} replicas, their lag is hidden from the login (pg_monitor)"
    else:
        lag = f"{state.replicas} replicas, at most {show(state.lag_s or 0.0, 's')} behind"
    return (f"longest open transaction: {oldest}", f"replication: {lag}")


async def _time(reach: Reach, target: PostgresTarget, works: Sequence[Portion], took: str) -> str:
    """By how long the same took before, for as many bytes as there are now."""
    whole, known, seen = 0.0, 0, 0
    for work in works:
        earlier = await reach.memory.recent(took, target.name, work.name, EARLIER)
        rates = sorted(
            each.value["seconds"] / each.value["bytes"] for each in earlier if each.value.get("bytes")
        )
        if rates:
            known += 1
            seen += len(rates)
            whole += work.bytes * rates[len(rates) // 2]
    if not known:
        return "time: unknown, it was never done here by Maint"
    said = f"time: about {show(whole, 's')}, by {seen} earlier runs"
    return said if known == len(works) else f"{said}; of {len(works) - known} of {len(works)} it is not known"


async def free_bytes(target: PostgresTarget, reach: Reach, directory: str | None) -> tuple[float | None, str]:
    """The room on the disk of the server's data, or None and why it is not known."""
    if not directory:
        return None, "the login is not shown data_directory (pg_read_all_settings, in pg_monitor)"
    if target.host is not None:
        return await _free_on_host(target.host, reach, directory)
    try:
        host = str(url_says(target).get("host") or "")
    except StepError:
        return None, "its url cannot be read"
    if target.via is not None and is_local(host):
        return await _free_on_host(target.via, reach, directory)
    if target.via is not None or (host and not host.startswith(("/", "@"))):
        return None, "Maint may not be on that machine: name it with `host:` of the target"
    try:
        found = await asyncio.to_thread(os.statvfs, directory)
    except OSError as error:
        return None, f"{error.strerror} at its data_directory"
    return float(found.f_bavail * found.f_frsize), ""


async def _free_on_host(name: str, reach: Reach, directory: str) -> tuple[float | None, str]:
    host = reach.targets.get(name)
    if not isinstance(host, HostTarget):
        return None, f"there is no host target {name}"
    try:
        machine = await find_machine(host, reach)
        answer = await machine.run(["df", "-P", "-k", "--", directory], _DF)
        return float(answer.output.splitlines()[-1].split()[3]) * 1024, ""
    except StepError as error:
        return None, str(error)
    except (IndexError, ValueError):
        return None, f"df on {host.where()} says {one_line(answer.errors or answer.output, 100)}"
