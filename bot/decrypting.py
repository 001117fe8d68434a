"""`maint decrypt-backup`: a backup in clear, from its file and its key alone."""

from collections.abc import Callable, Mapping
from pathlib import Path

from runbooks.backups.encryption import MAGIC, decrypted
from runbooks.backups.part import open_part, told
from runbooks.errors import MaintError, UsageError

#: Where the key comes from; earlier ones may stand in further lines.
VARIABLE = "MAINT_BACKUP_KEY"


def decrypt_backup(file: Path, to: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Writes what pg_dump wrote into `to`, all of it or nothing. Raises MaintError."""
    keys = [line.strip() for line in environ.get(VARIABLE, "").splitlines() if line.strip()]
    if not keys:
        raise UsageError(f"Put the store's key into {VARIABLE}; it is not taken from an argument.")
    if to.exists():
        raise UsageError(f"{to} is there already, and is not overwritten.")
    size = 0
    with told(file, "read"), file.open("rb") as source, open_part(to) as part:
        if not source.peek(len(MAGIC)).startswith(MAGIC):
            raise UsageError(f"{file} is not encrypted by Maint: pg_restore reads it as it is.")
        try:
            for piece in decrypted(source, keys):
                part.write(piece)
                size += len(piece)
        except MaintError as error:
            raise UsageError(f"{file} cannot be decrypted: {error}.") from error
        part.becomes(to)
    say(f"Wrote {to}, {size:,} bytes.")
    return 0
