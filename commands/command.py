"""What a command is, who asks for it, and what it may use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from commands.reply import Reply
from runbooks.access import Access, Place
from runbooks.engine.checks import CheckRunner
from runbooks.spec.runbook import Runbook
from runbooks.targets import TargetBase


class ActorKind(StrEnum):
    """Where a person was identified."""

    SLACK = "slack"
    TERMINAL = "terminal"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who asks: the name is the one they had at the time."""

    kind: ActorKind
    id: str
    name: str
    team: str = ""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One command as it was typed, and by whom and where."""

    actor: Actor
    place: Place
    access: Access
    correlation: str
    text: str

    @property
    def program(self) -> str:
        """What people type before a command's word where they are."""
        return "/maint" if self.actor.kind is ActorKind.SLACK else "maint"


@dataclass(frozen=True, kw_only=True)
class Services:
    """What commands may use. Made once by the composition root."""

    targets: Mapping[str, TargetBase]
    runbooks: Mapping[str, Runbook]
    checks: CheckRunner
    commands: Mapping[str, "Command"]


Progress = Callable[[Reply], None]


class Command(Protocol):
    """One word that people type after `/maint`. One file, and one line in `commands.COMMANDS`."""

    word: str
    summary: str  # one line, for the list of commands
    usage: str  # what may follow the word: "[target …]"
    about: str  # a paragraph, for `/maint help WORD`
    examples: tuple[tuple[str, str], ...]  # what to type, and what it does
    everyone: bool  # touches no system and shows no more than the asker's own rights: needs no grant
    instant: bool  # answers from memory, without asking any system

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """The targets that the words name. Raises UsageError when the words do not fit."""
        ...

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Does it. `progress` shows an unfinished reply in the meantime, as often as it likes."""
        ...
