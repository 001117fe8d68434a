"""Whether a process has a file open: by a lease, which the kernel grants only on a file that nobody has, and
by what the processes say under /proc. Where neither tells, it is unknown, which is not no."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal

OPEN, CLOSED, UNKNOWN = "open", "closed", "unknown"

_PROC = "/proc"


class OpenFiles:
    """What was open when this was made; `look` asks for one file at this moment."""

    def __init__(self) -> None:
        # Somebody who opens a file on which we try a lease makes the kernel say so, with a signal that kills.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        self._open: set[tuple[int, int]] = set()
        #: Processes into which we may not look; None where there is no /proc.
        self.blind: int | None = None
        with contextlib.suppress(OSError):
            processes = [name for name in os.listdir(_PROC) if name.isdigit() and name != str(os.getpid())]
            self.blind = sum(not self._look_into(name) for name in processes)

    def _look_into(self, process: str) -> bool:
        """Notes what that process has open; whether we may know."""
        folder = f"{_PROC}/{process}/fd"
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        status = os.stat(f"{folder}/{entry.name}")
                        self._open.add((status.st_dev, status.st_ino))
        except PermissionError:
            return False
        except OSError:  # it has ended
            pass
        return True

    def look(self, name: str, folder: int, ours: int = -1) -> str:
        """OPEN, CLOSED or UNKNOWN, of a regular file in that opened folder. `ours`: our own descriptor."""
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (status.st_dev, status.st_ino) in self._open:
            return OPEN
        lease = _lease(ours) if ours >= 0 else _lease_of(name, folder)
        if lease != UNKNOWN:
            return lease
        return CLOSED if self.blind == 0 else UNKNOWN


def _lease_of(name: str, folder: int) -> str:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return UNKNOWN
    try:
        return _lease(file)
    finally:
        os.close(file)


def _lease(file: int) -> str:
    if not hasattr(fcntl, "F_SETLEASE"):
        return UNKNOWN
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        # Others than EAGAIN: the file is another user's, or on a file system without leases.
        return OPEN if error.errno == errno.EAGAIN else UNKNOWN
    return CLOSED
