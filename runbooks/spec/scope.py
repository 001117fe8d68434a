"""What a reference may name at some place of a runbook, and what it stands for there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runbooks.nearest import did_you_mean
from runbooks.spec.params import Param, Single
from runbooks.steps.step import Output

_TEXTS = (
    "sample", "/sample", "1m", "1", "1.2.3", "2026-01-01", "https://sample.example", "a@sample.example"
)  # fmt: skip
_WHOLE = (1, 10, 100, 1000, 0)

#: The types of parameters in words, and values that they may have.
_OF_TYPES: Mapping[str, tuple[str, Sequence[Any]]] = {
    "string": ("a text", _TEXTS),
    "choice": ("a text", _TEXTS),
    "integer": ("a whole number", _WHOLE),
    "number": ("a number", (1.5, 0.5, 10.5, 100.5)),
    "boolean": ("true or false", (True, False)),
    "date": ("a date", ("2026-01-01",)),
    "duration": ("a duration", ("1m", "1h", "1d", "1s")),
    "user": ("a person", ("U0123ABCD",)),
    "target": ("a target", ("sample",)),
}


class NoSuchReference(ValueError):
    """A reference that cannot be; what would be right is in `hint`."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a reference stands for: in words, and values that it may have. `param`: the parameter it is;
    `literals`: everything that it can be, where the file says so."""

    words: str
    samples: Sequence[Any]
    param: Single | None = None
    literals: Sequence[Any] = ()

    @property
    def is_secret(self) -> bool:
        """Whether it is never shown."""
        return isinstance(self.param, Param) and self.param.secret

    @property
    def is_list(self) -> bool:
        """Whether it is several values."""
        return isinstance(self.samples[0], list)


TEXT = Known(words="a text", samples=_TEXTS)
NUMBER = Known(words="a number", samples=_WHOLE)
#: Of something whose own declaration is at fault.
ANYTHING = Known(words="something", samples=_TEXTS)
_RUN = {"id": TEXT, "requester": TEXT}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is there at some place. `outputs`: of the steps that come first, None when those are not known.

    `elsewhere`: why a step that there is cannot be referred to here. `item`: what `for_each` goes through.
    """

    params: Mapping[str, Param | None]
    outputs: Mapping[str, Mapping[str, Output] | None] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    item: Known | None = None

    def after(self, outputs: Mapping[str, Mapping[str, Output] | None]) -> "Scope":
        """The scope when those steps are done as well."""
        return replace(self, outputs={**self.outputs, **outputs})

    def without(self, reasons: Mapping[str, str]) -> "Scope":
        """The scope where those steps cannot be referred to, and why."""
        return replace(self, elsewhere={**self.elsewhere, **reasons})

    def find(self, name: str) -> Known:
        """What that name stands for; raises NoSuchReference."""
        root, _, rest = name.partition(".")
        if root == "params":
            return self._param(rest)
        if root == "steps":
            return self._output(rest)
        if root == "run" and rest in _RUN:
            return _RUN[rest]
        if name == "item":
            if self.item is None:
                raise NoSuchReference("`item` has a meaning only in a step with `for_each:`")
            return self.item
        known = ["item", *(f"run.{word}" for word in _RUN), *(f"params.{param}" for param in self.params)]
        known += [f"steps.{step}.{output}" for step, outs in self.outputs.items() for output in outs or ()]
        hint = did_you_mean(name, known) or (
            "there are: params.NAME, steps.ID.OUTPUT, item, run.id, run.requester; "
            "braces that are meant as such are written \\{{"
        )
        raise NoSuchReference(f"`{name}` refers to nothing", hint)

    def _param(self, name: str) -> Known:
        if name not in self.params:
            known = f"there are: {', '.join(self.params)}" if self.params else "declare it under `params:`"
            raise NoSuchReference(f"there is no parameter `{name}`", did_you_mean(name, self.params) or known)
        param = self.params[name]
        return ANYTHING if param is None else of_param(param)

    def _output(self, rest: str) -> Known:
        step, _, output = rest.partition(".")
        if step not in self.outputs:
            if step in self.elsewhere:
                raise NoSuchReference(self.elsewhere[step])
            known = [*self.outputs, *self.elsewhere]
            raise NoSuchReference(f"there is no step `{step}`", did_you_mean(step, known))
        declared = self.outputs[step]
        if declared is None:
            return ANYTHING
        if output not in declared:
            there = f"it has {', '.join(declared)}" if declared else "it has none"
            raise NoSuchReference(
                f"the step `{step}` has no output `{output}`", did_you_mean(output, declared) or there
            )
        return NUMBER if declared[output].number else TEXT


def of_param(param: Single) -> Known:
    """What a parameter stands for."""
    if param.type == "list":
        inner = _item(param)
        return Known(words="a list", samples=[[sample] for sample in inner.samples], param=param)
    words, samples = _OF_TYPES[param.type]
    default = getattr(param, "default", None)
    own = [*([default] if default is not None else []), *param.choices]
    own += [limit for limit in (param.min, param.max) if limit is not None and param.type != "string"]
    return Known(words=words, samples=[*own, *samples], param=param)


def of_literal(values: Sequence[Any]) -> Known:
    """What an item of a list that is written out stands for."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return Known(words="a number", samples=values, literals=values)
    return Known(words="a text", samples=values, literals=values)


def item_of(known: Known) -> Known:
    """What an item of that list, or of that text, stands for."""
    if known.param is not None and known.param.type == "list":
        return _item(known.param)
    return TEXT


def _item(param: Single) -> Known:
    items = getattr(param, "items", None)
    return of_param(items) if isinstance(items, Single) else TEXT
