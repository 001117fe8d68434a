"""What is old goes, in batches; what is young, and every audit event, stays."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, insert, text

from runbooks.records import outbox, pruning, run_tables
from runbooks.records.records import Records
from runbooks.records.schema import deliveries
from tests.records.conftest import NOON, make_event, make_result


async def test_old_rows_go_and_young_ones_stay(records: Records) -> None:
    """Deliveries of yesterday are removed; results, which are thinned elsewhere, and audit events stay."""
    now = datetime.now(UTC)
    await records.record(make_event(), "young")
    await records.keep([make_result(1.0, at=now - timedelta(days=n)) for n in (0, 89, 91, 200)])
    with records.engine.begin() as connection:
        connection.execute(text("INSERT INTO deliveries VALUES ('old', '2020-01-01 00:00:00.000000')"))

    removed = await records.prune()

    with records.engine.begin() as connection:
        left = {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()
            for table in ("deliveries", "check_results", "measurements", "audit_events")
        }
    assert {name: count for name, count in removed.items() if count} == {"deliveries": 1}
    assert left == {"deliveries": 1, "check_results": 4, "measurements": 4, "audit_events": 1}


async def test_nothing_old_is_nothing_removed(records: Records) -> None:
    """On an empty database there is nothing to do."""
    assert set((await records.prune()).values()) == {0}


def test_one_transaction_removes_one_batch(engine: Engine) -> None:
    """However much is old, a batch is bounded; the oldest go first."""
    rows = [{"digest": f"d{n}", "at": NOON + timedelta(seconds=n)} for n in range(pruning.BATCH + 5)]
    with engine.begin() as connection:
        connection.execute(insert(deliveries), rows)
    cutoff = NOON + timedelta(days=1)
    with engine.begin() as connection:
        first = pruning.prune_deliveries(connection, cutoff)
        oldest_left = connection.execute(text("SELECT count(*) FROM deliveries")).scalar()
        second = pruning.prune_deliveries(connection, cutoff)

    assert (first, oldest_left, second) == (pruning.BATCH, 5, 5)


async def test_posted_messages_go_after_a_week_and_unposted_ones_stay(records: Records) -> None:
    """A message that was posted long ago is removed; one that nobody has posted yet is not."""
    old = datetime.now(UTC) - timedelta(days=8)

    def put(connection: Connection) -> None:
        posted = run_tables.outbox.c.id == outbox.put(connection, "r", "note", {"text": "posted"})
        outbox.put(connection, "r", "note", {"text": "waits"})
        connection.execute(run_tables.outbox.update().where(posted).values(sent_at=old, created_at=old))

    await records.write(put)

    assert (await records.prune())["outbox"] == 1
    assert (await records.prune())["outbox"] == 0
