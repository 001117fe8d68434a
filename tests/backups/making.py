"""Backups for tests, of which each names only what it is about."""

from datetime import UTC, datetime
from typing import Any

from runbooks.backups.backup import Backup

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_backup(id_: str = "b1", **changes: Any) -> Backup:
    """A full backup of the database `shop` of the target `db`."""
    fields: dict[str, Any] = {
        "id": id_,
        "target": "db",
        "database": "shop",
        "name": f"db/shop-full-{id_}.dump",
        "taken_at": NOON,
        "kind": "full",
        "format": "custom",
        "bytes": 1000,
        "sha256": "0" * 64,
        "encrypted": False,
        "places": ({"store": "vault", "kind": "folder", "where": "/b/x"},),
        "server_version": "18.1",
        "seconds": 2.0,
        "run": "r1",
    }
    return Backup(**fields | changes)
