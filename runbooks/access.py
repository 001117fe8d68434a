"""Who may do what: roles and grants in maint.yaml. Nothing is granted to nobody."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, Field

from runbooks.spec.model import Spec

#: The channel of a direct message with the bot; only a grant that names it allows it.
DIRECT = "direct"
#: Whoever runs `maint` at the terminal can already read its settings and its database.
TERMINAL = "terminal"
#: Approving alone what others should approve. Only a grant that says this very word gives it: no `*` does.
BREAK_GLASS = "break-glass"


_MEMBER = re.compile(r"[UWS][A-Z0-9]+|@[\w.-]+|[^\s@]+@[^\s@]+")


def _member(value: str) -> str:
    if not _MEMBER.fullmatch(value):
        raise ValueError("a member is a user id (U…), a usergroup (@handle or S…) or an e-mail address")
    return value


class Role(Spec):
    """People by Slack user id (`U…`, `W…`), usergroup (`@handle` or `S…`) or e-mail."""

    members: tuple[Annotated[str, AfterValidator(_member)], ...] = Field(strict=False, min_length=1)


class Grant(Spec):
    """A role may use these commands or runbooks, on targets of these environments, from these channels.

    Names may end in `*`. `channels: ['*']` is every channel, but no direct message; where Maint is not in the
    channel it answers privately.
    """

    role: str
    commands: tuple[str, ...] = Field(default=(), strict=False)
    runbooks: tuple[str, ...] = Field(default=(), strict=False)
    environments: tuple[str, ...] = Field(default=("*",), strict=False)
    channels: tuple[str, ...] = Field(default=("*",), strict=False)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a request came from: the channel's id, its name in Slack, and its names in maint.yaml."""

    id: str
    name: str = ""
    aliases: frozenset[str] = frozenset()
    direct: bool = False


def _allows(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _allows_place(patterns: tuple[str, ...], place: Place) -> bool:
    if place.direct:
        return DIRECT in patterns
    return any(_allows(patterns, name) for name in {place.id, *place.aliases})


class Access:
    """The grants of one person, as their roles are at this moment."""

    def __init__(self, roles: frozenset[str], grants: tuple[Grant, ...], place: Place) -> None:
        self.roles = roles
        self._place = place
        self._all = grants
        self._grants = tuple(grant for grant in grants if grant.role in roles)

    @property
    def grants(self) -> tuple[Grant, ...]:
        """What the person was granted, anywhere."""
        return self._grants

    def may_use(self, command: str) -> bool:
        """Whether the command is granted here, on targets of at least one environment."""
        return any(
            _allows(grant.commands, command) and _allows_place(grant.channels, self._place)
            for grant in self._grants
        )

    def may_use_elsewhere(self, command: str) -> bool:
        """Whether the command is granted in some channel."""
        return any(_allows(grant.commands, command) for grant in self._grants)

    def may_touch(self, command: str, environment: str) -> bool:
        """Whether the command is granted here, on targets of that environment."""
        return any(
            _allows(grant.commands, command)
            and _allows(grant.environments, environment)
            and _allows_place(grant.channels, self._place)
            for grant in self._grants
        )

    def may_run(self, runbook: str, environments: Iterable[str]) -> bool:
        """Whether one grant allows the runbook here, on targets of all these environments."""
        needed = tuple(environments)
        return any(
            all(_allows(grant.environments, environment) for environment in needed)
            for grant in self._running(runbook)
            if _allows_place(grant.channels, self._place)
        )

    def may_run_somewhere(self, runbook: str) -> bool:
        """Whether the runbook is granted here, on targets of at least one environment."""
        return any(_allows_place(grant.channels, self._place) for grant in self._running(runbook))

    def may_run_elsewhere(self, runbook: str) -> bool:
        """Whether the runbook is granted in some channel."""
        return any(self._running(runbook))

    @property
    def may_run_any(self) -> bool:
        """Whether some runbook is granted here."""
        return any(grant.runbooks and _allows_place(grant.channels, self._place) for grant in self._grants)

    def _running(self, runbook: str) -> Iterable[Grant]:
        return (grant for grant in self._grants if _allows(grant.runbooks, runbook))

    def roles_granted(self, word: str, environments: Iterable[str]) -> frozenset[str]:
        """The roles that are granted this very word here, on targets of all these environments, whoever has
        them; `*` does not count."""
        needed = tuple(environments)
        return frozenset(
            grant.role
            for grant in self._all
            if word in grant.commands
            and _allows_place(grant.channels, self._place)
            and all(_allows(grant.environments, environment) for environment in needed)
        )


def terminal_access(grants: tuple[Grant, ...] = ()) -> Access:
    """Everything: the terminal's user holds the settings and the database anyway. `grants`: maint.yaml's."""
    everything = Grant(role=TERMINAL, commands=("*",), runbooks=("*",))
    return Access(frozenset({TERMINAL}), (everything, *grants), Place(id=TERMINAL))
