"""Runbooks with tests beside them, in a folder."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from runbooks.rehearsal.reading import file_beside
from runbooks.rehearsal.rehearse import load, rehearse
from runbooks.rehearsal.stage import World
from runbooks.rehearsal.verdict import Judgement
from runbooks.spec.library import load_library
from runbooks.targets import Target, TargetBase

TARGETS: dict[str, TargetBase] = TypeAdapter(dict[str, Target]).validate_python(
    {
        "web-1": {"type": "host", "name": "web-1", "ssh": {"host": "web-1.invalid", "user": "nobody"}},
        "app": {
            "type": "http",
            "name": "app",
            "url": "http://app.invalid",
            "traffic": {
                "http": {
                    "get": {"path": "/rollout", "weight": "/weight"},
                    "set": {"method": "PUT", "path": "/rollout", "json": {"weight": "{weight}"}},
                }
            },
        },
        "cluster": {"type": "kubernetes", "name": "cluster", "namespace": "shop", "url": "https://k.invalid"},
    }
)

#: Given the text of a runbook and of its tests: what came of each.
Rehearse = Callable[[str, str], Any]


@pytest.fixture
def rehearsed(tmp_path: Path) -> Rehearse:
    """Carries out the tests of a runbook; nothing in it can be reached."""

    async def run(runbook: str, tests: str) -> tuple[Judgement, ...]:
        (tmp_path / "a.yaml").write_text(textwrap.dedent(runbook).lstrip())
        (tmp_path / "a.test.yaml").write_text(textwrap.dedent(tests).lstrip())
        types = {name: type(target) for name, target in TARGETS.items()}
        found = load_library(tmp_path, types)["a"]
        beside = file_beside(found.path)
        assert beside is not None
        world = World(targets=TARGETS, channels={"ops": "C0OPS"})
        return await rehearse([(found, load(found, beside))], world)

    return run
