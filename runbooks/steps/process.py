"""Carries out a job on a machine: what it prints is read as it comes, and it ends when it must."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

from runbooks.errors import StepError
from runbooks.spec.model import show_duration
from runbooks.steps.action import LONGEST_OUTPUT, Doubtful, Failed
from runbooks.steps.job import Job, Process, Stream
from runbooks.steps.machine import Machine, too_slow
from runbooks.steps.printed import Kept, KeyLines, Lines, Teller

#: Seconds in which nothing more comes after a program is over: what it left behind holds its output.
_SILENCE = 1.0
#: Seconds that what is left of its output may take, over a slow line.
_LATE_OUTPUT = 30.0

#: Looks at lines of standard output, in their order.
LookAt = Callable[[Sequence[str]], Awaitable[None]]
Find = Callable[[], Awaitable[Machine]]


class Printed:
    """What a program prints, on both streams. With `shown` false nothing of it is told or kept."""

    def __init__(self, tell: Callable[[str], None], look_at: LookAt, *, shown: bool) -> None:
        self._teller = Teller(tell)
        self._look_at = look_at
        self._shown = shown
        self._kept = Kept(LONGEST_OUTPUT)
        self._heard = 0.0
        self._looking = False
        self.last_line = ""
        self.last_error = ""

    @property
    def text(self) -> str:
        """What is kept of it."""
        return self._kept.text()

    def silent_since(self, over: float) -> float:
        """Seconds since something came, or since then."""
        return 0.0 if self._looking else asyncio.get_running_loop().time() - max(over, self._heard)

    async def read(self, stream: Stream, *, errors: bool) -> None:
        """Reads a stream to its end."""
        lines, keys = Lines(), KeyLines()
        more = True
        while more:
            data = await stream.read(64 * 1024)
            more = bool(data)
            found = lines.feed(data, last=not more)
            if found and not errors:
                self._looking = True
                await self._look_at(found)
                self._looking = False
            self._heard = asyncio.get_running_loop().time()
            self._show(found, keys.without(found), lines.drawn, errors)

    def _show(self, lines: Sequence[str], to_tell: Sequence[str], drawn: str, errors: bool) -> None:
        if not self._shown:
            return
        self._kept.add("".join(lines))
        last = next((text for line in reversed(to_tell) if (text := line.strip())), "")
        if last:
            self.last_line = last
            self.last_error = last if errors else self.last_error
        if told := drawn.strip() or last:
            self._teller.say(told)

    def close(self) -> None:
        """Tells the last line."""
        self._teller.close()


async def carry_out(find: Find, job: Job, printed: Printed, timeout: timedelta, seconds: float) -> int:
    """Runs the job to its end and gives its exit code. `seconds` is a little less than its `timeout`.

    Neither a time-out nor a cancellation leaves a program behind. Raises StepError when it did not run,
    Failed when it was ended at its time, and Doubtful when nobody knows how it stands.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout_at(deadline):
                machine = await find()
                process = await stack.enter_async_context(machine.begin(job))
        except TimeoutError as error:
            text = f"`{job.argv[0]}` was not started within {show_duration(timeout)}: nothing was done"
            raise StepError(text) from error
        stack.callback(printed.close)
        try:
            async with asyncio.timeout_at(deadline):
                code = await _watch(process, job, printed)
        except TimeoutError as error:
            raise Failed(str(too_slow(job.argv, machine.where, timeout)), printed.text) from error
        except _NotSeenToEnd as error:
            raise Doubtful(
                f"`{job.argv[0]}` on {machine.where} was told to end and then killed, but it cannot be seen"
                " that it is gone: look there before you go on",
                printed.text,
            ) from error
    if code is None:
        raise Doubtful(
            f"the ssh connection with {machine.where} was lost while `{job.argv[0]}` ran: it may have done"
            f" its work, and may run there for up to {show_duration(job.longest)}",
            printed.text,
        )
    return code


class _NotSeenToEnd(Exception):
    """It was killed, and may be there all the same."""


async def _watch(process: Process, job: Job, printed: Printed) -> int | None:
    readers: list[asyncio.Task[None]] = []
    try:
        await process.start()
        readers += [
            asyncio.create_task(printed.read(process.stdout, errors=False)),
            asyncio.create_task(printed.read(process.stderr, errors=True)),
            asyncio.create_task(process.write()),
        ]
        code = await process.wait()
        await _hear_out(readers, printed)
    except asyncio.CancelledError:
        if not await _ended(process, job):
            raise _NotSeenToEnd from None
        if readers:
            await asyncio.wait(readers, timeout=_SILENCE)  # its last words
        raise
    finally:
        for reader in readers:
            reader.cancel()
        results = await asyncio.gather(*readers, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return code


async def _hear_out(readers: Sequence[asyncio.Task[None]], printed: Printed) -> None:
    """Reads the rest of what a program said that is over; what it left behind may hold its output open."""
    clock = asyncio.get_running_loop().time
    over = clock()
    pending = {*readers}
    while pending and printed.silent_since(over) < _SILENCE and clock() - over < _LATE_OUTPUT:
        _, pending = await asyncio.wait(pending, timeout=_SILENCE)


async def _ended(process: Process, job: Job) -> bool:
    """Whether it is certainly gone; who cancels us again meanwhile does not hurry it."""
    ending = asyncio.create_task(process.end(job.grace))
    while not ending.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({ending})
    return not ending.cancelled() and ending.exception() is None and ending.result()
