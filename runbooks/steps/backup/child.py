"""A program of PostgreSQL's, fed and read through pipes by threads: gigabytes do not go through the loop."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from runbooks.errors import StepError
from runbooks.visible import one_line

T = TypeVar("T")

#: Bytes of a pipe, where the system gives so many.
_PIPE = 1024 * 1024
#: Lines that are kept of what it says.
_KEPT = 40
#: Seconds that threads get to notice that their program is gone.
_NOTICE = 5.0

Reads = Callable[[BinaryIO], object]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program ended. `said`: the last lines on its standard error, without its own name before them."""

    code: int
    said: tuple[str, ...]

    def fault(self, what: str) -> str:
        """What went wrong, in one line: the first error it told of."""
        errors = [n for n, line in enumerate(self.said) if "error:" in line or "fatal" in line.casefold()]
        first = errors[0] if errors else len(self.said) - 1
        why = self.said[first].removeprefix("error: ").rstrip(".") if self.said else "it said nothing"
        for line in self.said[first + 1 :]:
            if not line.startswith(("detail:", "DETAIL:")):
                break
            why += f" ({line.partition(':')[2].strip()})"
        how = f"was ended by signal {-self.code}" if self.code < 0 else f"ended with {self.code}"
        return f"{what} {how}: {one_line(why, 400)}"


async def in_thread_of_its_own(work: Callable[[], T]) -> T:
    """What the work returns. For work that takes long: the loop's own threads are few, and others need them.

    When it is cancelled, the thread goes on until the work notices by itself.
    """
    threads = ThreadPoolExecutor(1, thread_name_prefix="backup")
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, work)
    finally:
        threads.shutdown(wait=False)


async def run_child(
    argv: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    takes: Reads | None = None,
    gives: Reads | None = None,
    hear: Callable[[str], None] = lambda _: None,
    grace: timedelta = timedelta(seconds=10),
) -> Ended:
    """Runs it to its end; `takes` is handed what it writes, `gives` what it reads, each in a thread. `hear`
    is told each line of its standard error.

    Raises StepError when it cannot be run, and what `takes` or `gives` raise. Cancelled, it ends the program
    and all that it started before it raises.
    """
    ends: list[int] = []
    work: list[Callable[[], object]] = []
    streams = {"stdin": asyncio.subprocess.DEVNULL, "stdout": asyncio.subprocess.DEVNULL}
    if gives is not None:
        theirs, ours = _pipe()
        ends.append(theirs)
        streams["stdin"] = theirs
        work.append(partial(_give, ours, gives))
    if takes is not None:
        ours, theirs = _pipe()
        ends.append(theirs)
        streams["stdout"] = theirs
        work.append(partial(_take, ours, takes))
    try:
        process = await _start(argv, environment, streams)
    except BaseException:
        for undo in work:
            os.close(undo.args[0])  # type: ignore[attr-defined]
        raise
    finally:
        for end in ends:
            os.close(end)
    said: list[str] = []
    tasks = [asyncio.create_task(in_thread_of_its_own(each)) for each in work]
    hearing = asyncio.create_task(_hear(process, said, hear))
    try:
        await process.wait()
        await hearing
        results = await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        await _end(process, grace)
        if tasks:
            await asyncio.wait(tasks, timeout=_NOTICE)
        raise
    finally:
        for task in (hearing, *tasks):
            task.cancel()
        await asyncio.gather(hearing, *tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    assert process.returncode is not None
    return Ended(code=process.returncode, said=tuple(said))


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with suppress(OSError, AttributeError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
    return reading, writing


def _take(reading: int, takes: Reads) -> None:
    # Whatever happens our end is closed: the program must not wait for us for ever.
    with os.fdopen(reading, "rb", 0) as file:
        takes(file)


def _give(writing: int, gives: Reads) -> None:
    # It has read enough, or failed: its exit code says which.
    with suppress(BrokenPipeError), os.fdopen(writing, "wb", 1024 * 1024) as file:
        gives(file)


async def _start(
    argv: Sequence[str | Path], environment: Mapping[str, str], streams: Mapping[str, int]
) -> asyncio.subprocess.Process:
    # Nothing of Maint's own environment: tokens and database passwords are in it.
    own = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")}
    try:
        return await asyncio.create_subprocess_exec(
            *map(str, argv),
            **streams,  # type: ignore[arg-type]
            stderr=asyncio.subprocess.PIPE,
            env={**own, **environment},
            start_new_session=True,
        )
    except OSError as error:
        raise StepError(f"{argv[0]} cannot be run: {error.strerror}") from error


async def _hear(process: asyncio.subprocess.Process, said: list[str], hear: Callable[[str], None]) -> None:
    assert process.stderr is not None
    while line := await _line(process.stderr):
        text = line.decode(errors="replace").strip()
        _, found, rest = text.partition(": ")
        text = rest if found else text
        said.append(one_line(text, 1000))
        # The first error says why, the last lines what came of it.
        del said[_KEPT // 2 : -_KEPT // 2]
        hear(text)


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than any line that matters
        return b"(a very long line)\n"


async def _end(process: asyncio.subprocess.Process, grace: timedelta) -> None:
    """Ends it and all that it started; who cancels us again meanwhile does not hurry it."""
    ending = asyncio.create_task(_signal(process, grace))
    while not ending.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({ending})


async def _signal(process: asyncio.subprocess.Process, grace: timedelta) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), grace.total_seconds())
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
