"""The bytes of a file, from where it is: a program of ours writes them to its standard output, and what it
has to say to standard error. Of a file there is never more in memory than a piece."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from runbooks.errors import StepError
from runbooks.steps.action import Action, Call, Failed
from runbooks.steps.job import Stream
from runbooks.steps.machine import find_machine
from runbooks.steps.process import Printed, carry_out
from runbooks.steps.reach import Reach
from runbooks.steps.sent import job_of
from runbooks.targets import HostTarget
from runbooks.visible import one_line

#: Bytes that are handed on at a time.
PIECE = 1024 * 1024


class _Bytes(Printed):
    """Standard output is bytes, and standard error what is said."""

    def __init__(self, take: Callable[[bytes], Awaitable[object]]) -> None:
        super().__init__(lambda _: None, self._hear, shown=True)
        self._take = take
        self.failure = ""
        #: Why the bytes were not taken.
        self.fault: StepError | None = None

    async def _hear(self, lines: Sequence[str]) -> None:
        for line in lines:
            if line.startswith("F"):
                with suppress(ValueError):
                    self.failure = str(json.loads(line[1:]))

    async def read(self, stream: Stream, *, errors: bool) -> None:
        if errors:
            await super().read(stream, errors=False)
            return
        held = bytearray()
        while data := await stream.read(PIECE):
            self._heard = asyncio.get_running_loop().time()
            held += data
            if len(held) >= PIECE:
                await self._hand_on(bytes(held))
                held.clear()
        await self._hand_on(bytes(held))

    async def _hand_on(self, data: bytes) -> None:
        self._looking = True
        try:
            if self.fault is None:  # else the rest is read to the end, for the program to come to its own
                await self._take(data)
        except StepError as error:
            self.fault = error
        finally:
            self._looking = False
            self._heard = asyncio.get_running_loop().time()


async def bytes_there(
    action: Action[Any],
    target: HostTarget,
    call: Call,
    asked: Mapping[str, Any],
    take: Callable[[bytes], Awaitable[object]],
) -> None:
    """Hands on what `runbooks.steps.there.packed` writes of a file. Whether it is all of it, only a checksum
    says. Raises what `take` raises, and StepError."""
    reach = Reach(targets=call.targets, connections=call.connections, now=call.now)
    job = job_of(action, "packed", {**asked, "task": "bytes"}, there=target.ssh is not None)
    printed = _Bytes(take)
    code = await carry_out(lambda: find_machine(target, reach), job, printed, action.timeout, action.seconds)
    if printed.fault is not None:
        raise printed.fault
    if printed.failure or code:
        why = one_line(printed.failure or printed.last_line or f"it ended with {code}", 500)
        raise Failed(f"{one_line(asked['file'])} cannot be read on {target.where()}: {why}")
