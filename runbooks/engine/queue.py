"""What the engine asks of whatever carries runs on."""

from typing import Any, Protocol


class Queue(Protocol):
    """What carries segments of runs to a process that advances them."""

    def enqueue(self, connection: Any, run: str, segment: int) -> None: ...
    def nudge(self) -> None: ...
