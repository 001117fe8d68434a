"""Checks inside a step: `{http.probe: {...}}` with a name or without, or another step's as `shift.verify`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, InstanceOf, StringConstraints, ValidationError, WithJsonSchema

# The table of kinds has the steps that have these checks: it is whole only when it is looked into.
from runbooks import steps as kinds
from runbooks.errors import StepError
from runbooks.nearest import did_you_mean
from runbooks.steps.step import EVERY, Check
from runbooks.steps.units import show_bound
from runbooks.targets import TargetBase

#: Characters of `as:`, the name under which a check's values are shown and kept.
LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True)
class NamedCheck:
    """A check that stands inside a step. `name` is its `as:`, or its kind."""

    name: str
    check: Check[Any]

    def line(self) -> str:
        """What it measures and against what, for a plan."""
        where = "" if self.check.target == EVERY else f" of {self.check.target}"
        bounds = "; ".join(
            f"{word} {self.check.outputs[name].title} "
            + " or ".join(show_bound(*pair, self.check.outputs[name].unit) for pair in condition.bounds())
            for word, thresholds in (("critical:", self.check.critical), ("warning:", self.check.warning))
            for name, condition in thresholds.items()
        )
        named = self.name if self.name == self.check.kind else f"{self.name} ({self.check.kind})"
        return f"{named}{where}" + (f": {bounds}" if bounds else "")


CheckT = TypeVar("CheckT", NamedCheck, NamedCheck | str)


def read_check(value: Any) -> NamedCheck:
    """The check that `{kind: {fields}}` or `{as: name, kind: {fields}}` means. Raises ValueError saying what
    does not fit."""
    if isinstance(value, NamedCheck):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("a check is written {http.probe: {target: app}}")
    found = [key for key in value if key != "as"]
    if len(found) != 1:
        raise ValueError(
            "a check has one kind, as in {http.probe: {target: app}}, and beside it at most `as:`"
        )
    kind = str(found[0])
    if kind not in kinds.CHECKS:
        hint = did_you_mean(kind, kinds.CHECKS) or f"there are: {', '.join(sorted(kinds.CHECKS))}"
        raise ValueError(f"there is no check `{kind[:60]}` ({hint})")
    try:
        check = kinds.CHECKS[kind].model_validate(value[kind] or {})
    except ValidationError as error:
        raise ValueError(_in_words(kind, error)) from None
    name = value.get("as", kind)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"`as:` is a name of at most {LONGEST_NAME} characters")
    return NamedCheck(name=name, check=check)


def _read_list(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError("a list of checks, as in [{http.probe: {target: app}}]")
    read = [item if isinstance(item, str) else read_check(item) for item in value]
    return tuple(told_apart(read))


def told_apart(checks: Iterable[CheckT]) -> list[CheckT]:
    """The same with a number behind a name that came before: values are kept by it."""
    names: set[str] = set()
    apart: list[CheckT] = []
    for check in checks:
        if isinstance(check, NamedCheck):
            free = (f"{check.name} {number}" for number in count(2))
            name = check.name if check.name not in names else next(n for n in free if n not in names)
            names.add(name)
            check = replace(check, name=name)
        apart.append(check)
    return apart


def _in_words(kind: str, error: ValidationError) -> str:
    return "; ".join(
        ".".join(str(part) for part in (kind, *fault["loc"]) if part != "") + f": {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False)
    )


#: What stands for a check in a JSON schema, until its kinds are known.
CHECK_SCHEMA = {
    "type": "object",
    "description": "A check: its kind with its fields, and `as:`, the name that it is shown by",
    "minProperties": 1,
    "maxProperties": 2,
}
_REFERENCE = r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)*\.(verify|checks)$"

#: One check, of a kind that only reads.
InlineCheck = Annotated[InstanceOf[NamedCheck], BeforeValidator(read_check), WithJsonSchema(CHECK_SCHEMA)]

#: The checks of another step: `shift.verify` of a rollout, `watch.checks` of a soak.
CheckReference = Annotated[str, StringConstraints(pattern=_REFERENCE)]

#: Checks, and names of other steps' checks.
CheckList = Annotated[
    tuple[InstanceOf[NamedCheck] | CheckReference, ...],
    BeforeValidator(_read_list),
    Field(strict=False, max_length=50),
    WithJsonSchema(
        {"type": "array", "items": {"anyOf": [CHECK_SCHEMA, {"type": "string", "pattern": _REFERENCE}]}}
    ),
]


def referred(checks: tuple[NamedCheck | str, ...]) -> tuple[str, ...]:
    """The paths of the steps whose checks are among them."""
    return tuple(check.rpartition(".")[0] for check in checks if isinstance(check, str))


def demand_targets(checks: Iterable[NamedCheck | str], targets: Mapping[str, TargetBase]) -> None:
    """Raises StepError when one of the checks has nothing to look at: it would measure nothing for ever."""
    for named in checks:
        if isinstance(named, str) or "{{" in named.check.target:  # known later
            continue
        check = named.check
        there = targets.values() if check.target == EVERY else [targets.get(check.target)]
        if not any(isinstance(target, check.needs) and check.applies_to(target) for target in there):
            which = "no target" if check.target == EVERY else f"no target `{check.target}`"
            raise StepError(f"there is {which} that the check {named.name} can look at")


def check_lines(checks: tuple[NamedCheck | str, ...]) -> tuple[str, ...]:
    """The checks, one line each, for a plan."""
    return tuple(
        f"checks of {check}" if isinstance(check, str) else f"checks {check.line()}" for check in checks
    )
