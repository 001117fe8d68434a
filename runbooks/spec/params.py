"""What a runbook asks for before it starts: `params:`, and what people give for them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import regex
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from runbooks.errors import UsageError
from runbooks.nearest import did_you_mean
from runbooks.spec.model import Spec
from runbooks.spec.param_values import NotFitting, bound, read_value
from runbooks.targets import TARGET_TYPES, TargetBase

ParamType = Literal[
    "string", "integer", "number", "boolean", "choice", "date", "duration", "user", "target", "list"
]
#: The types that have an order, or a length.
_BOUNDED = ("string", "integer", "number", "date", "duration", "list")
#: The types that each of these keys is for.
_HOMES: Mapping[str, tuple[str, ...]] = {
    "pattern": ("string",),
    "secret": ("string",),
    "min": _BOUNDED,
    "max": _BOUNDED,
    "choices": ("choice",),
    "choices_from": ("choice",),
    "of": ("target",),
    "environment": ("target",),
    "items": ("list",),
}


def _pattern(text: str) -> str:
    try:
        regex.compile(text)
    except regex.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _target_type(word: str) -> str:
    if word not in TARGET_TYPES:
        hint = did_you_mean(word, TARGET_TYPES) or f"there are: {', '.join(TARGET_TYPES)}"
        raise ValueError(f"there is no target type {word[:40]!r} ({hint})")
    return word


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class ChoicesFrom(Spec):
    """Where choices come from: a JSON list of texts, or of maps whose `key` is taken."""

    target: str
    path: str = Field(pattern=r"^/([^/\s\\][^\s\\]*)?$", max_length=2000)
    key: str | None = None


class Single(Spec):
    """One value that people give: its type, and what it must be like."""

    type: ParamType = "string"
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    min: int | float | str | None = None
    max: int | float | str | None = None
    choices: tuple[Annotated[str, Field(min_length=1)], ...] = Field(default=(), strict=False)
    choices_from: ChoicesFrom | None = None
    of: Annotated[str, AfterValidator(_target_type)] | None = None
    environment: Annotated[
        tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...])
    ] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for key, types in _HOMES.items():
            if key in self.model_fields_set and self.type not in types:
                raise ValueError(f"`{key}` is for {' and '.join(types)}, not for {self.type}")
        if self.type == "choice" and bool(self.choices) == (self.choices_from is not None):
            raise ValueError("a choice has either `choices:` or `choices_from:`")
        limits = [self._own(name, bound) for name in ("min", "max")]
        if None not in limits and limits[0] > limits[1]:
            raise ValueError("`min` is more than `max`: nothing would fit")
        return self

    def _own(self, name: str, read: Callable[[Any, Any], Any]) -> Any:
        value = getattr(self, name)
        try:
            return None if value is None else read(self, value)
        except NotFitting as error:
            raise ValueError(f"`{name}`: {error}") from error


class Param(Single):
    """One parameter. Without `default` it must be given, unless `required: false`."""

    prompt: str = ""
    help: str = ""
    default: (
        str | int | float | bool | Annotated[tuple[str | int | float, ...], Field(strict=False)] | None
    ) = None
    required: bool = True
    secret: bool = False
    items: Single | None = None

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        if self.items is not None and self.items.type == "list":
            raise ValueError("the items of a list are single values")
        if self.secret and self.default is not None:
            raise ValueError("a secret has no default: it would stand in the file")
        self._own("default", lambda param, value: read_value(param, value, None))
        return self


class ParamFaults(UsageError):
    """What was given for a runbook's parameters does not fit. `faults` has a message for each."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__("\n".join(f"{name}: {message}" for name, message in self.faults.items()))


def parse_params(
    declared: Mapping[str, Param],
    given: Mapping[str, Any],
    targets: Mapping[str, TargetBase],
    *,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """The values of all parameters, in the order of their declarations: texts, numbers, booleans and lists.

    What is given may be text, as it is typed, or a value already. Something that is left out is its default,
    or None. `targets`: those that the person may name. `choices`: what `choices_from` led to, by parameter;
    without it any text fits there. Raises ParamFaults with everything that is wrong; no secret is quoted.
    """
    faults: dict[str, str] = {}
    for name in given:
        if name not in declared:
            known = f"there are: {', '.join(declared)}" if declared else "this runbook has none"
            faults[name] = f"there is no such parameter ({did_you_mean(name, declared) or known})"
    values: dict[str, Any] = {}
    for name, param in declared.items():
        value = given.get(name)
        if value is None or value == "":
            value = param.default
        if value is None:
            values[name] = None
            if param.required:
                faults[name] = f"is missing{f': {param.prompt}' if param.prompt else ''}"
            continue
        try:
            values[name] = read_value(param, value, targets, (choices or {}).get(name))
        except NotFitting as error:
            faults[name] = str(error)
    if faults:
        raise ParamFaults(faults)
    return values


def secret_names(declared: Mapping[str, Param]) -> frozenset[str]:
    """The parameters whose values are never shown."""
    return frozenset(name for name, param in declared.items() if param.secret)
