"""What maint.yaml says of who may do what: roles, grants, refusals, and whose yes it takes beside."""

import re
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from runbooks.access.touch import Touch
from runbooks.spec.model import Duration, Spec, parse_duration, show_duration, up_to
from runbooks.steps.action import Risk
from runbooks.steps.holders import Holder, listed

#: The channel of a direct message with the bot; only a grant that names it allows it.
DIRECT = "direct"
#: Where somebody types `maint`, and the role of everybody there, which nobody can name in maint.yaml.
TERMINAL = "terminal"
AT_TERMINAL = "(terminal)"
#: Approving alone what others should approve. Only a grant that says this very word gives it: no `*` does.
BREAK_GLASS = "break-glass"
#: All there is.
ALL = "*"

_MEMBER = re.compile(r"[UWS][A-Z0-9]+|@[\w.-]+|[^\s@]+@[^\s@]+")
_USER = re.compile(r"\*|uid \d+|[^\s@*]+")
_RISKS = tuple(Risk)


def _member(value: str) -> str:
    if not _MEMBER.fullmatch(value):
        raise ValueError("a member is a user id (U…), a usergroup (@handle or S…) or an e-mail address")
    return value


def _user(value: str) -> str:
    if not _USER.fullmatch(value):
        raise ValueError(
            "a user is a login name of this machine, as `id -un` prints it, or '*' for everybody"
        )
    return value


class Role(Spec):
    """People by Slack user id (`U…`, `W…`), usergroup (`@handle` or `S…`) or e-mail."""

    members: tuple[Annotated[str, AfterValidator(_member)], ...] = Field(strict=False, min_length=1)


class Approval(Spec):
    """Whose yes a run takes before its first step: so many different people of these, never who asked."""

    by: tuple[Holder, ...] = Field(strict=False, min_length=1)
    people: int = Field(default=1, ge=1, le=20)
    expires: Annotated[Duration, up_to("30d")] = parse_duration("4h")

    def words(self) -> str:
        """`after 2 of sre or dba approved it`."""
        return f"after {self.people} of {listed(self.by)} approved it"


class Permission(Spec):
    """What is granted, whoever to. Names may end in `*`.

    `risk` is the highest risk of a step that is granted; where it is denied, the lowest that is, and without
    one everything is. `written_at` is its place: `maint.yaml:12`.
    """

    filled: ClassVar[tuple[str, ...]] = ("written_at",)

    commands: tuple[str, ...] = Field(default=(), strict=False)
    runbooks: tuple[str, ...] = Field(default=(), strict=False)
    environments: tuple[str, ...] = Field(default=(ALL,), strict=False)
    targets: tuple[str, ...] = Field(default=(ALL,), strict=False)
    risk: Annotated[Risk, Field(strict=False)] | None = None
    deny: bool = False
    approval: Approval | None = None
    written_at: str = ""

    def names_command(self, word: str) -> bool:
        """Whether it is about that command; breaking the glass is granted by its very word only."""
        if word == BREAK_GLASS and not self.deny:
            return word in self.commands
        return matches(self.commands, word)

    def names_runbook(self, name: str) -> bool:
        """Whether it is about that runbook."""
        return matches(self.runbooks, name)

    @property
    def whole(self) -> bool:
        """Whether it holds for every target, at any risk: also for what touches nothing."""
        all_risks = self.risk in (None, Risk.READ) if self.deny else self.risk in (None, Risk.HIGH)
        return ALL in self.environments and ALL in self.targets and all_risks

    def lacks(self, touch: Touch) -> str:
        """Why it does not allow that, in words; empty when it does."""
        if touch.somewhere:
            where = touch.target or "a target that is not known"
            if not matches(self.environments, touch.environment):
                environment = f" in {touch.environment}" if touch.environment else ""
                return f"not on {where}{environment}, only in {listed(self.environments, 'and')}"
            if not matches(self.targets, touch.target):
                return f"not on {where}, only on {listed(self.targets, 'and')}"
        if _rank(touch.risk) > _rank(self.risk or Risk.HIGH):
            return f"not at risk {touch.risk}, only up to {self.risk}"
        return ""

    def denies(self, touch: Touch) -> bool:
        """Whether it refuses that. What is not known may be what is denied."""
        if self.risk is not None and _rank(touch.risk) < _rank(self.risk):
            return False
        if not touch.somewhere:
            return ALL in self.environments and ALL in self.targets
        return (not touch.environment or matches(self.environments, touch.environment)) and (
            not touch.target or matches(self.targets, touch.target)
        )

    @property
    def place(self) -> str:
        """Which one it is, for people: `maint.yaml:12`."""
        return self.written_at or "a grant"

    def what(self) -> str:
        """`health, runbook deploy`."""
        return ", ".join([*self.commands, *(f"runbook {name}" for name in self.runbooks)])

    def limits(self) -> str:
        """`any environment; only db; up to risk low`."""
        anywhere = ALL in self.environments
        parts = ["any environment" if anywhere else ", ".join(self.environments)]
        if ALL not in self.targets:
            parts.append(f"only {', '.join(self.targets)}")
        if self.risk is not None:
            parts.append(f"from risk {self.risk} on" if self.deny else f"up to risk {self.risk}")
        return "; ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """As people write it, without what is the default."""
        kept = self.model_dump(mode="json", exclude={"approval"}, exclude_none=True)
        return {**kept, "approval": as_json(self.approval)} if self.approval else kept


class Grant(Permission):
    """A role may do these things from these channels, or may not.

    `channels: ['*']` is every channel, but no direct message; where Maint is not in the channel it answers
    privately. What is denied everywhere is denied in direct messages too.
    """

    role: str
    channels: tuple[str, ...] = Field(default=(ALL,), strict=False)


class TerminalGrant(Permission):
    """Login names of this machine may do these things at the terminal, or may not; `*` is everybody."""

    users: tuple[Annotated[str, AfterValidator(_user)], ...] = Field(strict=False, min_length=1)

    def grant(self) -> Grant:
        """The same for whoever it is about."""
        said = {name: getattr(self, name) for name in Permission.model_fields}
        return Grant(role=AT_TERMINAL, channels=(TERMINAL,), **said)


def as_json(approval: Approval) -> dict[str, Any]:
    """What a plan keeps of it."""
    return {
        "by": list(approval.by),
        "people": approval.people,
        "expires": show_duration(timedelta(seconds=approval.expires.total_seconds())),
    }


def matches(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the patterns fits the name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _rank(risk: Risk) -> int:
    return _RISKS.index(risk)
