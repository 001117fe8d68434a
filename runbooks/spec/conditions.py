"""`when: {params.environment: {equals: production}}`: on what a step depends."""

from typing import Any

from pydantic import Field, model_validator

from runbooks.spec.model import Spec
from runbooks.spec.placeholders import as_text
from runbooks.steps.thresholds import OPERATORS, Condition
from runbooks.steps.units import show_bound

#: Operators that compare numbers.
ORDERED = ("above", "at_least", "below", "at_most")
_SINGLE = (*ORDERED, "equals", "differs_from")


class When(Spec):
    """What a value must be. Unlike in a threshold, all of several operators must hold."""

    above: float | None = Field(default=None, strict=False)
    at_least: float | None = Field(default=None, strict=False)
    below: float | None = Field(default=None, strict=False)
    at_most: float | None = Field(default=None, strict=False)
    equals: bool | float | str | None = None
    differs_from: bool | float | str | None = None
    in_: tuple[bool | float | str, ...] | None = Field(default=None, alias="in", strict=False, min_length=1)

    @classmethod
    def written(cls) -> list[str]:
        return [*OPERATORS, "in"]

    @model_validator(mode="after")
    def _says_something(self) -> "When":
        if not self.model_fields_set:
            raise ValueError(f"a condition needs one of: {', '.join(self.written())}")
        return self

    def fits(self, value: Any) -> bool:
        """Whether the value is so. What cannot be compared does not fit."""
        if self.in_ is not None and not any(_same(value, known) for known in self.in_):
            return False
        if self.equals is not None and not _same(value, self.equals):
            return False
        if self.differs_from is not None and _same(value, self.differs_from):
            return False
        return all(
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and Condition.model_validate({name: bound}).holds(value)
            for name in ORDERED
            if (bound := getattr(self, name)) is not None
        )

    def compared(self) -> tuple[bool | float | str, ...]:
        """What values are compared with for equality."""
        single = (self.equals, self.differs_from)
        return (*(value for value in single if value is not None), *(self.in_ or ()))

    def words(self) -> str:
        """`= production`, `one of staging, test`, `> 5 and ≤ 10`."""
        pairs = [(name, getattr(self, name)) for name in _SINGLE]
        parts = [
            show_bound(name, as_text(bound) if name not in ORDERED else bound, "")
            for name, bound in pairs
            if bound is not None
        ]
        if self.in_ is not None:
            parts.append(f"one of {', '.join(map(as_text, self.in_))}")
        return " and ".join(parts)


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)
