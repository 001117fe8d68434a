"""What one person may do at this moment, at one place, and which line of maint.yaml says so."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from runbooks.access.grants import (
    AT_TERMINAL,
    DIRECT,
    TERMINAL,
    Approval,
    Grant,
    TerminalGrant,
    matches,
)
from runbooks.access.touch import Touch

#: What gives everything at the terminal where maint.yaml says nothing of it.
OWNER = "being the owner of maint.yaml"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a request came from: the channel's id, its name in Slack, and its names in maint.yaml."""

    id: str
    name: str = ""
    aliases: frozenset[str] = frozenset()
    direct: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether it is allowed, by which grant it is allowed or denied, and else what is missing, in words.

    `approval`: whose yes it takes before.
    """

    allowed: bool
    grant: Grant | None = None
    approval: Approval | None = None
    missing: tuple[str, ...] = field(default=())

    @property
    def denied(self) -> bool:
        """Whether a grant says no; else none says yes."""
        return not self.allowed and self.grant is not None


def holds_at(grant: Grant, place: Place) -> bool:
    """Whether the grant holds for what is asked from there."""
    if place.direct:
        return DIRECT in grant.channels or (grant.deny and "*" in grant.channels)
    return any(matches(grant.channels, name) for name in {place.id, *place.aliases})


class Access:
    """The grants of one person, as their roles are at this moment. A denial wins over every grant."""

    def __init__(self, roles: frozenset[str], grants: tuple[Grant, ...], place: Place) -> None:
        self.roles = roles
        self.place = place
        self.all = grants
        self._mine = tuple(grant for grant in grants if grant.role in roles)
        self._here = tuple(grant for grant in self._mine if holds_at(grant, place))

    @property
    def grants(self) -> tuple[Grant, ...]:
        """What the person was granted or denied, anywhere."""
        return self._mine

    def elsewhere(self, place: Place) -> "Access":
        """The same person at another place."""
        return Access(self.roles, self.all, place)

    def denial(self, command: str) -> Grant | None:
        """What denies the command here, whatever it is used on."""
        return _first(
            grant for grant in self._here if grant.deny and grant.whole and grant.names_command(command)
        )

    def runbook_denial(self, runbook: str) -> Grant | None:
        """What denies the runbook here, on whatever target."""
        return _first(
            grant for grant in self._here if grant.deny and grant.whole and grant.names_runbook(runbook)
        )

    def may_use(self, command: str) -> bool:
        """Whether the command is granted here, on at least one target."""
        granted = any(not grant.deny and grant.names_command(command) for grant in self._here)
        return granted and self.denial(command) is None

    def may_use_elsewhere(self, command: str) -> bool:
        """Whether the command is granted in some channel."""
        return any(not grant.deny and grant.names_command(command) for grant in self._mine)

    def sees(self, environment: str, target: str) -> bool:
        """Whether something is granted here on that target, so that its name may be told."""
        touch = Touch(target=target, environment=environment)
        return any(not grant.deny and not grant.lacks(touch) for grant in self._here)

    def judge_command(self, command: str, touches: Iterable[Touch]) -> Verdict:
        """Whether one grant allows the command here, on all of these."""
        return _judge([grant for grant in self._here if grant.names_command(command)], touches)

    def may_touch(self, command: str, environment: str, target: str = "") -> bool:
        """Whether the command is granted here, on that target of that environment; without both, on all."""
        return self.judge_command(command, [Touch(target=target, environment=environment)]).allowed

    def may_run(self, runbook: str, touches: Iterable[Touch]) -> Verdict:
        """Whether one grant allows the runbook here, on all of these."""
        return _judge([grant for grant in self._here if grant.names_runbook(runbook)], touches)

    def may_run_somewhere(self, runbook: str) -> bool:
        """Whether the runbook is granted here, on at least one target."""
        granted = any(not grant.deny and grant.names_runbook(runbook) for grant in self._here)
        return granted and self.runbook_denial(runbook) is None

    def may_run_elsewhere(self, runbook: str) -> bool:
        """Whether the runbook is granted in some channel."""
        return any(not grant.deny and grant.names_runbook(runbook) for grant in self._mine)

    @property
    def may_run_any(self) -> bool:
        """Whether some runbook is granted here."""
        granted = any(not grant.deny and grant.runbooks for grant in self._here)
        denied = any(grant.deny and grant.whole and "*" in grant.runbooks for grant in self._here)
        return granted and not denied

    def roles_granted(self, word: str, touches: Iterable[Touch]) -> frozenset[str]:
        """The roles that are granted this very word here, on all of these, whoever has them; `*` does not
        count. None where it is denied to this person."""
        needed = tuple(touches)
        if any(_denies(grant, needed) for grant in self._here if grant.names_command(word)):
            return frozenset()
        return frozenset(
            grant.role
            for grant in self.all
            if not grant.deny
            and grant.names_command(word)
            and holds_at(grant, self.place)
            and not any(grant.lacks(touch) for touch in needed)
        )


def _judge(about: Iterable[Grant], touches: Iterable[Touch]) -> Verdict:
    """What these grants come to, all of which are about it, and hold here."""
    about, needed = tuple(about), tuple(touches)
    denial = _first(grant for grant in about if _denies(grant, needed))
    if denial is not None:
        return Verdict(allowed=False, grant=denial, missing=(f"{denial.place} denies it",))
    missing: list[str] = []
    allowing: list[Grant] = []
    for grant in about:
        if grant.deny:
            continue
        lacking = sorted({lack for touch in needed if (lack := grant.lacks(touch))})
        if lacking:
            missing.append(f"{grant.place} allows it {'; '.join(lacking)}")
        else:
            allowing.append(grant)
    # Where one grant asks for nobody's yes, nobody's is needed.
    plain = _first(grant for grant in allowing if grant.approval is None)
    best = plain or _first(allowing)
    if best is None:
        return Verdict(allowed=False, missing=tuple(missing))
    return Verdict(allowed=True, grant=best, approval=best.approval)


def _denies(grant: Grant, touches: tuple[Touch, ...]) -> bool:
    return grant.deny and (grant.whole or any(grant.denies(touch) for touch in touches))


def _first(grants: Iterable[Grant]) -> Grant | None:
    return next(iter(grants), None)


def terminal_access(
    login: str, own: Iterable[TerminalGrant] | None, *, owner: bool, others: tuple[Grant, ...] = ()
) -> Access:
    """What somebody may do at the terminal: by `terminal:` in maint.yaml, and where that says nothing, its
    owner everything. `others`: the grants of roles, of which only breaking the glass counts there."""
    mine = [each.grant() for each in own or () if {login, "*"} & set(each.users)]
    if own is None and owner:
        everything = Grant(role=AT_TERMINAL, commands=("*",), runbooks=("*",), channels=(TERMINAL,))
        mine = [everything.model_copy(update={"written_at": OWNER})]
    return Access(frozenset({AT_TERMINAL}), (*mine, *others), Place(id=TERMINAL))
