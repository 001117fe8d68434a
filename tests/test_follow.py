"""`maint run` at the terminal: it shows the run until it is over, waits for people, or is left."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.follow import exit_code, follow, waits_for_people
from commands.reply import Reply
from runbooks.errors import RecordsError
from runbooks.records.runs import RunState, RunView
from tests.commands.world import NOW, RUN, Engine, ask, lock, read, run_row, view

RUNNING = view(run_row(state="running", waiting_on=""))
QUEUED = view(run_row(state="queued", waiting_on="", created_at=NOW - timedelta(minutes=1)))


class Changing(Engine):
    """A run that is another one at each look; an error is a database that does not answer."""

    def __init__(self, *looks: RunView | RecordsError) -> None:
        super().__init__()
        self.looks = list(looks)

    async def view(self, run: str) -> RunView | None:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, RecordsError):
            raise look
        return look


async def followed(engine: Engine, leave_after: int = 0) -> tuple[RunView | None, list[str]]:
    """How it ended, and what was shown on the way; the person leaves after so many pictures."""
    shown: list[str] = []
    leave = asyncio.Event()

    def show(reply: Reply) -> None:
        shown.append(read(reply))
        if len(shown) == leave_after:
            leave.set()

    now: Callable[[], object] = lambda: NOW  # noqa: E731
    return await follow(engine, RUN, show, leave=leave, now=now, interval=0.01), shown  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "waiting_on", "code"),
    [
        ("succeeded", "", 0),
        ("failed", "", 2),
        ("cancelled", "", 2),
        ("rolled_back", "", 2),
        ("abandoned", "", 2),
        ("waiting", "gate", 1),
        ("waiting", "manual", 1),
        ("asking", "question", 1),
    ],
)
async def test_it_is_followed_to_its_end_or_to_a_question(state: str, waiting_on: str, code: int) -> None:
    """0 succeeded, 1 waits for people, 2 any other end."""
    last = view(run_row(state=state, waiting_on=waiting_on))

    ended, shown = await followed(Changing(RUNNING, RUNNING, last))

    assert ended == last
    assert len(shown) == 2
    assert exit_code(last) == code


@pytest.mark.parametrize("waiting_on", ["time", "soak", "lock", "pause"])
def test_what_goes_on_by_itself_is_followed(waiting_on: str) -> None:
    """A soak, a lock or a stop of everything ends without an answer of this run's people."""
    assert not waits_for_people(view(run_row(waiting_on=waiting_on), ask("shift", "rollout", ("hold",))))


async def test_who_leaves_leaves_it_running() -> None:
    """Ctrl-C ends the watching and nothing else; every picture says so."""
    ended, shown = await followed(Changing(RUNNING), leave_after=3)

    assert ended is None
    assert len(shown) == 3
    assert "Ctrl-C stops watching; the run goes on" in shown[0]


async def test_a_database_that_is_away_is_waited_for() -> None:
    """The last picture stays, marked as old, until there is a new one."""
    done = view(run_row(state="succeeded"))

    ended, shown = await followed(Changing(RUNNING, RecordsError("no answer"), RUNNING, done))

    assert ended == done
    assert ["may be old: no answer" in picture for picture in shown] == [False, True, False]


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (QUEUED, True),
        (replace(QUEUED, in_the_way=(lock(),)), False),
        (replace(QUEUED, paused="dana: fire"), False),
        (RUNNING, False),
    ],
)
async def test_a_run_that_nobody_carries_says_so(look: RunView, said: bool) -> None:
    """Queued for a minute with nothing in its way: probably `maint serve` is not there."""
    _, shown = await followed(Changing(look), leave_after=1)

    assert ("Is `maint serve` running?" in shown[0]) is said


def test_a_rollback_that_rolled_back_is_done() -> None:
    """For who typed `maint rollback` that is the end that was asked for."""
    assert exit_code(view(run_row(state="rolled_back")), RunState.ROLLED_BACK) == 0
