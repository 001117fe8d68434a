"""The pages about soaks and rollouts have every key that people may write."""

from pathlib import Path

import pytest

from runbooks.spec.model import Spec
from runbooks.steps.comparison import Comparison
from runbooks.steps.rollout import Between, Rollout
from runbooks.steps.soak import Soak
from runbooks.steps.traffic.command import CommandTraffic
from runbooks.steps.traffic.http import Get, HttpTraffic, Set

PAGES = Path(__file__).parents[2] / "docs" / "steps"


@pytest.mark.parametrize(
    ("page", "model"),
    [
        ("soak.md", Soak),
        ("rollout.md", Rollout),
        ("rollout.md", Comparison),
        ("rollout.md", Between),
        ("rollout.md", HttpTraffic),
        ("rollout.md", Get),
        ("rollout.md", Set),
        ("rollout.md", CommandTraffic),
    ],
)
def test_every_key_is_explained(page: str, model: type[Spec]) -> None:
    """In backquotes, or in an example."""
    text = (PAGES / page).read_text(encoding="utf-8")

    assert [key for key in model.written() if f"`{key}`" not in text and f"{key}:" not in text] == []


@pytest.mark.parametrize(("page", "model"), [("soak.md", Soak), ("rollout.md", Rollout)])
def test_every_output_is_explained(page: str, model: type[Soak] | type[Rollout]) -> None:
    """In the table of outputs."""
    text = (PAGES / page).read_text(encoding="utf-8")

    assert [name for name in model.outputs if f"| `{name}` |" not in text] == []
