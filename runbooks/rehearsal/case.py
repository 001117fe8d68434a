"""What a test of a runbook says: what is given, and what is expected of the run."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from runbooks.spec.model import Duration, Name, Spec
from runbooks.targets import Target

GateWord = Literal["approved", "rejected", "expired"]
Answer = Literal["retry", "skip", "rollback", "abandon", "done", "failed", "cannot", "expired"]
Word = Literal["ok", "warning", "failed", "critical", "unknown", "in_doubt"]
State = Literal["succeeded", "failed", "cancelled", "rolled_back", "abandoned", "asking", "waiting"]
#: The words for a check that is not well; the others are for steps that act.
OF_CHECKS = ("warning", "critical", "unknown")


class Result(Spec):
    """What comes of carrying out a step. `at` and `after`: when the checks of a rollout or soak say so."""

    status: Word = "ok"
    failed: str | None = None
    outputs: dict[str, bool | float | str] = Field(default_factory=dict)
    at: float | None = Field(default=None, strict=False)
    after: Duration | None = None

    @property
    def word(self) -> Word:
        """How it ended."""
        return "failed" if self.failed is not None and self.status == "ok" else self.status

    @property
    def reason(self) -> str:
        """Why it did not end well."""
        return self.failed or f"{self.word}, as the test says"


def _in_short(value: Any) -> Any:
    return {"status": value} if isinstance(value, str) else value


def _as_list(value: Any) -> Any:
    return [_in_short(item) for item in value] if isinstance(value, list) else [_in_short(value)]


def _words(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


#: What comes of each time that a step is carried out; the last counts from then on.
Results = Annotated[
    tuple[Result, ...],
    BeforeValidator(_as_list, json_schema_input_type=Word | Result | tuple[Word | Result, ...]),
    Field(strict=False, min_length=1),
]
Gates = Annotated[
    tuple[GateWord, ...],
    BeforeValidator(_words, json_schema_input_type=GateWord | tuple[GateWord, ...]),
    Field(strict=False, min_length=1),
]
Answers = Annotated[
    tuple[Answer, ...],
    BeforeValidator(_words, json_schema_input_type=Answer | tuple[Answer, ...]),
    Field(strict=False, min_length=1),
]


class Given(Spec):
    """What the world does. A step of which nothing is said ends well; such a gate waits."""

    params: dict[str, Any] = Field(default_factory=dict)
    results: dict[str, Results] = Field(default_factory=dict)
    gates: dict[str, Gates] = Field(default_factory=dict)
    answers: dict[str, Answers] = Field(default_factory=dict)


#: A step by its path, or with the state that it is in: `tests`, `{shift: failed}`.
Passed = str | dict[str, str]


class Expect(Spec):
    """What comes of it. What is left out may be anything."""

    state: State | None = None
    refused: str | None = None
    path: tuple[Passed, ...] | None = Field(default=None, strict=False)
    skipped: dict[str, str] | None = None
    rollback: tuple[Passed, ...] | None = Field(default=None, strict=False)
    says: dict[str, str] = Field(default_factory=dict)


class Case(Spec):
    """One test."""

    name: str = Field(min_length=1, max_length=200)
    given: Given = Given()
    expect: Expect


class Cases(Spec):
    """A file of tests: `deploy.test.yaml` beside `deploy.yaml`. `targets`: beside those of maint.yaml."""

    targets: dict[Name, Target] = Field(default_factory=dict)
    tests: tuple[Case, ...] = Field(strict=False, min_length=1)
