"""A program on this machine, with everything that it starts."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO

from runbooks.errors import StepError
from runbooks.steps.job import Job, Process, Stream

#: How long a killed program may take to be gone. One in a hung file system call cannot die.
_DYING = timedelta(seconds=3)
#: Seconds between the first two looks at whether it is gone, and between the last two.
_LOOK, _LONGEST_LOOK = 0.05, 0.5
_PROC = Path("/proc")
#: What a command gets of our environment, and what if we have none.
_ENVIRONMENT = {"PATH": os.defpath, "HOME": "/"}


@asynccontextmanager
async def begin_here(job: Job, where: str) -> AsyncIterator[Process]:
    """The program, not started yet. What it leaves behind when it ends by itself goes on."""
    with ExitStack() as stack:
        files = await asyncio.to_thread(lambda: [_file(stack, text) for text in (job.stdin, job.script)])
        out, err = _Pipe(), _Pipe()
        for pipe in (out, err):
            stack.callback(pipe.close)
            await pipe.open()
        yield _LocalProcess(job, where, files, (out, err))


def _file(stack: ExitStack, text: str | None) -> IO[bytes]:
    """A file without a name that holds the text: nothing of it stays when we are killed."""
    file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    file.write((text or "").encode())
    file.seek(0)
    return file


class _Pipe:
    """A pipe of our own. asyncio's stay open, and cannot be closed, while a program's child holds them."""

    def __init__(self) -> None:
        self.stream = asyncio.StreamReader()
        reading, self.writing = os.pipe()
        self._file = os.fdopen(reading, "rb", 0)
        self._transport: asyncio.ReadTransport | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self.stream), self._file
        )

    def close_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def close(self) -> None:
        self.close_writing()
        if self._transport:
            self._transport.close()
        else:
            self._file.close()


class _LocalProcess:
    def __init__(self, job: Job, where: str, files: list[IO[bytes]], pipes: tuple[_Pipe, _Pipe]) -> None:
        self.stdout: Stream = pipes[0].stream
        self.stderr: Stream = pipes[1].stream
        self._job = job
        self._where = where
        self._stdin, self._script = files
        self._pipes = pipes
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        job = self._job
        # Nothing of Maint's own environment: tokens and database passwords are in it.
        own = {name: os.environ.get(name, default) for name, default in _ENVIRONMENT.items()}
        script = (f"/dev/fd/{self._script.fileno()}",) if job.script is not None else ()
        out, err = self._pipes
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *job.argv,
                *script,
                stdin=self._stdin,
                stdout=out.writing,
                stderr=err.writing,
                pass_fds=(self._script.fileno(),) if script else (),
                cwd=job.directory,
                env={**own, **job.environment},
                start_new_session=True,
            )
        )
        try:
            self._process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # asyncio would kill the program alone, and not what it has started by then.
            with suppress(OSError):
                self._process = await starting
            raise
        except OSError as error:
            missing = job.directory is not None and error.filename == job.directory
            what = f"in the directory {job.directory}" if missing else f"on {self._where}"
            raise StepError(f"`{job.argv[0]}` cannot be run {what}: {error.strerror}") from error
        finally:
            out.close_writing()
            err.close_writing()

    async def write(self) -> None:
        pass  # it reads its file by itself

    async def wait(self) -> int | None:
        assert self._process is not None
        return await self._process.wait()

    async def end(self, grace: timedelta) -> bool:
        if self._process is None:
            return True
        try:
            self._signal(signal.SIGTERM)
            if await self._gone(grace):
                return True
        finally:  # also when nobody waits for the grace any more
            self._signal(signal.SIGKILL)
        return await self._gone(_DYING)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        # PermissionError: a program that became another user; whether it is gone is seen afterwards.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _gone(self, within: timedelta) -> bool:
        assert self._process is not None
        clock = asyncio.get_running_loop().time
        deadline = clock() + within.total_seconds()
        pause = _LOOK
        while await asyncio.to_thread(_alive, self._process.pid):
            if clock() > deadline:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_LOOK)
        return True


def _alive(group: int) -> bool:
    """Whether something of a process group still runs; what only nobody has reaped yet does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is there, and another user's
    if not _PROC.joinpath("self", "stat").exists():
        return True
    return any(_runs_in(process, group) for process in _PROC.glob("[0-9]*"))


def _runs_in(process: Path, group: int) -> bool:
    try:
        state, _, its_group, *_ = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):  # it ended while we looked
        return False
    return int(its_group) == group and state not in "ZX"
