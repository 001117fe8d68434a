"""What stands beside each backup, so that it can be understood without Maint's database: a JSON file."""

import json
from typing import Any

from runbooks.backups.backup import Backup

#: Raised when the meaning of a field changes.
VERSION = 1


def write_manifest(backup: Backup, *, key_id: str) -> bytes:
    """The manifest of that backup. `key_id`: which key it was encrypted with, empty for none."""
    fields: dict[str, Any] = {
        "maint_backup": VERSION,
        "id": backup.id,
        "target": backup.target,
        "database": backup.database,
        "file": backup.name.rpartition("/")[2],
        "taken_at": backup.taken_at.isoformat(),
        "kind": backup.kind,
        "format": backup.format,
        "bytes": backup.bytes,
        "sha256": backup.sha256,
        "encrypted": backup.encrypted,
        "key_id": key_id,
        "server_version": backup.server_version,
        "seconds": round(backup.seconds, 1),
        "run": backup.run,
        **backup.facts,
    }
    return json.dumps(fields, indent=2, ensure_ascii=False).encode() + b"\n"


def sha256_in(manifest: bytes) -> str:
    """The checksum of the file that a manifest is about; empty when it is none."""
    return str(fields_of(manifest).get("sha256", ""))


def size_in(manifest: bytes) -> int:
    """The bytes of that file; -1 when it is none."""
    size = fields_of(manifest).get("bytes")
    return size if isinstance(size, int) else -1


def fields_of(manifest: bytes) -> dict[str, Any]:
    """What a manifest says; nothing when it is none."""
    try:
        fields = json.loads(manifest)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
