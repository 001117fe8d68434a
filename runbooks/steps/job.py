"""A program that an action runs on a machine: what is run, and what is watched while it does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol


class Stream(Protocol):
    """What a program writes."""

    async def read(self, n: int = -1) -> bytes:
        """Up to n bytes; none at the end."""
        ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be run. A `script` is handed to the program as a file, whose name is its last argument.

    `longest`: when another machine ends it by itself, if it does not hear of us any more.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: str | None = None
    stdin: str = field(default="", repr=False)
    script: str | None = field(default=None, repr=False)
    grace: timedelta
    longest: timedelta


class Process(Protocol):
    """A program that was prepared on a machine."""

    stdout: Stream
    stderr: Stream

    async def start(self) -> None:
        """Lets it run. Raises StepError when it certainly does not; Doubtful when nobody knows."""
        ...

    async def write(self) -> None:
        """Gives it what it is to read."""
        ...

    async def wait(self) -> int | None:
        """Its exit code when it is over, or minus the number of the signal that ended it; None when the
        machine was lost."""
        ...

    async def end(self, grace: timedelta) -> bool:
        """Asks it and all that it started to end (SIGTERM), kills what is left after `grace`, and says
        whether all of it is certainly gone."""
        ...
