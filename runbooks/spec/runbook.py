"""A runbook file: what it is for, what it asks for, its steps, and how it is undone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import Field

from runbooks.errors import ConfigError
from runbooks.nearest import did_you_mean
from runbooks.spec.escalation_faults import escalation_faults
from runbooks.spec.head import AlertRules, Escalation, Head, Remedy, Schedule
from runbooks.spec.kind_reading import Kinds, Reading
from runbooks.spec.param_faults import param_faults
from runbooks.spec.params import Param
from runbooks.spec.placeholders import names_in
from runbooks.spec.runbook_step import Retry, RunbookStep
from runbooks.spec.schedule_faults import schedule_faults
from runbooks.spec.scope import Scope
from runbooks.spec.source import Document, parse
from runbooks.spec.step_reading import StepReader
from runbooks.spec.target_faults import TargetTypes
from runbooks.spec.validate import validate
from runbooks.spec.window import Window

__all__ = [
    "Escalation",
    "Head",
    "Kinds",
    "Retry",
    "Runbook",
    "RunbookStep",
    "Schedule",
    "TargetTypes",
    "Window",
    "from_source",
    "parse_runbook",
]


class _File(Head):
    steps: tuple[dict[str, Any], ...] = Field(strict=False, min_length=1)
    rollback: tuple[dict[str, Any], ...] = Field(default=(), strict=False)


@dataclass(frozen=True, kw_only=True)
class Runbook:
    """A runbook as it was read. `digest` is the sha256 of the file's bytes, `source` their text.

    `rollback` is done after what undoes the steps. `locks` and `title` may hold references to parameters.
    `approval`: what made its first step a gate that is in no file (see `with_approval`). `arranged`: the
    window that it has from elsewhere, in place of its file's (see `with_window`).
    """

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
    params: dict[str, Param] = field(default_factory=dict)
    locks: tuple[str, ...] = ()
    rollback: tuple[RunbookStep, ...] = ()
    channel: str = ""
    alerts: AlertRules = field(default_factory=AlertRules)
    remedies: tuple[Remedy, ...] = ()
    window: Window | None = None
    source: str = field(default="", repr=False)
    approval: Mapping[str, Any] = field(default_factory=dict)
    arranged: Mapping[str, Any] = field(default_factory=dict)


def from_source(path: str, source: str, kinds: Kinds, targets: TargetTypes | None = None) -> Runbook:
    """The runbook in a text that was kept; raises ConfigError.

    Without `targets`, the names of targets are not judged: they may have gone since the text was kept.
    """
    return parse_runbook(parse(source.encode(), path), kinds, targets)


def parse_runbook(document: Document, kinds: Kinds, targets: TargetTypes | None) -> Runbook:
    """The runbook in a document; raises ConfigError with all its faults."""
    file, faults = validate(document, _File)
    reading = Reading(document=document, kinds=kinds, targets=targets)
    reading.faults.extend([*document.faults, *faults])
    declared = document.get(("params",))
    names = declared if isinstance(declared, dict) else {}
    params = {name: _param(document, name) for name in names}
    reader = StepReader(reading)
    reader.note_ids(("steps",))
    reader.note_ids(("rollback",))
    scope = Scope(params=params)
    _read_head(reading, scope)
    later = {
        id_: f"the step `{id_}` (line {line}) does not come first" for id_, line in reading.lines.items()
    }
    steps, after = reader.read(("steps",), scope.without(later))
    rollback, _ = reader.read(("rollback",), after)
    if targets is not None:
        reading.faults.extend(param_faults(document, params, targets))
        reading.faults.extend(escalation_faults(document, steps))
    reading.faults.extend(schedule_faults(document, params))
    if reading.faults:
        raise ConfigError(reading.faults)
    assert file is not None  # or there would be faults
    head: dict[str, Any] = {name: getattr(file, name) for name in Head.model_fields}
    return Runbook(
        **head,
        steps=steps,
        rollback=rollback,
        path=document.path,
        digest=document.digest,
        source=document.text,
    )


def _param(document: Document, name: str) -> Param | None:
    """A parameter, None when its declaration is at fault: the file's model has said so."""
    return validate(document, Param, ("params", name))[0]


def _read_head(reading: Reading, scope: Scope) -> None:
    """Notes what is wrong with the references in the head, and with the names of its locks."""
    document = reading.document
    reading.shown(("title",), scope)
    reading.shown(("locks",), scope)
    locks = document.get(("locks",))
    for index, lock in enumerate(locks if isinstance(locks, list) else ()):
        place = ("locks", index)
        if not isinstance(lock, str) or names_in(lock) or place in document.broken or reading.targets is None:
            continue
        if lock not in reading.targets:
            there = f"there are: {', '.join(sorted(reading.targets))}" if reading.targets else ""
            hint = did_you_mean(lock, reading.targets) or there
            reading.fault(place, f"there is no target `{lock}` to lock", hint)
