"""What the file of a backup is called, and what stands beside it while it is made."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import quote

#: Ends the name of a file that is not whole yet.
PART = ".part"
#: What a scratch database is called, and one that is restored to take another one's place.
SCRATCH, COMING = "maint_scratch_", "maint_restore_"

_ENDINGS = {"custom": "dump", "directory": "tar"}


def token_of(key: str) -> str:
    """What marks everything that one effect makes, so that its repetition finds it: 16 characters."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def file_name(
    *, target: str, database: str, kind: str, format_: str, taken_at: datetime, token: str, encrypted: bool
) -> str:
    """`db/shop-full-20261122T023000Z-0123456789abcdef.dump.enc`: sorts by time, and needs no quoting."""
    stamp = taken_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    ending = f"{_ENDINGS[format_]}{'.enc' if encrypted else ''}"
    return f"{folder_of(target)}/{_safe(database)}-{kind}-{stamp}-{token}.{ending}"


def folder_of(target: str) -> str:
    """The folder for a target's backups in every place."""
    return _safe(target)


def manifest_of(name: str) -> str:
    """The name of the manifest beside that file."""
    return f"{name}.json"


def is_of(name: str, token: str) -> bool:
    """Whether a file was made by the effect with that token, whole or not."""
    return f"-{token}." in name


def _safe(word: str) -> str:
    # quote() leaves dots alone, and `..` is a way out of the folder.
    return quote(word, safe="").replace("~", "%7E").replace(".", "%2E")
