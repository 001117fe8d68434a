"""One step of a runbook, as it was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from runbooks.steps.step import Check, Step


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often a step is tried by itself, and how long it waits in between."""

    attempts: int
    wait: timedelta


@dataclass(frozen=True, kw_only=True)
class RunbookStep:
    """One step. `title` is the kind's own when the file gives none, and may hold references.

    `fields` is what stands under the kind's key, references as written; `sample` is the model of it with
    made-up values in place of references: the real one where there are none. A group has its `steps`: of the
    kind `parallel`, or of the kind `each` when it is done for each item. `secrets` are the parameters among
    its references that are never shown.
    """

    id: str
    title: str
    kind: str
    line: int
    fields: Mapping[str, Any]
    model: type[Step]
    sample: Step
    when: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    for_each: Any = None
    at_once: int = 1
    skippable: bool = False
    on_failure: str = "ask"
    retry: Retry | None = None
    rollback: "RunbookStep | None" = None
    steps: tuple["RunbookStep", ...] = ()
    secrets: frozenset[str] = frozenset()

    @property
    def check(self) -> Check[Any]:
        """The step as a check."""
        assert isinstance(self.sample, Check)
        return self.sample
