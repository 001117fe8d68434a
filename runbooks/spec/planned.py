"""One step of a plan: what it would do, in lines for people."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runbooks.errors import StepError
from runbooks.scrub import Scrubber
from runbooks.spec.conditions import When
from runbooks.spec.placeholders import ABSENT, fill, mentioned
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.values import Values, bind, fill_known, holds, look_up, missing
from runbooks.steps import CHECKS
from runbooks.steps.action import Action
from runbooks.steps.gate import Gate
from runbooks.steps.step import EVERY, Check, Step
from runbooks.steps.units import show_bound
from runbooks.targets import TargetBase

#: Stands for a secret.
HIDDEN = "•••"
#: The fields of a check that its lines are made of.
_TOLD_OF_CHECKS = ("target", "warning", "critical")


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step. `unresolved`: references that are known only later; the lines show them as written.

    `when`: on what it depends, in words; `skipped` when that is known already, and it will not run. `gate`:
    who decides there. `undo`: what would take it back.
    """

    path: str
    id: str
    title: str
    kind: str
    target: str = ""
    lines: tuple[str, ...] = ()
    risk: str = "read"
    repeatable: bool = True
    gate: str = ""
    when: str = ""
    skipped: bool = False
    undo: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Planning:
    """What is known while a plan is made, and what came out so far.

    `shown` are the values with secrets hidden. `named`: the addresses of the targets that were named;
    `undone`: what would undo the steps so far, first step first. `models`: the steps so far that are known
    whole, by path; `approved`: how many approve at each gate so far, and on what it depends.
    """

    real: Values
    shown: Values
    targets: Mapping[str, TargetBase]
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    undone: list[PlannedStep] = field(default_factory=list)
    models: dict[str, Step] = field(default_factory=dict)
    approved: list[tuple[int, str]] = field(default_factory=list)

    def with_item(self, item: Any) -> "Planning":
        """The same, for one item of a `for_each`."""
        return replace(self, real={**self.real, "item": item}, shown={**self.shown, "item": item})

    def step(self, step: RunbookStep, path: str, *, note: str = "") -> PlannedStep:
        """The step as it would be carried out, `note` its first line; its faults and warnings are noted."""
        when, skipped = self._when(step)
        planned = replace(self.nothing(step, path), when=when, skipped=skipped)
        if skipped:
            return planned
        planned, model = self._resolved(step, planned)
        if model is not None and not planned.unresolved:
            self.models[path] = model
        self._demand_people(step, model or step.sample, when)
        undo = self._undo(step, model, planned)
        if undo is not None:
            self.undone.append(undo)
        return replace(
            planned,
            lines=(note, *planned.lines) if note else planned.lines,
            undo=undo.lines if undo else (),
            gate=_gate(step, model, planned.lines),
        )

    def _demand_people(self, step: RunbookStep, model: Step, when: str) -> None:
        if isinstance(model, Gate):
            self.approved.append((model.quorum, when))
        needed = model.people if isinstance(model, Action) else 0
        # A gate that may be skipped lets nobody decide, unless the step is skipped with it.
        if needed and not any(number >= needed and on in ("", when) for number, on in self.approved):
            self.faults.append(
                f"Step `{step.id}`: {needed} people have to approve it: it needs a gate before it with "
                f"`quorum: {needed}`, which is not skipped."
            )

    def nothing(self, step: RunbookStep, path: str, *lines: str) -> PlannedStep:
        """The step when there is nothing to do."""
        title = fill_known(step.title, self.shown)
        return PlannedStep(path=path, id=step.id, title=title, kind=step.kind, lines=lines, skipped=True)

    def is_skipped(self, step: RunbookStep) -> bool:
        """Whether it is known already that the step will not run."""
        return self._when(step)[1]

    def _when(self, step: RunbookStep) -> tuple[str, bool]:
        words = " and ".join(
            f"{name} {When.model_validate(asked).words()}" for name, asked in step.when.items()
        )
        known = {name: asked for name, asked in step.when.items() if not missing([name], self.real)}
        fits, why = holds(known, self.real)
        return (f"{words}; skipped, as {why}" if not fits else words), not fits

    def _resolved(self, step: RunbookStep, planned: PlannedStep) -> tuple[PlannedStep, Step | None]:
        names = mentioned(step.fields)
        later = missing(names, self.real)
        model = self._model(step, later)
        target = str(getattr(model, "target", "") or "") if model else self._written(step).get("target", "")
        lines: tuple[str, ...] = ()
        if model is not None:
            try:
                lines = self._lines(step, model, target)
            except StepError as error:
                self.faults.append(f"Step `{step.id}`: {error}")
            self.warnings.extend(model.plan_warnings(self.targets))
        elif later:
            lines = tuple(_as_written(self._written(step)))
        if step.secrets:
            scrub = Scrubber(str(look_up(name, self.real)) for name in step.secrets)
            lines = tuple(map(scrub, lines))
        self._name_targets(step, self._written(step))
        return replace(
            planned,
            target=target,
            lines=lines,
            risk=str(getattr(model or step.sample, "risk", "read")),
            repeatable=is_repeatable(model or step.sample),
            unresolved=tuple(name for name in later if not name.startswith("run.")),
        ), model

    def _model(self, step: RunbookStep, later: tuple[str, ...]) -> Step | None:
        """The model for showing: secrets hidden, and what is known later as it is written."""
        try:
            fitting = bind(step, _with_written(self.real, later))
        except StepError as error:
            if not later:
                self.faults.append(str(error))
            return None
        try:
            return bind(step, _with_written(self.shown, later)) if step.secrets else fitting
        except StepError:
            return fitting  # its lines are scrubbed

    def _written(self, step: RunbookStep) -> dict[str, Any]:
        """The fields with what is known filled in, and no secret."""

        def find(name: str) -> Any:
            value = look_up(name, self.shown)
            return f"{{{{ {name} }}}}" if value is ABSENT or value is None else value

        filled = fill(step.fields, find)
        assert isinstance(filled, dict)
        return filled

    def _lines(self, step: RunbookStep, model: Step, target: str) -> tuple[str, ...]:
        if isinstance(model, Check):
            return tuple(self._check_lines(step, model))
        if not isinstance(model, Action):
            return model.plan_lines(self.targets)
        if model.needs is None:
            return model.lines(None)
        found = self.targets.get(target)
        if isinstance(found, model.needs):
            return model.lines(found)
        if mentioned(target):  # known later
            return tuple(_as_written(self._written(step)))
        self.faults.append(f"Step `{step.id}`: there is no target `{target}` that {step.kind} can act on.")
        return ()

    def _check_lines(self, step: RunbookStep, check: Check[Any]) -> Iterator[str]:
        names = sorted(self.targets) if check.target == EVERY else [check.target]
        fitting = [
            name
            for name in names
            if isinstance(target := self.targets.get(name), check.needs) and check.applies_to(target)
        ]
        if check.target != EVERY and not fitting and not mentioned(check.target):
            self.faults.append(f"Step `{step.id}`: there is no target `{check.target}` that it can look at.")
        judged = dict.fromkeys([*check.critical, *check.warning]) or {check.headline: None}
        titles = ", ".join(check.outputs[name].title for name in judged)
        yield f"measures the {titles} of {', '.join(fitting) or check.target}"
        for word, thresholds in (("warning", check.warning), ("critical", check.critical)):
            for name, condition in thresholds.items():
                output = check.outputs[name]
                bounds = " or ".join(show_bound(*bound, output.unit) for bound in condition.bounds())
                yield f"{word}: {output.title} {bounds}"
        rest = {key: value for key, value in self._written(step).items() if key not in _TOLD_OF_CHECKS}
        yield from _as_written(rest)

    def _undo(self, step: RunbookStep, model: Step | None, planned: PlannedStep) -> PlannedStep | None:
        path = f"rollback:{planned.path}"
        if step.rollback is not None:
            inverse = replace(self.nothing(step.rollback, path), skipped=False)
            return self._resolved(step.rollback, inverse)[0]
        lines = model.undo_lines() if model else ()
        if not lines and not getattr(step.model, "reversible", False):
            return None
        return replace(
            planned,
            path=path,
            title=f"Undo: {planned.title}",
            lines=lines or (f"puts back what `{planned.path}` found before it changed anything",),
            repeatable=True,
            when="",
        )

    def _name_targets(self, step: RunbookStep, fields: Mapping[str, Any]) -> None:
        for name in targets_in(step.model, fields, self.targets):
            target = self.targets.get(name)
            host = getattr(target, "host", None)
            for there in (target, self.targets.get(host) if isinstance(host, str) else None):
                if there is not None:
                    self.named[there.name or name] = address_of(there)


def address_of(target: TargetBase) -> str:
    """Where a target is, in words: `https://shop.example (http, production)`."""
    return f"{target.where()} ({getattr(target, 'type', '')}, {target.environment})"


def environment_of(address: str) -> str:
    """The environment in what `address_of` returned; empty when it says none."""
    return address.rpartition(", ")[2].removesuffix(")") if address.endswith(")") else ""


def is_repeatable(model: Step) -> bool:
    """Whether the step may be done again after a crash without asking anybody."""
    return bool(getattr(model, "repeatable", True))


def _gate(step: RunbookStep, model: Step | None, lines: tuple[str, ...]) -> str:
    words = (model or step.sample).gate_words()
    return words or ("; ".join(lines) if step.kind == "gate" else "")


def _with_written(values: Values, names: tuple[str, ...]) -> dict[str, Any]:
    """The values with those that are known later as they are written."""
    filled = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    for name in names:
        *way, last = name.split(".")
        place = filled
        for part in way:
            inside = place.get(part)
            place[part] = dict(inside) if isinstance(inside, Mapping) else {}
            place = place[part]
        place[last] = f"{{{{ {name} }}}}"
    return filled


def _as_written(fields: Mapping[str, Any]) -> Iterator[str]:
    for key, value in fields.items():
        yield f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def targets_in(model: type[Step] | None, value: Any, targets: Mapping[str, TargetBase]) -> Iterator[str]:
    """The names of the targets in a step's fields, and in those of the steps written inside it."""
    if isinstance(value, dict):
        named = value.get("target", EVERY)
        if isinstance(named, str) and named in targets:
            yield named
        elif named == EVERY and model is not None and issubclass(model, Check):
            yield from (name for name, target in targets.items() if isinstance(target, model.needs))
        for other in (value.get(field) for field in getattr(model, "also_names", ())):
            if isinstance(other, str) and other in targets:
                yield other
        for key, inner in value.items():
            yield from targets_in(CHECKS.get(key), inner, targets)
    elif isinstance(value, list):
        for inner in value:
            yield from targets_in(None, inner, targets)
