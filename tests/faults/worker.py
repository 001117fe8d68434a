"""`maint serve` for the torture: with leases of two seconds, and more cards than Slack itself would take."""

import asyncio
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import dbos  # noqa: F401 - imported once here, and not at the start of every process

from bot import app
from bot.slack import board, pace
from runbooks.engine.crew import Crew
from runbooks.engine.replica import Rhythm
from runbooks.records.budgets import Budget

RHYTHM = Rhythm(lease=2.0, beat=0.5, sweep=0.3, reap=0.5)
#: The sandbox's own limits are off: what is tested here is that every card is right in the end.
PLENTY = 50.0


def _posts(channel: str) -> Budget:
    return Budget(f"chat.postMessage:{channel}", size=PLENTY, per_second=PLENTY)


def run(settings: str, environment: Mapping[str, str], log: str) -> None:
    """Serves that maint.yaml until it is killed, or asked to end. The log is appended to."""
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    app.Crew = partial(Crew, rhythm=RHYTHM)  # type: ignore[misc, assignment]
    pace.UPDATES = board.UPDATES = Budget("chat.update", size=PLENTY, per_second=PLENTY)  # type: ignore[misc]
    pace.posts = board.posts = _posts
    asyncio.run(app.serve(Path(settings), environment))
