"""Old rows go in small batches, so that nobody waits long for the lock. Audit events stay for ever."""

from datetime import datetime

from sqlalchemy import Column, Connection, Table, delete, select

from runbooks.records.run_tables import outbox
from runbooks.records.schema import deliveries
from runbooks.records.watch_tables import ticks

#: Rows that one transaction removes.
BATCH = 1_000


def prune_deliveries(connection: Connection, before: datetime) -> int:
    """Removes one batch of deliveries that are older; how many there were."""
    return _prune(connection, deliveries, deliveries.c.digest, before)


def prune_outbox(connection: Connection, before: datetime) -> int:
    """Removes one batch of messages that were posted longer ago; how many there were."""
    old = select(outbox.c.id).where(outbox.c.sent_at < before).limit(BATCH)
    statement = delete(outbox).where(outbox.c.id.in_(old.scalar_subquery()))
    return len(connection.execute(statement.returning(outbox.c.id)).all())


def prune_ticks(connection: Connection, before: datetime) -> int:
    """Removes one batch of ticks that are older, and wait for nothing; how many there were."""
    old = select(ticks.c.id).where(ticks.c.fire_at < before, ticks.c.wake_at.is_(None)).limit(BATCH)
    statement = delete(ticks).where(ticks.c.id.in_(old.scalar_subquery()))
    return len(connection.execute(statement.returning(ticks.c.id)).all())


def _prune(connection: Connection, table: Table, key: Column[object], before: datetime) -> int:
    old = select(key).where(table.c.at < before).order_by(table.c.at).limit(BATCH)
    statement = delete(table).where(key.in_(old.scalar_subquery()))
    return len(connection.execute(statement.returning(key)).all())
