"""What a command is, who asks for it, and what it may use."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from commands.needs import Needs
from commands.reply import Reply
from commands.runs_facade import Runs
from commands.silencer import NoSilences, Silencer
from runbooks.access import Access, Place
from runbooks.engine.checks import CheckRunner
from runbooks.errors import Refused
from runbooks.proof.proof import Proof
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.spec.runbook import Runbook
from runbooks.steps.reach import utc_now
from runbooks.targets import TargetBase
from runbooks.watch.alerts import Alerts
from runbooks.watch.rotations import Rotation


class ActorKind(StrEnum):
    """Where a person was identified."""

    SLACK = "slack"
    TERMINAL = "terminal"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who asks: the name is the one they had at the time.

    `acts_as` is the Slack user that somebody at the terminal is, as `logins:` in maint.yaml says.
    """

    kind: ActorKind
    id: str
    name: str
    team: str = ""
    acts_as: str = ""


#: Which of these (roles, user ids, usergroups, e-mails) the person holds at this moment. Raises Refused, with
#: the reason, when that cannot be found out.
Holds = Callable[[Iterable[str]], Awaitable[frozenset[str]]]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What somebody else may do at this moment, as far as it could be looked up.

    `unknown`: memberships that could not be; `refusal`: why Maint answers them nothing at all.
    """

    name: str
    access: Access
    unknown: tuple[str, ...] = ()
    refusal: str = ""


#: Looks somebody up: by Slack id, at the terminal also by login name. Raises UsageError for other words.
LookUp = Callable[[str], Awaitable[Looked]]


async def knows_nobody(name: str) -> Looked:
    """For requests whose person is nobody to us."""
    raise Refused(f"Nobody can be looked up here, so neither can {name}.")


async def holds_nothing(_: Iterable[str]) -> frozenset[str]:
    """For requests whose person is nobody to us."""
    return frozenset()


@dataclass(frozen=True, kw_only=True)
class Request:
    """One command as it was typed, and by whom and where."""

    actor: Actor
    place: Place
    access: Access
    correlation: str
    text: str
    filled: bool = False  # its words are from a form, or were asked for: they alone may hold secrets
    permalink: str = ""  # the message whose button was pressed
    timezone: str = "UTC"  # whose clock the person means, and reads
    holds: Holds = field(default=holds_nothing, repr=False, compare=False)
    look_up: LookUp = field(default=knows_nobody, repr=False, compare=False)

    @property
    def program(self) -> str:
        """What people type before a command's word where they are."""
        return "/maint" if self.actor.kind is ActorKind.SLACK else "maint"

    @property
    def by(self) -> Person:
        """The same person in Slack and at the terminal, where `logins:` says so: four eyes count people."""
        actor = self.actor
        return Person(
            kind=actor.kind.value,
            id=actor.acts_as or actor.id,
            name=actor.name,
            team=actor.team,
            message=self.permalink,
        )


@dataclass(frozen=True, kw_only=True)
class Services:
    """What commands may use. Made once by the composition root. `channels`: maint.yaml's names to ids.
    `unfit`: runbooks that cannot be run with these settings, and why."""

    targets: Mapping[str, TargetBase]
    runbooks: Mapping[str, Runbook]
    checks: CheckRunner
    commands: Mapping[str, "Command"]
    runs: Runs
    alerts: Alerts
    records: Records = field(repr=False)
    proof: Proof = field(repr=False)
    channels: Mapping[str, str] = field(default_factory=dict)
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    unfit: Mapping[str, str] = field(default_factory=dict)
    silencer: Silencer = field(default_factory=NoSilences)
    now: Callable[[], datetime] = utc_now
    timezone: str = "UTC"  # whose morning "tomorrow" means
    charts: bool = False  # pictures can be drawn here


Progress = Callable[[Reply], None]


class Group(StrEnum):
    """Where a command stands in the list of commands."""

    LOOK = "Look"
    RUN = "Run"
    DECIDE = "Decide"
    EMERGENCY = "In an emergency"
    ABOUT = "About Maint"


class Command(Protocol):
    """One word that people type after `/maint`. One file, and one line in `commands.COMMANDS`."""

    word: str
    summary: str  # one line, for the list of commands
    usage: str  # what may follow the word: "[target …]"
    about: str  # a paragraph, for `/maint help WORD`
    examples: tuple[tuple[str, str], ...]  # what to type, and what it does
    needs: Needs
    instant: bool = False  # answers from memory, without asking any system
    starts_runs: bool = False  # the terminal follows what it started
    group: Group = Group.LOOK

    @property
    def everyone(self) -> bool:
        """Whether it needs no grant: it shows the asker's own, or asks for a right at every run."""
        return self.needs in (Needs.BUSINESS, Needs.NOTHING)

    @property
    def by_runbook(self) -> bool:
        """Whether it is granted with any runbook (`runbooks:` of a grant), not as a word."""
        return self.needs is Needs.RUNBOOK

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """The targets that the words name, to be allowed before anything is done; none where it is a run, or
        a question of one, that says whose business it is. Raises UsageError when the words do not fit."""
        return ()

    def hidden(self, words: tuple[str, ...], services: Services) -> tuple[str, ...]:
        """The words, or parts of them, that must not stand in the audit log: values of secret parameters."""
        return ()

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Does it. `progress` shows an unfinished reply in the meantime, as often as it likes."""
        ...


def may_use(access: Access, command: Command) -> bool:
    """Whether the command is open to the person, here; what it is used on may still be refused."""
    if command.needs is Needs.NOTHING:
        return True  # who may do nothing else can see that, and why
    if access.denial(command.word):
        return False
    if command.everyone or access.may_use(command.word):
        return True
    return command.by_runbook and access.may_run_any
