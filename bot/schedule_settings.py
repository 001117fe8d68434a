"""`schedules:` in maint.yaml: when runbooks run by themselves, without a copy of their files."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pydantic import Field

from runbooks.errors import Fault
from runbooks.nearest import did_you_mean
from runbooks.spec.arranged import with_window
from runbooks.spec.model import Spec
from runbooks.spec.params import ParamFaults, parse_params
from runbooks.spec.runbook import Runbook, Schedule, Window
from runbooks.spec.schedule_faults import schedule_faults
from runbooks.spec.source import Document, KeyPath
from runbooks.spec.validate import validate
from runbooks.targets import TargetBase

_KEY = "schedules"


class RunbookTimes(Spec):
    """When one runbook runs, in place of what its file says. Without `window`, the file's stays."""

    schedule: tuple[Schedule, ...] = Field(strict=False)
    window: Window | None = None


def timed(document: Document, runbooks: Mapping[str, Runbook]) -> Mapping[str, Runbook]:
    """The runbooks with what maint.yaml says of their schedules. What is at fault there is left out."""
    found = {name: _times(document, name) for name in _names(document) if name in runbooks}
    return {**runbooks, **{name: _with(runbooks[name], times) for name, times in found.items() if times}}


def schedules_faults(
    document: Document,
    runbooks: Mapping[str, Runbook],
    targets: Mapping[str, TargetBase] | None,
    unfit: Mapping[str, str],
) -> Iterator[Fault]:
    """What is wrong with `schedules:` beside what its model says. `targets`: None when they are at fault.

    `unfit`: runbooks that cannot be run with these settings, and what they lack.
    """
    for name in _names(document):
        at: KeyPath = (_KEY, name)
        if name not in runbooks:
            hint = did_you_mean(name, runbooks) or f"there are: {', '.join(runbooks)}"
            yield document.fault(at, f"there is no runbook `{name}`", hint, at_key=True)
            continue
        runbook, times = runbooks[name], _times(document, name)
        wrong = [*schedule_faults(document, runbook.params, (*at, "schedule")), *_references(document, at)]
        yield from wrong
        if times is None:
            continue
        if times.schedule and name in unfit:
            message = f"`{name}` cannot be run with these settings: {unfit[name]}"
            yield document.fault(at, message, at_key=True)
        for index, schedule in enumerate(times.schedule):
            place = (*at, "schedule", index)
            yield from _channel_faults(document, place, runbook, schedule)
            if targets is not None and not wrong:
                yield from _misfits(document, place, runbook, schedule, targets)


def _names(document: Document) -> list[str]:
    said = document.get((_KEY,))
    return list(said) if isinstance(said, dict) else []


def _times(document: Document, name: str) -> RunbookTimes | None:
    return validate(document, RunbookTimes, (_KEY, name))[0]


def _with(runbook: Runbook, times: RunbookTimes) -> Runbook:
    found = replace(runbook, schedule=times.schedule)
    return with_window(found, times.window.model_dump()) if times.window else found


def _references(document: Document, at: KeyPath) -> Iterator[Fault]:
    """Parameters from `${...}` and `file:`, which may be secrets: the card shows what a run was given."""
    for path in sorted(document.references, key=str):
        if path[: len(at)] == at and "params" in path:
            message = "what a schedule gives is shown on cards and kept with the run: it is no reference"
            yield document.fault(
                path, message, "write it out; a runbook on a schedule has no secret parameters"
            )


def _channel_faults(document: Document, at: KeyPath, runbook: Runbook, schedule: Schedule) -> Iterator[Fault]:
    there = document.get(("slack", "channels"))
    channels = there if isinstance(there, dict) else {}
    if schedule.channel and schedule.channel not in channels:
        hint = did_you_mean(schedule.channel, channels) or "name it under `slack: channels:`"
        yield document.fault((*at, "channel"), f"there is no channel `{schedule.channel}`", hint)
    elif schedule.report != "none" and not (schedule.channel or runbook.channel):
        message = f"the report `{schedule.report}` has no channel to go to"
        yield document.fault(at, message, "give the schedule `channel:`")


def _misfits(
    document: Document,
    at: KeyPath,
    runbook: Runbook,
    schedule: Schedule,
    targets: Mapping[str, TargetBase],
) -> Iterator[Fault]:
    """Values that the runbook would not take when the time has come."""
    try:
        parse_params(runbook.params, schedule.params, targets)
    except ParamFaults as error:
        for name, message in error.faults.items():
            yield document.fault((*at, "params", name), f"`{name}`: {message}")
