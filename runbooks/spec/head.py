"""What a runbook file says beside its steps: what it is for, when it runs, and who hears of trouble."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from runbooks.spec.model import (
    Duration,
    Name,
    Spec,
    Timezone,
    at_least,
    parse_duration,
    show_duration,
    up_to,
)
from runbooks.spec.params import Param
from runbooks.spec.when import cron_of_fields, cron_of_words
from runbooks.spec.window import Window
from runbooks.steps.holders import Holder

_PARAM_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def _words(value: str) -> str:
    cron_of_words(value)
    return value


class Schedule(Spec):
    """When the runbook runs by itself, and what is told where: at `cron` times, `on` days in words, or
    `every` so often."""

    cron: Annotated[str, AfterValidator(cron_of_fields)] | None = None
    on: Annotated[str, AfterValidator(_words)] | None = None
    every: Annotated[Duration, at_least("1s"), up_to("366d")] | None = None
    timezone: Timezone = "UTC"
    report: Literal["none", "digest", "changes", "weekly"] = "none"
    grace: Annotated[Duration, at_least("1m"), up_to("24h")] = parse_duration("15m")
    channel: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    missed: Literal["skip", "latest", "all"] = "latest"
    overlap: Literal["skip", "queue"] = "skip"
    jitter: Annotated[Duration, up_to("1h")] | None = None

    @model_validator(mode="after")
    def _one_rhythm(self) -> "Schedule":
        if sum(each is not None for each in (self.cron, self.on, self.every)) != 1:
            raise ValueError("a schedule has one of `cron:`, `on:` and `every:`")
        if self.every is not None and self.timezone != "UTC":
            raise ValueError("`every:` knows no time zone: it is counted from 1970-01-01 00:00 UTC")
        if self.every is not None and self.jitter is not None and self.jitter >= self.every:
            raise ValueError("`jitter:` must be shorter than `every:`, or the next time would come first")
        return self

    @property
    def expression(self) -> str:
        """What `cron` or `on` mean, for `local_times`; empty for `every`."""
        return self.cron or (cron_of_words(self.on) if self.on else "")

    @property
    def words(self) -> str:
        """What people wrote: `first Monday of the month 10:00 Europe/Berlin`."""
        if self.every is not None:
            return f"every {show_duration(self.every)}"
        return f"{self.on or self.cron} {self.timezone}"


class Flapping(Spec):
    """So many changes within that time are told as flapping."""

    changes: int = Field(default=5, ge=3, le=50)
    within: Annotated[Duration, up_to("24h")] = parse_duration("20m")


class AlertRules(Spec):
    """When the runbook's checks open alerts, and where. `for_` is for checks without their own."""

    for_: Annotated[Duration, up_to("24h")] | None = Field(default=None, alias="for")
    clear: Annotated[Duration, up_to("24h")] | None = None
    flapping: Flapping = Field(default_factory=Flapping)
    channel: str = ""


class Remedy(Spec):
    """A runbook that may help against an alert: a button on its card. Of no `steps`, for all of them."""

    runbook: str
    params: dict[str, str] = Field(default_factory=dict)
    steps: tuple[str, ...] = Field(default=(), strict=False)


def _name_or_map(value: Any) -> Any:
    return {"runbook": value} if isinstance(value, str) else value


class Escalation(Spec):
    """Who hears of an alert of its checks, in place of the policies that ship. All of `when` must hold:
    `status`, `step`, and conditions on that step's outputs."""

    when: dict[str, Any] = Field(min_length=1)
    to: Holder
    after: Annotated[Duration, up_to("30d")] = timedelta(0)
    page: bool = False
    note: str = ""


def _param_name(value: str) -> str:
    if not _PARAM_NAME.fullmatch(value):
        raise ValueError("a parameter is small letters, digits, dashes and _, and begins with a letter")
    return value


#: `version`, `new_version`: what people type before the `=`.
ParamName = Annotated[
    str,
    AfterValidator(_param_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_PARAM_NAME.pattern}$"}),
]


class Head(Spec):
    """Everything in a runbook file but its steps."""

    name: Name
    title: str
    purpose: str = ""
    owner: str = ""
    prerequisites: tuple[str, ...] = Field(default=(), strict=False)
    success_criteria: tuple[str, ...] = Field(default=(), strict=False)
    schedule: tuple[Schedule, ...] = Field(default=(), strict=False)
    #: When risky steps may begin.
    window: Window | None = None
    escalation: tuple[Escalation, ...] = Field(default=(), strict=False)
    timeout: Annotated[Duration, up_to("7d")] | None = None
    params: dict[ParamName, Param] = Field(default_factory=dict)
    #: The targets that no other run may act on meanwhile.
    locks: tuple[str, ...] = Field(default=(), strict=False)
    alerts: AlertRules = Field(default_factory=AlertRules)
    remedies: tuple[
        Annotated[Remedy, BeforeValidator(_name_or_map, json_schema_input_type=str | Remedy)], ...
    ] = Field(default=(), strict=False, max_length=5)
    #: A name from maint.yaml: where the run's card goes when it was not asked for in a channel.
    channel: str = ""
