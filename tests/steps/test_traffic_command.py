"""Traffic moved by programs: real processes, on this machine and over ssh."""

import sys
from pathlib import Path
from typing import Any

import pytest

from runbooks.errors import StepError
from runbooks.steps.traffic import driver_of
from runbooks.targets import HostTarget
from tests.steps.conftest import Sshd
from tests.steps.moving import app_at, call_with

#: Keeps what it was given, and prints it again.
PROGRAM = """
import json, pathlib, sys
kept = pathlib.Path(sys.argv[1])
if sys.argv[2] == "set":
    version, weight = sys.argv[3:]
    kept.write_text(json.dumps({"version": version, "weight": float(weight)}))
else:
    print(kept.read_text())
"""


def driven(folder: Path, **changes: Any) -> dict[str, Any]:
    """The driver's fields: a program that keeps its state in that folder."""
    program = folder / "weights.py"
    program.write_text(PROGRAM)
    argv = [sys.executable, str(program), str(folder / "kept")]
    (folder / "kept").write_text('{"version": "1.9.0", "weight": 100}')
    fields = {"host": "web-1", "get": [*argv, "get"], "set": [*argv, "set", "{version}", "{weight}"]}
    return {**fields, **changes}


async def moved_and_restored(target: Any, host: HostTarget) -> None:
    """Reads, sets, restores, and finds everything as it should be."""
    driver = driver_of(target)
    async with call_with(target, host) as call:
        recorded = await driver.read(target, "2.0.0", call)
        await driver.set(target, "2.0.0; touch /tmp/x $(id) 'a", 12.5, call)
        moved = await driver.read(target, "2.0.0", call)
        await driver.restore(target, recorded, call)
        restored = await driver.read(target, "2.0.0", call)

    assert (recorded.version, recorded.weight) == ("1.9.0", 100)
    assert (moved.version, moved.weight) == ("2.0.0; touch /tmp/x $(id) 'a", 12.5)
    assert restored == recorded


async def test_programs_move_the_traffic_and_put_it_back(tmp_path: Path) -> None:
    """What looks like a shell's is one argument like any other."""
    target = app_at("http://localhost", {"command": driven(tmp_path)})

    await moved_and_restored(target, HostTarget(type="host", name="web-1"))


@pytest.mark.debian("sshd")
async def test_programs_move_the_traffic_over_ssh(sshd: Sshd, tmp_path: Path) -> None:
    """The same on another machine."""
    target = app_at("http://localhost", {"command": driven(tmp_path)})

    await moved_and_restored(target, sshd.target().model_copy(update={"name": "web-1"}))


async def test_a_plain_number_is_a_weight(tmp_path: Path) -> None:
    """A program that knows of no version."""
    target = app_at("http://localhost", {"command": driven(tmp_path, get=["echo", "25"])})
    async with call_with(target, HostTarget(type="host", name="web-1")) as call:
        live = await driver_of(target).read(target, "2.0.0", call)

    assert (live.version, live.weight) == (None, 25)
    assert live.detail == {"version": "2.0.0", "weight": 25}


@pytest.mark.parametrize(
    ("get", "words"),
    [
        (["echo", "much"], "printed neither a number nor JSON: much"),
        (["true"], r"printed neither a number nor JSON: \(nothing\)"),
        (["echo", "{}"], "tells no weight from 0 to 100 but 'None'"),
        (["echo", "250"], "tells no weight from 0 to 100 but '250"),
        (["ls", "/nowhere-at-all"], "`ls` on web-1 ended with code 2: ls: cannot access"),
        (["no-such-program"], "cannot be run on this machine"),
    ],
)
async def test_a_program_that_says_nothing_is_an_error(tmp_path: Path, get: list[str], words: str) -> None:
    """With what it printed, or how it ended."""
    target = app_at("http://localhost", {"command": driven(tmp_path, get=get)})
    async with call_with(target, HostTarget(type="host", name="web-1")) as call:
        with pytest.raises(StepError, match=words):
            await driver_of(target).read(target, "2.0.0", call)


async def test_a_program_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """At the driver's timeout."""
    target = app_at("http://localhost", {"command": driven(tmp_path, get=["sleep", "60"], timeout="200ms")})
    async with call_with(target, HostTarget(type="host", name="web-1")) as call:
        with pytest.raises(StepError, match="did not end within 200ms"):
            await driver_of(target).read(target, "2.0.0", call)


async def test_a_version_is_never_an_option(tmp_path: Path) -> None:
    """`--force` would be another command."""
    target = app_at("http://localhost", {"command": driven(tmp_path)})
    async with call_with(target, HostTarget(type="host", name="web-1")) as call:
        with pytest.raises(StepError, match="begins with a dash"):
            await driver_of(target).set(target, "--force", 25, call)
        with pytest.raises(StepError, match="web-1 is no host target"):
            async with call_with(target) as nobody:
                await driver_of(target).set(target, "2.0.0", 25, nobody)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"set": ["shift", "--weight={weight}"]}, "a value of its own"),
        ({"set": ["shift", "{version}"]}, "every stage would do the same"),
        ({"set": "shift {weight}"}, "valid tuple"),
        ({"get": []}, "at least 1 item"),
    ],
)
def test_programs_that_make_no_sense_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """When the settings are read."""
    with pytest.raises(ValueError, match=words):
        app_at("http://localhost", {"command": driven(tmp_path, **changes)})


def test_the_plan_shows_the_arguments(tmp_path: Path) -> None:
    """As a list, so that it is seen where one ends."""
    target = app_at("http://localhost", {"command": {**driven(tmp_path), "set": ["shift", "{weight}"]}})

    assert driver_of(target).lines(target, "2.0.0", 25.0) == ('on web-1: ["shift", "25"]',)
