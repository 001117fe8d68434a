"""Reads the file of a runbook's tests, and says what in it does not fit the runbook."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbooks.errors import ConfigError, Fault
from runbooks.nearest import did_you_mean
from runbooks.rehearsal.case import OF_CHECKS, Case, Cases
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.source import Document, KeyPath, read
from runbooks.spec.validate import validate
from runbooks.steps.gate import Gate
from runbooks.steps.rollout import Rollout
from runbooks.steps.soak import Soak
from runbooks.steps.step import Check
from runbooks.targets import TargetBase

_INDEX = re.compile(r"\[\d+\]")
_BACK = "rollback:"


@dataclass(frozen=True, kw_only=True)
class TestFile:
    """A runbook's tests, each with its place."""

    document: Document
    cases: tuple[Case, ...]
    targets: Mapping[str, TargetBase]

    def where(self, index: int, *inside: str | int) -> Fault:
        """A fault without words, at that place of a test."""
        return self.document.fault(("tests", index, *inside), "")


def file_beside(runbook: str) -> Path | None:
    """The file of tests beside that of a runbook, if there is one. Blocks."""
    path = Path(runbook)
    beside = (path.with_name(f"{path.stem}.test{suffix}") for suffix in (".yaml", ".yml"))
    return next((file for file in beside if file.is_file()), None)


def read_tests(path: Path) -> TestFile:
    """The tests in a file; raises ConfigError. Blocks."""
    document = read(path)
    cases, faults = validate(document, Cases)
    if document.faults or faults or cases is None:
        raise ConfigError([*document.faults, *faults])
    targets = {name: target.model_copy(update={"name": name}) for name, target in cases.targets.items()}
    return TestFile(document=document, cases=cases.tests, targets=targets)


def demand_fit(file: TestFile, runbook: Runbook) -> None:
    """Raises ConfigError with everything that names no step of the runbook, or does not fit the step."""
    faults = [fault for index, _ in enumerate(file.cases) for fault in _Fitting(file, runbook).faults(index)]
    if faults:
        raise ConfigError(faults)


class _Fitting:
    def __init__(self, file: TestFile, runbook: Runbook) -> None:
        self._file = file
        self._document = file.document
        self._forward = dict(_paths(runbook.steps))
        own = dict(_paths(runbook.rollback))
        # What undoes a step has the step's own path.
        self._back = {**self._forward, **own}

    def faults(self, index: int) -> Iterator[Fault]:
        at: KeyPath = ("tests", index)
        case = self._file.cases[index]
        for name, results in case.given.results.items():
            place = (*at, "given", "results", name)
            step = self._find(name)
            yield from self._unknown(place, name)
            if step is not None and not name.startswith(_BACK):
                for result in results:
                    yield from self._misfits(place, step, result)
        for key, words in (("gates", case.given.gates), ("answers", case.given.answers)):
            for name in words:
                place = (*at, "given", key, name)
                yield from self._unknown(place, name)
                if key == "gates" and (step := self._find(name)) and not _has_gate(step):
                    yield self._document.fault(place, f"`{name}` has no gate", at_key=True)
        for key in ("skipped", "says"):
            for name in getattr(case.expect, key) or ():
                yield from self._unknown((*at, "expect", key, name), name)
        for key in ("path", "rollback"):
            for number, passed in enumerate(getattr(case.expect, key) or ()):
                for name in [passed] if isinstance(passed, str) else passed:
                    known = self._forward if key == "path" else self._back
                    yield from self._unknown((*at, "expect", key, number), name, known)

    def _find(self, name: str) -> RunbookStep | None:
        plain = _INDEX.sub("", name)
        return (
            self._back.get(plain.removeprefix(_BACK)) if plain.startswith(_BACK) else self._forward.get(plain)
        )

    def _unknown(
        self, at: KeyPath, name: str, known: Mapping[str, RunbookStep] | None = None
    ) -> Iterator[Fault]:
        plain = _INDEX.sub("", name)
        if known is None:
            known = self._back if plain.startswith(_BACK) else self._forward
            plain = plain.removeprefix(_BACK)
        if plain not in known:
            there = f"there are: {', '.join(known)}"
            hint = did_you_mean(plain, known) or there
            yield self._document.fault(at, f"the runbook has no step `{plain}`", hint, at_key=True)

    def _misfits(self, at: KeyPath, step: RunbookStep, result: Any) -> Iterator[Fault]:
        looks = issubclass(step.model, Check | Soak | Rollout)
        if result.word in OF_CHECKS and not looks:
            message = f"a {step.kind} step is never {result.word}"
            yield self._document.fault(at, message, "ok, failed or in_doubt", at_key=True)
        if result.word == "in_doubt" and looks:
            message = f"a {step.kind} step is never in doubt"
            yield self._document.fault(at, message, "ok, warning, failed or unknown", at_key=True)
        if result.at is not None and not issubclass(step.model, Rollout):
            yield self._document.fault(at, "`at:` is a stage of a rollout", at_key=True)
        if result.after is not None and not issubclass(step.model, Soak | Rollout):
            yield self._document.fault(at, "`after:` is for soaks and rollouts", at_key=True)
        if result.outputs and issubclass(step.model, Soak | Rollout):
            message = f"the outputs of a {step.kind} come from its rounds"
            yield self._document.fault(at, message, "say `failed:`", at_key=True)
            return
        declared = step.sample.declared()
        for name in result.outputs:
            if name not in declared:
                there = f"it has {', '.join(declared)}" if declared else "it has none"
                hint = did_you_mean(name, declared) or there
                yield self._document.fault(at, f"`{step.id}` has no output `{name}`", hint, at_key=True)


def _has_gate(step: RunbookStep) -> bool:
    return issubclass(step.model, Gate) or getattr(step.sample, "between", None) is not None


def _paths(steps: Iterable[RunbookStep], prefix: str = "") -> Iterator[tuple[str, RunbookStep]]:
    for step in steps:
        yield f"{prefix}{step.id}", step
        yield from _paths(step.steps, f"{prefix}{step.id}.")
