"""What a step may use while it runs: the other targets, the time, its last values, shared connections."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, Self, TypeVar

from runbooks.backups.backup import Catalogue, NoCatalogue
from runbooks.steps.memory import Forgetful, Memory
from runbooks.steps.step import Value
from runbooks.targets import TargetBase

T = TypeVar("T")

#: Seconds that the far ends get to say goodbye.
LONGEST_CLOSE = 5.0


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Previous:
    """The values of a step's last measurement, and when it was taken (UTC)."""

    at: datetime
    values: Mapping[str, Value]


class Connections:
    """Connections that the steps of one report share: each opened once, by the first that asks.

    Everybody who asks for a connection that could not be opened gets the same error. A step that is
    cancelled while it waits does not take the connection from the others.
    """

    def __init__(self) -> None:
        self._opening: dict[Hashable, asyncio.Task[Any]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._opening.values():
            task.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_CLOSE):
                await self._stack.aclose()

    async def get(
        self,
        key: Hashable,
        open_: Callable[[], AbstractAsyncContextManager[T]],
        lost: Callable[[T], object] = lambda _: None,
    ) -> T:
        """The connection of that key; `open_` is called only for the first who asks, and for the first who
        asks after it was `lost`: what a run has to undo then goes over another one."""
        task = self._opening.get(key)
        if task is None or (_is_open(task) and lost(task.result())):
            self._opening[key] = asyncio.create_task(self._stack.enter_async_context(open_()))
        result: T = await asyncio.shield(self._opening[key])
        return result


class Shared(Protocol):
    """What has the other targets and shared connections: a Reach, or a Call."""

    @property
    def targets(self) -> Mapping[str, TargetBase]: ...

    @property
    def connections(self) -> Connections: ...


def _is_open(task: "asyncio.Task[Any]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Handed to `measure`. `previous` is this very row's last measurement, when there was one."""

    targets: Mapping[str, TargetBase]
    connections: Connections
    now: Callable[[], datetime] = utc_now
    previous: Previous | None = None
    memory: Memory = field(default_factory=Forgetful)
    backups: Catalogue = field(default_factory=NoCatalogue)
