"""A step that takes what was shown is held to what the gate before it showed, on both databases."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from runbooks.records.run_tables import run_steps
from runbooks.records.runs import WaitingOn
from tests.runs.conftest import SAM, Clock, House

Build = Callable[..., Any]
#: The clock that the files are judged by is the machine's.
TODAY = datetime.now(UTC)

SWEEP = """
    name: sweep
    title: Sweep
    steps:
      - id: look
        logs.prune: {target: here, folder: FOLDER, match: ['*.gz'], older_than: 1d, show_only: true}
      - id: other
        logs.prune: {target: here, folder: FOLDER, match: ['*'], older_than: 1d, show_only: true}
      - id: go
        gate: {approvers: [sre], requester_may_approve: true, expires: 1h}
      - id: prune
        logs.prune:
          target: here
          folder: FOLDER
          match: ['*']
          older_than: 1d
          shown: '{{ steps.look.shown }}'
    """


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two old files, of which the rule is about one."""
    found = tmp_path / "old"
    found.mkdir()
    for name in ("a.log.gz", "b.log"):
        (found / name).write_text("line")
        os.utime(found / name, (1, 1))
    return found


def there(folder: Path) -> list[str]:
    """What is in the folder."""
    return sorted(each.name for each in folder.iterdir())


async def waiting(house: House) -> str:
    """A run that waits at its gate."""
    run = await house.start("sweep")
    await house.waiting(run, WaitingOn.GATE)
    return run


async def test_what_the_gate_showed_goes_and_nothing_else(build: Build, folder: Path) -> None:
    """The card of the gate names the files that a yes is about."""
    async with build({"sweep": SWEEP.replace("FOLDER", str(folder))}, clock=Clock(TODAY)) as house:
        run = await waiting(house)
        view = await house.engine.view(run)
        (ask,) = view.open_asks
        await house.answer(run, "approve", SAM)
        await house.over(run)

    assert ask.spec["radius"][0] == "prune: now 1 files, 4 B"
    assert ask.spec["radius"][1].endswith("a.log.gz")
    assert there(folder) == ["b.log"]


async def test_what_is_not_what_was_approved_is_not_done(build: Build, folder: Path) -> None:
    """However it came to be another list: here somebody has changed it in the database."""
    async with build({"sweep": SWEEP.replace("FOLDER", str(folder))}, clock=Clock(TODAY)) as house:
        run = await waiting(house)
        view = await house.engine.view(run)
        forged = update(run_steps).where(run_steps.c.run == run, run_steps.c.path == "look")
        outputs = {**view.step("look").outputs, "shown": view.step("other").outputs["shown"]}
        await house.records.write(lambda connection: connection.execute(forged.values(outputs=outputs)))
        await house.answer(run, "approve", SAM)
        asked = await house.asking(run)

    assert "not what was shown when" in asked.step("prune").error
    assert there(folder) == ["a.log.gz", "b.log"]
