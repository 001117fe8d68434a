"""The journal: a row before every effect on the outside, completed after it.

A row that is `started` and never completed is an effect of which nobody knows how it ended.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from runbooks.records.run_tables import effects
from runbooks.records.runs import EffectRow, as_row

STARTED, FINISHED, FAILED, DOUBTED = "started", "finished", "failed", "doubted"

# Made once: to make such a statement anew takes longer than to execute it.
_START: dict[str, Executable] = {
    "postgresql": postgresql.insert(effects).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(effects).on_conflict_do_nothing(),
}
_COMPLETE = update(effects).where(
    effects.c.run == bindparam("of_run"),
    effects.c.path == bindparam("at_path"),
    effects.c.name == bindparam("named"),
    effects.c.attempt == bindparam("tried"),
    effects.c.state == STARTED,
)


def last(connection: Connection, run: str, path: str, name: str) -> EffectRow | None:
    """The newest attempt at an effect."""
    query = select(effects).where(effects.c.run == run, effects.c.path == path, effects.c.name == name)
    row = connection.execute(query.order_by(effects.c.attempt.desc(), effects.c.id.desc()).limit(1)).first()
    return as_row(EffectRow, row) if row else None


def start(
    connection: Connection,
    *,
    run: str,
    path: str,
    name: str,
    attempt: int,
    step_attempt: int,
    repeatable: bool,
    executor: str,
    fence: int,
    before: Mapping[str, Any],
    now: datetime,
) -> None:
    """Notes that the effect is about to happen. The key is that of the effect, not of the attempt."""
    row = {
        "run": run,
        "path": path,
        "name": name,
        "attempt": attempt,
        "step_attempt": step_attempt,
        "key": f"{run}/{path}/{name}",
        "repeatable": repeatable,
        "state": STARTED,
        "executor": executor,
        "fence": fence,
        "before": before,
        "result": {},
        "started_at": now,
    }
    connection.execute(_START[connection.dialect.name], row)


def complete(
    connection: Connection,
    run: str,
    path: str,
    name: str,
    attempt: int,
    state: str,
    result: Mapping[str, Any],
    now: datetime,
) -> None:
    """Notes how it ended."""
    which = {"of_run": run, "at_path": path, "named": name, "tried": attempt}
    connection.execute(_COMPLETE, {**which, "state": state, "result": result, "ended_at": now})
