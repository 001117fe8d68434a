"""What a rollout compares: the new version with the stable one, by a ratio or a difference."""

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from runbooks.spec.model import Spec
from runbooks.steps.inline_checks import LONGEST_NAME, InlineCheck
from runbooks.steps.step import EVERY, Output
from runbooks.steps.thresholds import Condition, Thresholds
from runbooks.steps.units import show_bound


class Comparison(Spec):
    """The same output of two checks, one that looks at the stable version and one at the new one.

    `ratio` is the new version's value divided by the stable one's, `difference` the one minus the other.
    """

    outputs: ClassVar[Mapping[str, Output]] = {
        "ratio": Output(title="ratio to stable"),
        "difference": Output(title="difference from stable"),
    }

    as_: str = Field(default="canary", alias="as", min_length=1, max_length=LONGEST_NAME)
    stable: InlineCheck
    canary: InlineCheck
    output: str | None = None
    warning: Thresholds = Field(default_factory=dict)
    critical: Thresholds = Field(default_factory=dict)

    @field_validator("warning", "critical", mode="after")
    @classmethod
    def _names_outputs(cls, thresholds: dict[str, Condition]) -> dict[str, Condition]:
        named = {name or "ratio": condition for name, condition in thresholds.items()}
        for name in named:
            if name not in cls.outputs:
                raise ValueError(f"a comparison has no output {name!r}; it has {', '.join(cls.outputs)}")
        return named

    @model_validator(mode="after")
    def _can_be_compared(self) -> Self:
        if not (self.warning or self.critical):
            raise ValueError("a comparison needs `warning:` or `critical:`, as in {ratio: {above: 1.5}}")
        for side, check in (("stable", self.stable.check), ("canary", self.canary.check)):
            if check.target == EVERY:
                raise ValueError(f"`{side}:` names its target: one value is compared with one")
            output = check.outputs.get(self.compared(side))
            if output is None or not output.number:
                raise ValueError(f"{check.kind} has no number {self.compared(side)!r} to compare")
        return self

    def compared(self, side: str) -> str:
        """The name of the output that counts on that side, `stable` or `canary`."""
        check = self.stable.check if side == "stable" else self.canary.check
        return self.output or check.headline

    def line(self) -> str:
        """What is compared and against what, for a plan."""
        bounds = "; ".join(
            f"{word} {self.outputs[name].title} "
            + " or ".join(show_bound(*pair, "") for pair in condition.bounds())
            for word, thresholds in (("critical:", self.critical), ("warning:", self.warning))
            for name, condition in thresholds.items()
        )
        return f"compares {self.as_} ({self.canary.line()} with {self.stable.line()}): {bounds}"
