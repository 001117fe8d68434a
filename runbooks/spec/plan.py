"""A runbook with everything resolved: what people are shown before they say yes, and its digest."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from runbooks.errors import StepError, UsageError
from runbooks.spec.params import secret_names
from runbooks.spec.placeholders import ABSENT, as_text, mentioned, only_name
from runbooks.spec.plan_changes import differences
from runbooks.spec.planned import HIDDEN, PlannedStep, Planning
from runbooks.spec.runbook import Runbook
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.values import fill_known, items, look_up, missing
from runbooks.steps.step import Step
from runbooks.targets import TargetBase

__all__ = ["Plan", "PlannedStep", "differences", "digest_of", "make_plan"]

#: What a secret costs to be guessed from its digest, in memory and time: about ten milliseconds a guess.
_SCRYPT = {"n": 2**12, "r": 8, "p": 1, "dklen": 16}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be done. `params` shows no secret; `secrets` has a salted digest of each, for comparing.

    `targets`: the address of each target that is named anywhere. `source`: the sha256 of the file's text.
    `rollback`: what undoing everything would do, in its order. `approval`: what its first gate was made of,
    when that is in no file. `window`: when its risky steps may begin, when that is not in the runbook's file.
    """

    runbook: str
    title: str
    phase: str
    source: str
    params: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    targets: Mapping[str, str]
    locks: tuple[str, ...]
    steps: tuple[PlannedStep, ...]
    rollback: tuple[PlannedStep, ...]
    warnings: tuple[str, ...]
    approval: Mapping[str, Any] = field(default_factory=dict)
    window: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON: maps, lists, texts, numbers, booleans."""
        made: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        # A plan without them has the digest that it had before there was such a thing.
        return {name: value for name, value in made.items() if value or name not in ("approval", "window")}

    @property
    def digest(self) -> str:
        """The sha256 of the plan: equal for equal plans, whichever process made them."""
        return digest_of(self.as_json())


def digest_of(plan: Mapping[str, Any]) -> str:
    """The digest of a plan that was kept as JSON."""
    canonical = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def make_plan(
    runbook: Runbook,
    params: Mapping[str, Any],
    targets: Mapping[str, TargetBase],
    *,
    outputs: Mapping[str, Mapping[str, Any]] | None = None,
    phase: str = "forward",
    models: dict[str, Step] | None = None,
) -> Plan:
    """The plan of that runbook with those values (see `parse_params`); touches nothing.

    `outputs`: what steps are known to have come to. `phase`: `rollback` for a plan of undoing everything.
    `models`: gets the forward steps that are known whole, by path. Raises UsageError with everything that
    does not fit.
    """
    secret = secret_names(runbook.params)
    real = {"params": dict(params), "steps": dict(outputs or {})}
    shown = {
        "params": {
            name: HIDDEN if name in secret and value is not None else value for name, value in params.items()
        },
        "steps": real["steps"],
    }
    planning = Planning(real=real, shown=shown, targets=targets)
    forward = tuple(_forward(planning, runbook.steps, ""))
    if models is not None:
        models.update(planning.models)
    # The steps' own ways back, last step first; then the runbook's.
    inverses = tuple(reversed(planning.undone))
    backward = (*inverses, *_forward(planning, runbook.rollback, "rollback:"))
    locks = _locks(planning, runbook)
    if planning.faults:
        raise UsageError("\n".join(dict.fromkeys(planning.faults)))
    undoing = phase == "rollback"
    return Plan(
        runbook=runbook.name,
        title=fill_known(runbook.title, shown),
        phase=phase,
        source=hashlib.sha256(runbook.source.encode()).hexdigest(),
        params=shown["params"],
        secrets={
            name: _salted(runbook.name, name, str(value))
            for name, value in params.items()
            if name in secret and value is not None
        },
        targets=dict(sorted(planning.named.items())),
        locks=locks,
        steps=backward if undoing else forward,
        rollback=() if undoing else backward,
        warnings=tuple(dict.fromkeys([*planning.warnings, *_unlocked(forward, locks)])),
        approval=runbook.approval,
        window=runbook.arranged,
    )


def _salted(runbook: str, name: str, secret: str) -> str:
    # The salt cannot be random: two processes must come to the same digest.
    salt = hashlib.sha256(f"maint plan\0{runbook}\0{name}".encode()).digest()
    return hashlib.scrypt(secret.encode(), salt=salt, **_SCRYPT).hex()


def _forward(planning: Planning, steps: tuple[RunbookStep, ...], prefix: str) -> Iterator[PlannedStep]:
    for step in steps:
        path = f"{prefix}{step.id}"
        if step.for_each is not None:
            yield from _each(planning, step, path)
            continue
        planned = planning.step(step, path)
        yield planned
        if not planned.skipped:
            yield from _forward(planning, step.steps, f"{path}.")


def _each(planning: Planning, step: RunbookStep, path: str) -> Iterator[PlannedStep]:
    """A step or group for each item: one by one where the items are known."""
    what = as_text(step.for_each).strip("{ }")
    if planning.is_skipped(step):
        yield planning.step(step, path)
        return
    if missing(mentioned(step.for_each), planning.real):
        yield planning.step(step, path, note=f"for each of {what}")
        yield from _forward(planning, step.steps, f"{path}[*].")
        return
    try:
        listed = items(step, planning.real)
    except StepError as error:
        planning.faults.append(str(error))
        return
    if not listed:
        yield planning.nothing(step, path, f"for each of {what}: there is none")
    elif step.steps:
        yield planning.step(step, path, note=f"for each of {as_text(listed)}")
    for index, item in enumerate(listed):
        inner = planning.with_item(item)
        if step.steps:
            yield from _forward(inner, step.steps, f"{path}[{index}].")
        else:
            yield inner.step(step, f"{path}[{index}]")


def _locks(planning: Planning, runbook: Runbook) -> tuple[str, ...]:
    """The targets to be locked; a reference to a list is all that is in it, one that is left out nothing."""
    locks: list[str] = []
    for lock in runbook.locks:
        name = only_name(lock)
        value = look_up(name, planning.real) if name is not None else fill_known(lock, planning.real)
        if value is not None and value is not ABSENT:
            locks += map(as_text, value if isinstance(value, list | tuple) else [value])
    return tuple(dict.fromkeys(locks))


def _unlocked(steps: tuple[PlannedStep, ...], locks: tuple[str, ...]) -> Iterator[str]:
    for step in steps:
        if step.risk == "high" and step.target and step.target not in locks and not step.skipped:
            yield f"{step.path} acts on {step.target}, which this run does not lock"
