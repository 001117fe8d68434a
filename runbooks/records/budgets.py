"""What all replicas together may still ask of Slack: token buckets in the database.

A bucket is changed by compare-and-set, never by a lock that is held: a transaction that takes from one may
hold a card's row meanwhile. Clocks of replicas differ: one that lags sees no time pass, and takes no more.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from runbooks.records.insert import insert_into
from runbooks.records.run_tables import budgets

#: How often a bucket is tried again that another replica took from at the same moment.
_TRIES = 20


@dataclass(frozen=True)
class Budget:
    """A bucket of `size` tokens at most that gains `per_second`. It begins full."""

    name: str
    size: float
    per_second: float


def take(connection: Connection, budget: Budget, now: datetime, keep: float = 0.0) -> float:
    """Takes a token and returns 0, unless fewer than `keep` would be left: then the seconds to wait."""
    for _ in range(_TRIES):
        tokens, at, stored = _look(connection, budget, now)
        if tokens < 1 + keep:
            return (1 + keep - tokens) / budget.per_second
        if _set(connection, budget, stored, tokens - 1, at):
            return 0.0
    return 1 / budget.per_second


def missing(connection: Connection, budget: Budget, now: datetime, keep: float = 0.0) -> float:
    """The seconds until `take` would give one; 0 when it would now."""
    tokens, _, _ = _look(connection, budget, now)
    return max(0.0, (1 + keep - tokens) / budget.per_second)


def stop(connection: Connection, budget: Budget, now: datetime, seconds: float) -> None:
    """Nothing is given for so long: Slack said so. A longer stop that stands already stays."""
    for _ in range(_TRIES):
        tokens, at, stored = _look(connection, budget, now)
        if _set(connection, budget, stored, min(tokens, 1 - seconds * budget.per_second), at):
            return


def _look(
    connection: Connection, budget: Budget, now: datetime
) -> tuple[float, datetime, tuple[float, datetime]]:
    """The tokens at this moment, that moment, and the row as it stands."""
    query = select(budgets.c.tokens, budgets.c.at).where(budgets.c.name == budget.name)
    row = connection.execute(query).first()
    if row is None:
        new = insert_into(connection, budgets).values(name=budget.name, tokens=budget.size, at=now)
        connection.execute(new.on_conflict_do_nothing())
        row = connection.execute(query).one()
    elapsed = max(0.0, (now - row.at).total_seconds())
    tokens = min(budget.size, row.tokens + elapsed * budget.per_second)
    return tokens, max(now, row.at), (row.tokens, row.at)


def _set(
    connection: Connection, budget: Budget, stored: tuple[float, datetime], tokens: float, at: datetime
) -> bool:
    unchanged = (budgets.c.tokens == stored[0]) & (budgets.c.at == stored[1])
    statement = update(budgets).where(budgets.c.name == budget.name, unchanged).values(tokens=tokens, at=at)
    return connection.execute(statement.returning(budgets.c.name)).first() is not None
