"""Many runs that stand where one run stands: its rows in every table, with ids of their own."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, insert, select, update

from runbooks.ids import new_id
from runbooks.records.carriage import SCHEMA
from runbooks.records.run_tables import asks, run_steps, runs
from runbooks.records.schema import cards

#: Runs that one transaction copies.
_BATCH = 500
#: Tables with the column that names the run, those first to which others refer.
_OURS = (
    (runs, runs.c.id),
    (run_steps, run_steps.c.run),
    (asks, asks.c.run),
    (cards, cards.c.correlation),
)


def copy_run(engine: Engine, run: str, number: int, ts_of: Callable[[str], str]) -> None:
    """Adds that many copies of a run; `ts_of` posts the card of that id, and says where it stands.

    All cards, the first run's too, show their run as it is.
    """
    with engine.begin() as connection:
        found = list(_rows(connection, run))
    for first in range(0, number, _BATCH):
        with engine.begin() as connection:
            for table, rows in found:
                ids = _ids(run, first, min(number, first + _BATCH))
                connection.execute(insert(table), [_copy(row, run, id_) for id_ in ids for row in rows])
    with engine.begin() as connection:
        for card in connection.execute(select(cards.c.id, cards.c.wanted)).all():
            shown = {"ts": ts_of(card.id), "drawn": card.wanted, "priority": 0}
            connection.execute(update(cards).where(cards.c.id == card.id).values(shown))


def _ids(run: str, first: int, last: int) -> list[str]:
    """The ids of the copies, the same in every table: the run's with another ending."""
    return [f"{run[:20]}{number:06}" for number in range(first, last)]


def _rows(connection: Connection, run: str) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    for table, column in _OURS:
        yield table, _dicts(connection, table, column == run)
    schema = SCHEMA if connection.dialect.name == "postgresql" else None
    for name in ("workflow_status", "workflow_input"):
        table = Table(name, MetaData(), autoload_with=connection, schema=schema)
        yield table, _dicts(connection, table, table.c.workflow_uuid.like(f"{run}/%"))


def _dicts(connection: Connection, table: Table, which: Any) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(select(table).where(which))]


def _copy(row: dict[str, Any], run: str, id_: str) -> dict[str, Any]:
    """The same row of another run."""
    copied = {
        name: value.replace(run, id_) if isinstance(value, str) else value for name, value in row.items()
    }
    copied.pop("seq", None)  # the place in the audit log, which the database gives
    if row.get("id") not in (None, run):
        copied["id"] = new_id()
    return copied
