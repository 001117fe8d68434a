"""What gates and manual steps share: the ask of this attempt, its reminders, and the end of its time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runbooks.engine.at import At
from runbooks.records.asks import OPEN, VOID
from runbooks.records.runs import AskRow


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An ask to be at a step. `name` tells several of one step apart: a rollout's gate after each stage.

    `tell`: whether somebody hears of it at once, by a first reminder.
    """

    kind: str
    name: str
    title: str
    choices: Sequence[str]
    spec: Mapping[str, Any]
    expires: timedelta | None
    remind: Sequence[timedelta]
    tell: bool
    channel: str = ""
    digest: str = ""


def ask_of(at: At, kind: str, name: str) -> AskRow | None:
    """The ask of that name and of this attempt, answered or not; None when there is none, or it is void."""
    ask = at.view.ask(at.row.path, kind)
    if ask is None or ask.state == VOID:
        return None
    return ask if _belongs(ask) == (name, at.row.attempt) else None


async def open_new(at: At, wanted: Wanted) -> AskRow:
    """Opens the next round. One that an earlier attempt left open is void: nobody is asked twice at once."""
    left = at.view.ask(at.row.path, wanted.kind)
    if left is not None and left.state == OPEN:
        await at.close(left, "", "the step began anew", void=True)
    now = at.now()
    return await at.ask(
        wanted.kind,
        title=wanted.title,
        choices=wanted.choices,
        spec={**wanted.spec, "name": wanted.name, "attempt": at.row.attempt},
        deadline=now + wanted.expires if wanted.expires else None,
        remind_at=now if wanted.tell else _next(now, wanted.remind, now),
        channel=wanted.channel,
        digest=wanted.digest,
        again=True,
    )


def reminder_due(ask: AskRow, now: datetime) -> bool:
    """Whether people are to be told now."""
    return ask.remind_at is not None and now >= ask.remind_at


def next_reminder(ask: AskRow, remind: Sequence[timedelta], now: datetime) -> datetime | None:
    """When people are told again. Those that were missed meanwhile are told as one."""
    return _next(ask.opened_at, remind, now)


def until(times: Iterable[datetime | None]) -> datetime | None:
    """The first of these times."""
    return min((time for time in times if time is not None), default=None)


def _belongs(ask: AskRow) -> tuple[Any, Any]:
    return ask.spec.get("name"), ask.spec.get("attempt")


def _next(begun: datetime, remind: Sequence[timedelta], now: datetime) -> datetime | None:
    return next((begun + after for after in remind if begun + after > now), None)
