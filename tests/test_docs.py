"""The documentation keeps up with the code."""

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from bot.settings import Settings
from runbooks.spec.model import Spec
from runbooks.spec.runbook import Escalation, Head, Schedule
from runbooks.spec.step_reading import StepHead
from runbooks.steps.step import Check
from runbooks.steps.thresholds import OPERATORS

DOCS = Path(__file__).parent.parent / "docs"


def keys(annotation: Any) -> Iterator[str]:
    """Every key that people may write in that model and in those inside it."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield from annotation.written()
        for field in annotation.model_fields.values():
            yield from keys(field.annotation)
    elif get_origin(annotation) in (Annotated, Union, UnionType, dict, tuple):
        for argument in get_args(annotation):
            yield from keys(argument)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("configuration.md", set(keys(Settings))),
        (
            "writing-runbooks.md",
            {
                *(*keys(Head), *keys(Schedule), *keys(Escalation), *keys(StepHead)),
                *(*Check.written(), "steps", *OPERATORS),
            },
        ),
    ],
)
def test_every_key_is_explained(page: str, expected: set[str]) -> None:
    """The page has every key of the file that it is about, in backquotes."""
    text = (DOCS / page).read_text(encoding="utf-8")

    assert [name for name in sorted(expected) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("variable", ["MAINT_CONFIG", "MAINT_DATABASE_URL", "SLACK_API_URL"])
def test_every_variable_is_explained(variable: str) -> None:
    """The page about settings has the variables that stand for settings."""
    assert f"`{variable}`" in (DOCS / "configuration.md").read_text(encoding="utf-8")
