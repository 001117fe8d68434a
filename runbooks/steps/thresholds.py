"""Thresholds as data: `warning: {above: 80}` or `critical: {elapsed_ms: {above: 2000}}`."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from runbooks.nearest import did_you_mean
from runbooks.spec.model import Spec

OPERATORS = ("above", "at_least", "below", "at_most", "equals", "differs_from")


class Condition(Spec):
    """When a value is bad. Several operators in one condition: any of them is enough."""

    above: float | None = Field(default=None, strict=False)
    at_least: float | None = Field(default=None, strict=False)
    below: float | None = Field(default=None, strict=False)
    at_most: float | None = Field(default=None, strict=False)
    equals: float | str | None = None
    differs_from: float | str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Condition":
        if not self.model_fields_set:
            raise ValueError(f"a condition needs one of: {', '.join(OPERATORS)}")
        return self

    def holds(self, value: float | str) -> bool:
        """Whether the value is bad. A number is compared with numbers, a word only for equality."""
        if isinstance(value, str):
            return (self.equals is not None and value == self.equals) or (
                self.differs_from is not None and value != self.differs_from
            )
        return (
            (self.above is not None and value > self.above)
            or (self.at_least is not None and value >= self.at_least)
            or (self.below is not None and value < self.below)
            or (self.at_most is not None and value <= self.at_most)
            or (self.equals is not None and value == self.equals)
            or (self.differs_from is not None and value != self.differs_from)
        )

    def bounds(self) -> tuple[tuple[str, float | str], ...]:
        """The operators that are set, as (`above`, 80) pairs, to be shown beside the value."""
        pairs = ((name, getattr(self, name)) for name in OPERATORS)
        return tuple((name, bound) for name, bound in pairs if bound is not None)


def _short_form(value: Any) -> Any:
    if isinstance(value, dict) and value and all(key in OPERATORS for key in value):
        return {"": value}  # the step puts its headline's name there
    for key, condition in value.items() if isinstance(value, dict) else ():
        if not isinstance(condition, (dict, Condition)):
            hint = did_you_mean(str(key), OPERATORS) or f"the operators: {', '.join(OPERATORS)}"
            raise ValueError(
                f"`{key}` is no operator; write {{above: 80}}, or {{output: {{above: 80}}}} ({hint})"
            )
    return value


Thresholds = Annotated[
    dict[str, Condition],
    BeforeValidator(_short_form, json_schema_input_type=Condition | dict[str, Condition]),
]
