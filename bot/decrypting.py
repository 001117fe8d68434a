"""`maint decrypt-backup`: a backup or a log in clear, from its file and its key alone."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from runbooks.backups.encryption import MAGIC, decrypted
from runbooks.backups.part import Part, open_part, told
from runbooks.backups.place import PlaceError
from runbooks.errors import MaintError, UsageError

#: Where the key comes from; earlier ones may stand in further lines.
VARIABLE = "MAINT_BACKUP_KEY"


def decrypt_backup(file: Path, to: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Writes what was encrypted into `to`, all of it or nothing. Raises MaintError."""
    keys = [line.strip() for line in environ.get(VARIABLE, "").splitlines() if line.strip()]
    if not keys:
        raise UsageError(f"Put the store's key into {VARIABLE}; it is not taken from an argument.")
    if to.exists():
        raise UsageError(f"{to} is there already, and is not overwritten.")
    size = 0
    with ExitStack() as stack:
        with told(file, "read"):
            source = stack.enter_context(file.open("rb"))
            if not source.peek(len(MAGIC)).startswith(MAGIC):
                raise UsageError(
                    f"{file} is not encrypted by Maint: pg_restore reads a dump as it is, and zcat a log."
                )
        with told(to, "written"):
            part = stack.enter_context(open_part(to))
        try:
            with told(file, "read"):
                for piece in decrypted(source, keys):
                    _write(part, to, piece)
                    size += len(piece)
        except PlaceError:
            raise
        except MaintError as error:
            raise UsageError(f"{file} cannot be decrypted: {error}.") from error
        with told(to, "written"):
            part.becomes(to)
    say(f"Wrote {to}, {size:,} bytes.")
    return 0


def _write(part: Part, to: Path, piece: bytes) -> None:
    with told(to, "written"):
        part.write(piece)
