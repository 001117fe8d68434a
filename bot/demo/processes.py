"""Programs that run as long as the demo: started, waited for, and ended whatever happens."""

import asyncio
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from runbooks.errors import MaintError

#: Seconds that a program has to answer, and to end before it is killed.
PATIENCE = 10.0

Ask = Callable[[], Awaitable[object]]


class ServiceError(MaintError):
    """A service of the demo cannot be started."""


@asynccontextmanager
async def program(log: Path, *command: str | Path, user: str | None = None) -> AsyncIterator[Process]:
    """The program with all it says in `log`, run as that user; SIGINT ends it at the end of the block."""
    file = await asyncio.to_thread(log.open, "ab")
    try:
        # A session of its own: Ctrl-C is for us, who end it when nobody uses it any more.
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=file, stderr=file, user=user, cwd="/", start_new_session=True
            )
        )
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # asyncio would kill it, and what it has started itself would go on writing its files.
            await _end(await starting)
            raise
    except OSError as error:
        raise ServiceError(f"{command[0]} cannot be started: {error}") from error
    finally:
        await asyncio.to_thread(file.close)
    try:
        yield process
    finally:
        await _end(process)


async def wait_until_up(process: Process, ask: Ask, failure: type[Exception], log: Path) -> None:
    """Returns once `ask` does not fail any more. Raises ServiceError."""
    try:
        async with asyncio.timeout(PATIENCE):
            while process.returncode is None:
                try:
                    await ask()
                except failure:
                    await asyncio.sleep(0.02)
                else:
                    return
    except TimeoutError:
        pass
    raise ServiceError(f"{log.stem} does not start. {await asyncio.to_thread(_last_line, log)}")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return f"It says: {lines[-1]}" if lines else "It says nothing."


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
