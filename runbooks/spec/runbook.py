"""A runbook file: what it is for, when it runs, its steps, and who hears of trouble."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from runbooks.errors import ConfigError, Fault
from runbooks.nearest import did_you_mean, nearest
from runbooks.spec.model import Duration, Name, Spec, Timezone, up_to
from runbooks.spec.source import Document, KeyPath
from runbooks.spec.validate import validate
from runbooks.steps.step import EVERY, Check, Step
from runbooks.targets import TargetBase

#: The types of the targets that there are, by name; None for one whose own type is at fault.
TargetTypes = Mapping[str, type[TargetBase] | None]
Kinds = Mapping[str, type[Check[Any]]]

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


class Escalation(Spec):
    """Who hears of it, when. `when` is a condition on the report or on one step's output."""

    when: dict[str, Any] = Field(min_length=1)
    to: str
    page: bool = False
    note: str = ""


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


class _File(Head):
    steps: tuple[dict[str, Any], ...] = Field(strict=False, min_length=1)


class _StepHead(Spec):
    id: Name
    title: str | None = None


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often a step is tried, and how long it waits in between."""

    attempts: int
    wait: timedelta


@dataclass(frozen=True, kw_only=True)
class RunbookStep:
    """One step. `title` is the kind's own when the file gives none."""

    id: str
    title: str
    kind: str
    line: int
    fields: Mapping[str, Any]
    model: type[Step]
    sample: Step
    when: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    for_each: Any = None
    at_once: int = 1
    skippable: bool = False
    on_failure: str = "ask"
    retry: "Retry | None" = None
    rollback: "RunbookStep | None" = None
    steps: tuple["RunbookStep", ...] = ()

    @property
    def check(self) -> Check[Any]:
        """The step as a check."""
        assert isinstance(self.sample, Check)
        return self.sample


@dataclass(frozen=True, kw_only=True)
class Runbook:
    """A runbook as it was read. `digest` is the sha256 of the file's bytes."""

    name: str
    title: str
    purpose: str
    owner: str
    prerequisites: tuple[str, ...]
    success_criteria: tuple[str, ...]
    schedule: tuple[Schedule, ...]
    escalation: tuple[Escalation, ...]
    timeout: timedelta | None
    steps: tuple[RunbookStep, ...]
    path: str
    digest: str
    params: Mapping[str, Any] = field(default_factory=dict)
    locks: tuple[str, ...] = ()
    rollback: tuple[RunbookStep, ...] = ()
    channel: str = ""
    source: str = field(default="", repr=False)


def parse_runbook(document: Document, kinds: Kinds, targets: TargetTypes) -> Runbook:
    """The runbook in a document; raises ConfigError with all its faults."""
    file, faults = validate(document, _File)
    all_faults = [*document.faults, *faults]
    steps: list[RunbookStep] = []
    first_lines: dict[str, int] = {}
    written = document.get(("steps",))
    for index, fields in enumerate(written if isinstance(written, list) else ()):
        if not isinstance(fields, dict):
            continue  # the file's model has said so
        step, step_faults = _step(document, ("steps", index), kinds, targets)
        all_faults += step_faults
        id_ = fields.get("id")
        if isinstance(id_, str) and id_ in first_lines:
            message = f"there is a step `{id_}` in line {first_lines[id_]} already"
            all_faults.append(document.fault(("steps", index, "id"), message))
        elif isinstance(id_, str):
            first_lines[id_] = document.mark(("steps", index, "id")).line
        if step:
            steps.append(step)
    if all_faults:
        raise ConfigError(all_faults)
    assert file is not None  # or there would be faults
    head: dict[str, Any] = {name: getattr(file, name) for name in Head.model_fields}
    return Runbook(**head, steps=tuple(steps), path=document.path, digest=document.digest)


def _step(
    document: Document, at: KeyPath, kinds: Kinds, targets: TargetTypes
) -> tuple[RunbookStep | None, list[Fault]]:
    fields = document.get(at)
    own = set(_StepHead.model_fields)
    named = [key for key in fields if key not in own]
    head, head_faults = validate(document, _StepHead, at, only=own)
    faults = list(head_faults)
    faults += [_unknown_kind(document, (*at, key), kinds) for key in named if key not in kinds]
    known = [key for key in named if key in kinds]
    if not named:
        faults.append(
            document.fault(at, "a step has a kind", f"as in `{next(iter(kinds), 'http.probe')}: {{}}`")
        )
    if len(known) > 1:
        message = f"one kind in a step; this one has {' and '.join(known)}"
        faults.append(document.fault((*at, known[1]), message, at_key=True))
    if len(known) != 1:
        return None, faults
    kind = known[0]
    check, check_faults = validate(document, kinds[kind], (*at, kind))
    faults += check_faults
    faults += _wrong_target(document, (*at, kind, "target"), kinds[kind], targets)
    if head is None or check is None:
        return None, faults
    line = document.mark((*at, "id")).line
    step = RunbookStep(
        id=head.id,
        title=head.title or check.title,
        kind=kind,
        line=line,
        fields=document.get((*at, kind)) or {},
        model=kinds[kind],
        sample=check,
    )
    return step, faults


def _unknown_kind(document: Document, at: KeyPath, kinds: Kinds) -> Fault:
    kind = str(at[-1])
    hint = did_you_mean(kind, [*kinds, *_StepHead.model_fields])
    return document.fault(at, f"there is no step kind `{kind}`", hint or _kinds(kinds), at_key=True)


def _kinds(kinds: Kinds) -> str:
    return f"there are: {', '.join(sorted(kinds))}"


def _wrong_target(
    document: Document, at: KeyPath, kind: type[Check[Any]], targets: TargetTypes
) -> Iterable[Fault]:
    name = document.get(at)
    if not isinstance(name, str) or name == EVERY or at in document.broken:
        return
    wanted = type_word(kind.needs)
    fitting = [known for known, type_ in targets.items() if type_ is None or issubclass(type_, kind.needs)]
    if name not in targets:
        meant = nearest(name, fitting) or nearest(name, targets)
        hint = f"{kind.kind} needs {_a(wanted)} target"
        if meant in fitting:
            hint = f"did you mean `{meant}`?"
        elif meant is not None and (actual := targets[meant]):
            hint = f"did you mean `{meant}`? it is {_a(type_word(actual))} target; {hint}"
        elif fitting:
            hint += f": {', '.join(sorted(fitting))}"
        yield document.fault(at, f"there is no target `{name}`", hint)
    elif name not in fitting:
        actual = targets[name]
        assert actual is not None  # an unknown type fits everything
        there = f"there is {', '.join(sorted(fitting))}" if fitting else f"no target is {_a(wanted)} target"
        message = f"`{name}` is {_a(type_word(actual))} target; {kind.kind} needs {_a(wanted)} target"
        yield document.fault(at, message, there)


def type_word(target: type[TargetBase]) -> str:
    """What people write in `type:` for it."""
    return str(get_args(target.model_fields["type"].annotation)[0])


def _a(word: str) -> str:
    return f"an {word}" if word.startswith(("http", "a", "e", "i", "o")) else f"a {word}"
