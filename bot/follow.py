"""Follows a run for somebody at the terminal: read from the database each second, whoever carries it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from commands.command import Progress
from commands.reply import Note, Reply
from commands.run_detail import in_full
from commands.runs_facade import Runs
from runbooks.errors import RecordsError, UsageError
from runbooks.records.runs import RunState, RunView, WaitingOn
from runbooks.steps.reach import utc_now

#: Seconds between two looks.
INTERVAL = 1.0
#: A run that could begin and has not for so long: probably nobody is there to carry it.
LONGEST_START = timedelta(seconds=15)
#: Exit codes of `maint run`.
EXIT_DONE, EXIT_WAITS, EXIT_NOT_DONE, EXIT_LEFT = 0, 1, 2, 130

_FOR_PEOPLE = frozenset({WaitingOn.GATE, WaitingOn.MANUAL, WaitingOn.QUESTION})


def waits_for_people(view: RunView) -> bool:
    """Whether nothing happens until somebody decides."""
    return view.run.state == RunState.ASKING or view.run.waiting_on in _FOR_PEOPLE


def exit_code(view: RunView, done: RunState = RunState.SUCCEEDED) -> int:
    """0 when the run came to the end that was asked for, 1 while it waits for people, 2 for another end."""
    if not view.run.over:
        return EXIT_WAITS
    return EXIT_DONE if view.run.state in (RunState.SUCCEEDED, done) else EXIT_NOT_DONE


async def follow(
    runs: Runs,
    run: str,
    show: Progress,
    *,
    leave: asyncio.Event,
    now: Callable[[], datetime] = utc_now,
    interval: float = INTERVAL,
) -> RunView | None:
    """Shows the run until it is over or waits for people; None when `leave` was set before that.

    A database that does not answer is waited for: the run does not end because nobody can look at it.
    """
    last: Reply | None = None
    while True:
        try:
            view = await runs.view(run)
        except RecordsError as error:
            if last is not None:
                show(replace(last, elements=(*last.elements, Note(f"This may be old: {error}"))))
        else:
            if view is None:
                raise UsageError(f"There is no run {run} any more.")
            if view.run.over or waits_for_people(view):
                return view
            last = _drawn(view, now())
            show(last)
        try:
            await asyncio.wait_for(leave.wait(), interval)
        except TimeoutError:
            continue
        return None


def _drawn(view: RunView, now: datetime) -> Reply:
    reply = replace(in_full("maint", view, (), now), done=False)
    idle = view.run.state == RunState.QUEUED and not view.in_the_way and not view.paused
    if idle and now - view.run.created_at > LONGEST_START:
        note = Note("It has not begun yet, and nothing is in its way. Is `maint serve` running?")
        reply = replace(reply, elements=(*reply.elements, note))
    return replace(
        reply, elements=(*reply.elements, Note("Ctrl-C stops watching; the run goes on without you."))
    )
