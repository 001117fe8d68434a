"""The step kinds. One file per system; one line here registers a kind."""

from typing import Any

from runbooks.steps.postgres import PostgresConnect, PostgresConnections
from runbooks.steps.postgres_queries import PostgresLongQueries
from runbooks.steps.step import Check

_KINDS: tuple[type[Check[Any]], ...] = (
    PostgresConnect,
    PostgresConnections,
    PostgresLongQueries,
)

CHECKS: dict[str, type[Check[Any]]] = {check.kind: check for check in _KINDS}
