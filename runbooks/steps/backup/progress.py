"""How far something is that goes on for long: bytes are counted in threads, and told by the loop."""

import asyncio
from collections.abc import Callable
from typing import Self, TypeVar

from runbooks.errors import StepError
from runbooks.steps.backup.child import in_thread_of_its_own
from runbooks.steps.units import show

T = TypeVar("T")

#: Seconds between two lines of progress.
TELL_EVERY = 1.0
#: Seconds that a thread gets to notice that nobody waits for it any more.
_NOTICE = 10.0


class Stopped(StepError):
    """Nobody waits for it any more."""


class Progress:
    """Tells a line about once a second."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._what = ""
        self._done = 0

    def begin(self, what: str) -> None:
        """What is done now, in words; the bytes of what was done before are not counted any more."""
        self._what, self._done = what, 0
        self._tell(what)

    def name(self, what: str) -> None:
        """The same in other words."""
        self._what = what

    def count(self, more: int) -> None:
        """So many bytes more. Raises Stopped when nobody waits for them: what transfers them ends then."""
        if self._over:
            raise Stopped("it was stopped")
        self._done += more

    async def work(self, blocks: Callable[[], T]) -> T:
        """What the work returns, in a thread. Cancelled, it has the work end at its next `count`, and waits
        for that a little."""
        task = asyncio.ensure_future(in_thread_of_its_own(blocks))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._over = True
            await asyncio.wait({task}, timeout=_NOTICE)
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        said = self._what
        while True:
            await asyncio.sleep(TELL_EVERY)
            line = f"{self._what}, {show(self._done, 'bytes')}" if self._done else self._what
            if line != said:
                self._tell(line)
                said = line
