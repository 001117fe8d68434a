"""A private folder for sockets. No password guards what listens there: only its owner may look into it."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: How the folders begin, in the system's folder for temporary files.
PREFIX = "maint-via-"
#: Bytes of a socket's path (sun_path in unix(7), without the zero behind it).
_LONGEST_PATH = 107
#: What mkdtemp and the sockets' names put behind the folder for temporary files, in bytes.
_OURS = 50
#: Seconds after which a folder that nobody holds was left by a process that died.
_OLD = 60.0


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A folder that goes when it is over; one whose maker died goes with the next that is made.

    Not in a thread: who is cancelled meanwhile would leave it, and it is a handful of system calls.
    """
    parent = _parent()
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        held = _hold(folder)
        try:
            yield folder
        finally:
            if held is not None:
                os.close(held)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _parent() -> Path:
    named = tempfile.gettempdir()
    if len(os.fsencode(named)) + _OURS > _LONGEST_PATH:
        return Path("/tmp")  # noqa: S108 - mkdtemp makes a folder in it that is ours alone
    return Path(named)


def _hold(folder: Path) -> int | None:
    """Holds it as long as this process lives; None when somebody does already, or it is not ours."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            state = folder.lstat()
            if state.st_uid != os.geteuid() or time.time() - state.st_mtime < _OLD:
                continue
            if (held := _hold(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)
