"""Events in bulk, oldest first: piece by piece, so that no transaction is long and no memory is full."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Select,
    Text,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from runbooks.records.audit_tables import audit_events, audit_names
from runbooks.records.search import Wanted, Window, matching

#: Events of one piece.
PIECE = 20_000

_BEFORE_NAME = ("seq", "id", "at", "actor_kind", "actor_id", "actor_mark")
_AFTER_NAME = tuple(column.name for column in audit_events.c if column.name not in _BEFORE_NAME)


@dataclass(frozen=True)
class Piece:
    """Some events: how many, and the places of the first and of the last."""

    count: int
    first: int
    last: int


@dataclass(frozen=True)
class Written(Piece):
    """As lines of JSON."""

    text: str


@dataclass(frozen=True)
class Listed(Piece):
    """As rows of texts and numbers."""

    rows: Sequence[tuple[Any, ...]]


def json_lines(connection: Connection, wanted: Wanted, within: Window, limit: int = PIECE) -> Written:
    """The first events of the window that fit, a line each; the database writes them."""
    page = matching(wanted, within).limit(limit)
    columns = _columns(connection)
    # Both keep the text of `details` as it is, which the hash is made of.
    if connection.dialect.name == "sqlite":
        columns["details"] = func.json(columns["details"])
        pairs = [part for name, column in columns.items() for part in (literal_column(f"'{name}'"), column)]
        query = _only(page, [columns["seq"], func.json_object(*pairs)])
    else:
        columns["details"] = cast(columns["details"], JSON)
        whole = _only(page, [column.label(name) for name, column in columns.items()]).subquery()
        made = cast(func.row_to_json(whole.table_valued()), Text)
        query = select(whole.c.seq, made).order_by(whole.c.seq)
    rows = _raw(connection, query)
    text = "".join([f"{row[1]}\n" for row in rows])
    return Written(*_ends(rows), text)


def listed(connection: Connection, wanted: Wanted, within: Window, limit: int = PIECE) -> Listed:
    """The first events of the window that fit, as rows."""
    page = matching(wanted, within).limit(limit)
    rows = _raw(connection, _only(page, list(_columns(connection).values())))
    return Listed(*_ends(rows), rows)


def _only(page: Select[Any], columns: list[ColumnElement[Any]]) -> Select[Any]:
    return page.with_only_columns(*columns, maintain_column_froms=True)


def _raw(connection: Connection, query: Select[Any]) -> Sequence[tuple[Any, ...]]:
    """The rows as the driver has them, which are texts and numbers only: to make rows of SQLAlchemy's of them
    takes as long again."""
    with connection.execute(query) as result:
        assert result.cursor is not None
        found: Sequence[tuple[Any, ...]] = result.cursor.fetchall()
        return found


def _ends(rows: Sequence[Sequence[Any]]) -> tuple[int, int, int]:
    return (len(rows), rows[0][0], rows[-1][0]) if rows else (0, 0, 0)


def _columns(connection: Connection) -> dict[str, ColumnElement[Any]]:
    """Every column by its name, in the order of the export; times as they are hashed."""
    events = audit_events.c
    # One by one: joined, the rows would have to be sorted once more.
    known = select(audit_names.c.name).where(audit_names.c.mark == events.actor_mark).scalar_subquery()
    found: dict[str, ColumnElement[Any]] = {name: events[name] for name in _BEFORE_NAME}
    found |= {"actor_name": func.coalesce(known, "")} | {name: events[name] for name in _AFTER_NAME}
    if connection.dialect.name == "sqlite":
        found["at"] = func.replace(cast(events.at, Text), " ", "T") + "Z"
    else:
        found["at"] = func.to_char(func.timezone("UTC", events.at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    return found
