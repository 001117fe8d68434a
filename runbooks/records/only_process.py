"""SQLite is for one serving process: a lock next to the file says who it is."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runbooks.errors import RecordsError
from runbooks.records.database import parse_url


@contextmanager
def only_process(url: str) -> Iterator[None]:
    """Holds the lock of that SQLite file, which ends with the process however it ends; free on PostgreSQL.

    Raises RecordsError when another process holds it.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        yield
        return
    # Two names of one file must not give two locks.
    database = Path(parsed.database or "").resolve()
    path = database.with_name(database.name + ".lock")
    try:
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise RecordsError(f"The lock file {path} cannot be made: {error.strerror}.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(20).strip()
            raise RecordsError(
                f"Another maint{f' (pid {holder})' if holder else ''} is serving the database {database}. "
                "SQLite is for one process: stop it, or use PostgreSQL."
            ) from None
        # The file stays: removed, a third process could lock a new one beside the second's.
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
