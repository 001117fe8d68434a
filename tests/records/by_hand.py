"""The log without Maint: verified by the program in docs/audit.md, and changed past its triggers."""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
_MADE: dict[str, Any] = {"__name__": "by_hand"}
exec(compile(PROGRAM, str(PAGE), "exec"), _MADE)

Rows = list[dict[str, Any]]


class ByHand:
    """One transaction of an owner of the tables, who has taken their triggers away. It is rolled back."""

    def __init__(self, connection: Any, kind: str) -> None:
        self._connection = connection
        self._kind = kind

    def verify(self, heads: Mapping[int, str] | None = None) -> str:
        """What the program on the page finds; nothing when the log is as it was."""
        with self._plain_rows():
            said: str = _MADE["verify"](*_MADE["read"](self._connection, self._kind), heads or {})
        return said

    @contextmanager
    def _plain_rows(self) -> Iterator[None]:
        factory = self._connection.row_factory
        self._connection.row_factory = None if self._kind == "sqlite" else psycopg.rows.tuple_row
        yield
        self._connection.row_factory = factory

    def rows(self, table: str = "audit_events") -> Rows:
        """All of a table, in the order of its key."""
        found = self._connection.execute(f"SELECT * FROM {table} ORDER BY 1")
        return [dict(row) for row in found.fetchall()]

    def update(self, table: str, key: Mapping[str, Any], column: str, value: Any) -> None:
        """Changes one column of one row."""
        ((name, known),) = key.items()
        mark = self._mark
        self._connection.execute(
            f"UPDATE {table} SET {column} = {mark} WHERE {name} = {mark}", (value, known)
        )

    def put(self, rows: Sequence[Mapping[str, Any]], table: str = "audit_events") -> None:
        """The table has these rows from now on."""
        self._connection.execute(f"DELETE FROM {table}")
        for row in rows:
            places = ", ".join([self._mark] * len(row))
            self._connection.execute(
                f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", tuple(row.values())
            )

    @property
    def _mark(self) -> str:
        return "?" if self._kind == "sqlite" else "%s"


@contextmanager
def by_hand(url: str) -> Iterator[ByHand]:
    """Such a transaction."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("BEGIN")
            triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (name,) in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            yield ByHand(connection, "sqlite")
        finally:
            connection.close()
        return
    with psycopg.connect(url, row_factory=dict_row) as opened:
        try:
            opened.execute("SET LOCAL session_replication_role = replica")
            yield ByHand(opened, "postgresql")
        finally:
            opened.rollback()
