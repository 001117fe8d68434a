"""What the documentation and the help say can be typed can be typed."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from commands import COMMANDS
from runbooks.records.freezes import Freeze
from tests.commands.world import NOW, Engine, World, ask, at_terminal, closed, lock, run_row, view

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
RUN = "01jd000000000000003f9kq2ab"
#: Words that have nothing to do with runs, and name targets: tests/scenario and tests/watch type them.
ELSEWHERE = ("health", "digest", "targets", "audit", "alerts", "oncall", "schedule", "backups")
REFUSED = ("did not understand", "does not fit", "Not allowed", "missing or wrong", "broke", "did not work")


def typed() -> list[str]:
    """Every line of the page's examples and of every command's own, without `maint` and comments."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    own = [example for command in COMMANDS.values() for example, _ in command.examples]
    found = dict.fromkeys([*(line.removeprefix("maint ") for line in lines), *own])
    return [line for line in found if line.split()[0] not in ELSEWHERE]


def world() -> World:
    """A run that asks everything at once, a lock, and a freeze."""
    questions = (
        ask("go"),
        ask("shift", "failed", ("retry", "skip", "abandon")),
        ask("restore", "manual", ("done", "failed", "cannot", "assign")),
        ask("roll", "rollout", ("promote", "hold", "resume", "rollback")),
        closed(ask("early")),
        ask("early", "review", ("reviewed",), id="ask-review"),
    )
    asked = (replace(question, run=RUN) for question in questions)
    frozen = Freeze(
        id="01jd00000000000000f4ee2e00",
        targets=("app",),
        environments=(),
        since=NOW,
        until=NOW + timedelta(days=1),
        reason="launch",
        by_id="U0",
        by_name="kim",
    )
    return World(Engine(held=(lock(),), frozen=(frozen,)).put(view(run_row(RUN), *asked)))


@pytest.mark.parametrize("line", typed())
async def test_an_example_does_what_it_says(line: str) -> None:
    """Each is understood, allowed to somebody who may everything, and carried out."""
    reply = await world().ask(at_terminal(line, "UALICE", "sre", "chief"))

    assert not any(words in reply.title for words in REFUSED), reply.fallback


def test_the_page_has_every_word() -> None:
    """A command that is added is described, with an example."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]

    assert {line.split()[1] for line in lines} == set(COMMANDS)
