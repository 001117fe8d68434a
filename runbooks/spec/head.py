"""What a runbook file says beside its steps: what it is for, when it runs, and who hears of trouble."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from runbooks.spec.model import Duration, Name, Spec, Timezone, parse_duration, up_to
from runbooks.spec.params import Param

_PARAM_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_CRON_FIELD = re.compile(r"[0-9A-Za-z*/,-]+")


def _cron(value: str) -> str:
    fields = value.split()
    if len(fields) != 5 or not all(map(_CRON_FIELD.fullmatch, fields)):
        raise ValueError("five fields: minute, hour, day of month, month, day of week, as in '0 9 * * 1-5'")
    return value


class Schedule(Spec):
    """When the runbook runs by itself, and what is told where. At `cron` times, or `every` so often."""

    cron: Annotated[str, AfterValidator(_cron)] | None = None
    every: Annotated[Duration, up_to("366d")] | None = None
    timezone: Timezone = "UTC"
    report: Literal["digest", "changes"] = "digest"
    channel: str | None = None
    missed: Literal["skip", "latest", "all"] = "latest"
    overlap: Literal["skip", "queue"] = "skip"
    jitter: Annotated[Duration, up_to("1h")] | None = None

    @model_validator(mode="after")
    def _one_rhythm(self) -> "Schedule":
        if (self.cron is None) == (self.every is None):
            raise ValueError("a schedule has either `cron:` or `every:`")
        return self


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
    """Who hears of it, when. `when` is a condition on the report or on one step's output."""

    when: dict[str, Any] = Field(min_length=1)
    to: str
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
