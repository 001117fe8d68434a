"""What happened in the workspace, in order, for whoever wants to hear of it."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar

Found = TypeVar("Found")

KEPT = 100_000  # changes; a demo may run for days


class Kind(StrEnum):
    """What changed."""

    POSTED = "posted"
    UPDATED = "updated"
    DELETED = "deleted"
    REACTED = "reacted"
    CHANNEL = "channel"
    VIEW = "view"  # opened, pushed, updated or published
    VIEW_CLOSED = "view_closed"
    FILE = "file"
    DELIVERED = "delivered"
    READ = "read"  # a member has read a channel; seen on the page only
    CONNECTION = "connection"
    PROTOCOL = "protocol"  # one line of the protocol: a request, an answer, an envelope


@dataclass(frozen=True)
class Change:
    """One change. `subject` is the Message, View, File, Channel, Delivery or protocol line that changed.

    `number` counts from 1, without gaps.
    """

    kind: Kind
    subject: Any
    number: int
    time: float = field(default_factory=time.time)


class Feed:
    """The changes so far, and those to come."""

    def __init__(self) -> None:
        self.history: deque[Change] = deque(maxlen=KEPT)
        self.count = 0
        self._listeners: set[asyncio.Queue[Change]] = set()

    def publish(self, kind: Kind, subject: Any) -> None:
        """Tells everybody who listens."""
        self.count += 1
        change = Change(kind, subject, self.count)
        self.history.append(change)
        for queue in self._listeners:
            queue.put_nowait(change)

    def since(self, number: int) -> list[Change] | None:
        """The changes after that one, oldest first. None: some of them are not kept any more."""
        forgotten = self.count - len(self.history)
        if not forgotten <= number <= self.count:
            return None
        return list(islice(self.history, number - forgotten, None))

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Change]]:
        """All changes from now on, until the end of the block."""
        queue: asyncio.Queue[Change] = asyncio.Queue()
        self._listeners.add(queue)

        async def changes() -> AsyncIterator[Change]:
            while True:
                yield await queue.get()

        try:
            yield changes()
        finally:
            self._listeners.discard(queue)

    async def wait_for(self, find: Callable[[], Found | None], timeout: float) -> Found:
        """What `find` returns when that is true for the first time; looks again after each change.

        Raises TimeoutError, with the last changes, after `timeout` seconds.
        """
        with self.subscribe() as changes:
            try:
                async with asyncio.timeout(timeout):
                    found = find()
                    while not found:
                        await anext(changes)
                        found = find()
                    return found
            except TimeoutError:
                last = ", ".join(f"{change.kind} {change.subject}" for change in self._telling())
                raise TimeoutError(
                    f"not seen within {timeout} s; the last changes: {last or 'none'}"
                ) from None

    def _telling(self) -> list[Change]:
        return [change for change in self.history if change.kind is not Kind.PROTOCOL][-5:]
