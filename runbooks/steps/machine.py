"""A machine that a step looks at: commands run and files read, on this machine or over ssh."""

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

from runbooks.errors import StepError
from runbooks.spec.model import show_duration
from runbooks.steps.job import Job, Process, Stream
from runbooks.steps.local_process import begin_here
from runbooks.steps.reach import Shared
from runbooks.targets import HostTarget, Ssh
from runbooks.visible import one_line

#: Bytes of output that a command may give: some 30,000 processes, or file systems.
MOST_OUTPUT = 4 * 1024 * 1024
#: Seconds that a killed program is waited for. One in a hung file system call cannot die.
_DYING = 1.0
#: The exit code of env(1) and timeout(1) for a program that they do not find.
_NOT_FOUND = 127


@dataclass(frozen=True, kw_only=True)
class Completed:
    """How a command ended. `errors` is what it said on stderr, in one line fit to show."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True, kw_only=True)
class FileState:
    """A file as a folder lists it: `size` in bytes, `modified` in seconds since the epoch. `identity`
    is the same as long as it is the same file, under whatever name; None where that is not told."""

    path: str
    size: int
    modified: float
    regular: bool
    identity: tuple[int, int] | None = None


class OpenFile(Protocol):
    """A file that is being read; it stays the same file when it is renamed meanwhile."""

    async def read(self, offset: int, length: int) -> bytes:
        """The bytes there, fewer only at the file's end. Raises StepError."""
        ...


class Files(Protocol):
    """The files of a machine. Everything raises StepError, and says what to do about it."""

    async def state(self, path: str) -> FileState:
        """That file's state; a symbolic link is followed."""
        ...

    async def folder(self, path: str) -> list[FileState]:
        """The states of what is in the folder; symbolic links are not followed."""
        ...

    def open(self, path: str) -> AbstractAsyncContextManager[OpenFile]:
        """The file, opened for reading."""
        ...


class Machine(Protocol):
    """A machine on which commands run and files are read. `where` is how people know it."""

    where: str

    def lost(self) -> StepError | None:
        """The error for a connection with it that is gone; None while it is there, or none is needed."""
        ...

    async def run(self, argv: Sequence[str], timeout: timedelta) -> Completed:
        """Runs a program with LC_ALL=C; it is killed on timeout or when nobody waits for it any more.

        Raises StepError when it cannot run, does not end in time, or says more than MOST_OUTPUT bytes.
        """
        ...

    def begin(self, job: Job) -> AbstractAsyncContextManager[Process]:
        """Gets a program ready that may change something. Raises StepError: it does not run then."""
        ...

    def files(self) -> AbstractAsyncContextManager[Files]:
        """The machine's files."""
        ...


async def find_machine(target: HostTarget, reach: Shared) -> Machine:
    """The machine of a host target; one ssh connection serves every step of a report.

    Raises StepError when it cannot be logged in to.
    """
    settings = target.ssh
    if settings is None:
        return ThisMachine()
    try:
        open_ssh = await asyncio.to_thread(_import_open_ssh)
    except ImportError as error:
        raise StepError(
            f"{target.where()} needs the ssh client: pip install 'maintbot[ssh]' where Maint runs"
        ) from error
    return await reach.connections.get(("ssh", settings), lambda: open_ssh(settings, target.where()), _lost)


def _lost(machine: Machine) -> StepError | None:
    return machine.lost()


def _import_open_ssh() -> Callable[[Ssh, str], AbstractAsyncContextManager[Machine]]:
    from runbooks.steps.ssh import open_ssh  # an extra, and too slow an import for the event loop

    return open_ssh


class ThisMachine:
    """The machine that Maint runs on. In a container that is the container."""

    where = "this machine"

    def lost(self) -> StepError | None:
        return None

    async def run(self, argv: Sequence[str], timeout: timedelta) -> Completed:
        # Nothing of Maint's own environment: tokens and database passwords are in it.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise StepError(f"`{argv[0]}` cannot be run on {self.where}: {error.strerror}") from error
        assert process.stdout is not None
        assert process.stderr is not None
        done = False
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                output, errors = await asyncio.gather(read_all(process.stdout), read_all(process.stderr))
                code = await process.wait()
            done = True
        except TimeoutError as error:
            raise too_slow(argv, self.where, timeout) from error
        finally:
            if not done:
                await _kill(process)
        return completed(argv, self.where, code, output, errors)

    def begin(self, job: Job) -> AbstractAsyncContextManager[Process]:
        return begin_here(job, self.where)

    @asynccontextmanager
    async def files(self) -> AsyncIterator[Files]:
        yield _TheseFiles()


async def _kill(process: asyncio.subprocess.Process) -> None:
    # The whole session: a program that the program started holds its output open too.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _DYING)


async def read_all(stream: Stream) -> bytes:
    """All of it, kept up to one byte more than MOST_OUTPUT."""
    kept = bytearray()
    while chunk := await stream.read(64 * 1024):
        kept += chunk[: MOST_OUTPUT + 1 - len(kept)]
    return bytes(kept)


def too_slow(argv: Sequence[str], where: str, timeout: timedelta) -> StepError:
    """The error for a program that did not end in time."""
    return StepError(f"`{argv[0]}` on {where} did not end within {show_duration(timeout)}, and was killed")


def completed(argv: Sequence[str], where: str, code: int, output: bytes, errors: bytes) -> Completed:
    """What a program said, as text. Raises StepError when it was not there, or said more than MOST_OUTPUT."""
    if len(output) > MOST_OUTPUT:
        raise StepError(f"`{argv[0]}` on {where} said more than {MOST_OUTPUT >> 20} MiB")
    said = "; ".join(errors.decode(errors="replace").strip().split("\n"))
    if code == _NOT_FOUND:
        raise StepError(f"`{argv[0]}` cannot be run on {where}: {one_line(said)}")
    return Completed(code=code, output=output.decode(errors="replace"), errors=one_line(said))


class _ThisFile:
    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path

    async def read(self, offset: int, length: int) -> bytes:
        with _told(self._path):
            return await asyncio.to_thread(os.pread, self._file.fileno(), length, offset)


class _TheseFiles:
    async def state(self, path: str) -> FileState:
        with _told(path):
            return _state(path, await asyncio.to_thread(os.stat, path))

    async def folder(self, path: str) -> list[FileState]:
        with _told(path):
            return await asyncio.to_thread(_folder, path)

    @asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[OpenFile]:
        with _told(path):
            file = await asyncio.to_thread(Path(path).open, "rb")
        try:
            yield _ThisFile(file, path)
        finally:
            file.close()


def _folder(path: str) -> list[FileState]:
    found = []
    with os.scandir(path) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # deleted while we look
                found.append(_state(entry.path, entry.stat(follow_symlinks=False)))
    return found


def _state(path: str, status: os.stat_result) -> FileState:
    return FileState(
        path=path,
        size=status.st_size,
        modified=status.st_mtime,
        regular=stat.S_ISREG(status.st_mode),
        identity=(status.st_dev, status.st_ino),
    )


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise missing(path, "this machine") from error
    except PermissionError as error:
        raise forbidden(path, "this machine", "the user that Maint runs as") from error
    except OSError as error:
        raise StepError(f"{path} on this machine cannot be read: {error.strerror}") from error


def missing(path: str, where: str) -> StepError:
    """The error for a file that is not there."""
    return StepError(f"{path} does not exist on {where}")


def forbidden(path: str, where: str, who: str) -> StepError:
    """The error for a file that may not be read."""
    return StepError(f"{path} on {where} may not be read by {who}: give it the file's group (often `adm`)")
