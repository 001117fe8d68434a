"""Who hears of trouble, and who next: policies and routes, as maint.yaml and the defaults say them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from runbooks.spec.conditions import When
from runbooks.spec.model import Duration, Name, Spec, Timezone, parse_duration, show_duration, up_to
from runbooks.steps.holders import check_holder
from runbooks.watch.hours import parse_hours

#: How somebody is told: in the channel, or in a direct message. Everything else is a service's name.
MENTION, DIRECT = "mention", "dm"
#: Every service that wakes people up.
PAGE = "page"
#: From the mildest to the worst.
SEVERITIES = ("info", "warning", "critical")
#: Levels of a policy; nobody reads what a longer ladder would do.
MOST_LEVELS = 10
_LONGEST = timedelta(days=30)

Severity = Literal["critical", "warning", "info"]
_ON_CALL = re.compile(r"(?P<service>[a-z][a-z0-9-]*):(?P<schedule>\S+)")


def on_call_at(who: str) -> tuple[str, str] | None:
    """The service and the schedule of `pagerduty:PABC123`; None for everybody else."""
    found = _ON_CALL.fullmatch(who)
    return (found["service"], found["schedule"]) if found else None


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _who(value: str) -> str:
    # What has no colon is a holder; `pagerduty:PABC123` asks a service at that moment.
    if on_call_at(value) is None:
        try:
            check_holder(value)
        except ValueError:
            raise ValueError(
                "name a rotation or a role of maint.yaml, a user id (U…), a usergroup (@handle or S…), an "
                "e-mail address, or who is on call elsewhere (pagerduty:SCHEDULE)"
            ) from None
    return value


def _after(value: timedelta) -> timedelta:
    if value > _LONGEST:
        raise ValueError("nobody waits longer than 30d")
    return value


def _hours(value: str) -> str:
    parse_hours(value)
    return value


#: A rotation or role, a person, a usergroup, or `SERVICE:SCHEDULE`: who is on call there at that moment.
Who = Annotated[str, AfterValidator(_who)]
_Globs = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(strict=False)]


class Level(Spec):
    """One step of a ladder: who is told, how, how long after the beginning of the round, in what words."""

    who: Annotated[tuple[Who, ...], BeforeValidator(_one_or_more), Field(strict=False, min_length=1)]
    by: Annotated[tuple[Name, ...], BeforeValidator(_one_or_more), Field(strict=False, min_length=1)] = (
        MENTION,
    )
    after: Annotated[Duration, AfterValidator(_after)] = timedelta(0)
    note: str = Field(default="", max_length=500)


class Policy(Spec):
    """A ladder. After the last level it begins anew `repeat` times, each `every` after the last level."""

    levels: tuple[Level, ...] = Field(strict=False, min_length=1, max_length=MOST_LEVELS)
    repeat: int = Field(default=0, ge=0, le=20)
    every: Annotated[Duration, up_to("7d")] = parse_duration("1h")

    @model_validator(mode="after")
    def _rises(self) -> "Policy":
        for lower, upper in pairwise(self.levels):
            if upper.after < lower.after:
                raise ValueError(
                    f"after: each time is counted from the beginning, and {show_duration(upper.after)} "
                    f"comes after {show_duration(lower.after)}"
                )
        return self

    def gaps(self) -> tuple[timedelta, ...]:
        """How long each level comes after the one before it; the first after the beginning of its round."""
        delays = [level.after for level in self.levels]
        return tuple(later - earlier for earlier, later in zip([timedelta(0), *delays], delays, strict=False))


class Route(Spec):
    """Which trouble goes where. Everything that is said must fit; `*` in a name stands for anything."""

    severity: Annotated[tuple[Severity, ...], BeforeValidator(_one_or_more), Field(strict=False)] = ()
    source: _Globs = ()
    runbook: _Globs = ()
    step: _Globs = ()
    target: _Globs = ()
    environment: _Globs = ()
    owner: _Globs = ()
    labels: dict[str, str] = Field(default_factory=dict)
    value: When | None = None
    hours: Annotated[str, AfterValidator(_hours)] | None = None
    timezone: Timezone = "UTC"
    policy: Name | None = None
    channel: Name | None = None

    @model_validator(mode="after")
    def _leads_somewhere(self) -> "Route":
        if self.policy is None and self.channel is None:
            raise ValueError("a route leads to a `policy:`, a `channel:`, or both")
        return self

    def fits(self, trouble: "Trouble", at: datetime) -> bool:
        """Whether that trouble goes this way at that moment."""
        named = (
            (self.severity, trouble.severity),
            (self.source, trouble.source),
            (self.runbook, trouble.runbook),
            (self.step, trouble.step),
            (self.target, trouble.target),
            (self.environment, trouble.environment),
            (self.owner, trouble.owner),
        )
        if not all(_among(value, patterns) for patterns, value in named if patterns):
            return False
        if not all(_among(trouble.labels.get(name, ""), (glob,)) for name, glob in self.labels.items()):
            return False
        if self.value is not None and (trouble.value is None or not self.value.fits(trouble.value)):
            return False
        return self.hours is None or parse_hours(self.hours).hold(at, ZoneInfo(self.timezone))


class Escalation(Spec):
    """Policies and routes: a file of defaults, or a part of maint.yaml."""

    policies: dict[Name, Policy] = Field(default_factory=dict)
    routes: tuple[Route, ...] = Field(default=(), strict=False)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What is known of an alert, as far as it decides who hears of it."""

    severity: str
    source: str = ""
    runbook: str = ""
    step: str = ""
    target: str = ""
    environment: str = ""
    owner: str = ""
    value: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)  # of the check that found it


@dataclass(frozen=True, kw_only=True)
class Way:
    """Where trouble goes. Empty: to nobody in particular; to the channel that it has anyway. `ladder` is the
    policy itself."""

    policy: str = ""
    channel: str = ""
    ladder: Policy | None = None


#: The ladder that a runbook itself has for trouble of its own, and its name.
Own = Callable[[Trouble], tuple[str, Policy] | None]


def _no_own(_: Trouble) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Router:
    """The routes of maint.yaml; for what none of them says what the runbook says; then those that ship."""

    policies: Mapping[str, Policy]
    routes: tuple[Route, ...]
    shipped: tuple[Route, ...] = ()
    own: Own = _no_own

    def way(self, trouble: Trouble, at: datetime) -> Way:
        """The first route that names a policy, and the first that names a channel: they may be two."""
        fitting = [route for route in self.routes if route.fits(trouble, at)]
        behind = [route for route in self.shipped if route.fits(trouble, at)]
        channel = next((route.channel for route in (*fitting, *behind) if route.channel), "")
        name = next((route.policy for route in fitting if route.policy), "")
        if not name and (own := self.own(trouble)):
            return Way(policy=own[0], channel=channel, ladder=own[1])
        name = name or next((route.policy for route in behind if route.policy), "")
        return Way(policy=name, channel=channel, ladder=self.policies.get(name))


def make_router(own: Escalation, shipped: Escalation, of_runbooks: Own = _no_own) -> Router:
    """What maint.yaml says comes first; a policy of the same name replaces the one that ships."""
    policies = {**shipped.policies, **own.policies}
    return Router(policies=policies, routes=own.routes, shipped=shipped.routes, own=of_runbooks)


def is_worse(severity: str, than: str) -> bool:
    """Whether it is worse; a word that nobody knows is milder than all."""
    rank = {name: number for number, name in enumerate(SEVERITIES)}
    return rank.get(severity, -1) > rank.get(than, -1)


def _among(value: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)
