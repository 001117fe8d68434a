"""The ladder, as a pure function: what it does next, from how far it came and what became of its subject.

A subject is an alert or a question to people. The ladder reads its state and never keeps its own idea of
it: who acknowledges or resolves need only wake it, and one that was not woken finds out at its next step.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    """What became of the subject."""

    OPEN = "open"
    TAKEN = "taken"  #: somebody acknowledged it
    SNOOZED = "snoozed"
    OVER = "over"  #: resolved, decided, void


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """How far it came. `told`: levels that were told in this turn, over all rounds. `due_at`: when the next
    is told. A turn is a climb from the bottom: a snooze that ended, or worse trouble, begins another."""

    gaps: tuple[timedelta, ...]
    repeat: int
    every: timedelta
    turn: int
    told: int
    due_at: datetime
    rests: bool  # somebody has it, or it sleeps: when it is open again, a turn begins
    acknowledged: bool  # the services were told so, in this turn
    over: bool

    @property
    def height(self) -> int:
        """How many levels are told in all."""
        return len(self.gaps) * (1 + self.repeat)

    @property
    def exhausted(self) -> bool:
        """Whether everybody was told, as often as there is to tell."""
        return self.told >= self.height


@dataclass(frozen=True, kw_only=True)
class Tell:
    """A level, 0 for the first, is told, for the first or another round."""

    turn: int
    round: int
    level: int


@dataclass(frozen=True, kw_only=True)
class Acknowledge:
    """The services are told that somebody has it."""


@dataclass(frozen=True, kw_only=True)
class Resolve:
    """The services are told that it is over."""


Deed = Tell | Acknowledge | Resolve


@dataclass(frozen=True, kw_only=True)
class Move:
    """What is done now, if anything; how the ladder stands then; and when it is to be looked at again. None:
    when somebody changes the subject."""

    ladder: Ladder
    wake_at: datetime | None
    deed: Deed | None = None


def new_ladder(gaps: tuple[timedelta, ...], repeat: int, every: timedelta, at: datetime) -> Ladder:
    """A ladder whose first level is told after its gap; none without levels."""
    first = gaps[0] if gaps else timedelta(0)
    return Ladder(
        gaps=gaps,
        repeat=repeat if gaps else 0,
        every=every,
        turn=0,
        told=0,
        due_at=at + first,
        rests=False,
        acknowledged=False,
        over=False,
    )


def climb(ladder: Ladder, state: State, now: datetime, asleep_until: datetime | None = None) -> Move:
    """One move. `asleep_until`: when a snooze ends. Called again with the ladder that it returned, it goes
    on; with the one before, it does the same."""
    if ladder.over:
        return Move(ladder=ladder, wake_at=None)
    if state is State.OVER:
        return Move(ladder=replace(ladder, over=True), wake_at=None, deed=Resolve())
    if state is State.TAKEN:
        taken = replace(ladder, rests=True, acknowledged=True)
        return Move(ladder=taken, wake_at=None, deed=None if ladder.acknowledged else Acknowledge())
    if state is State.SNOOZED:
        return Move(ladder=replace(ladder, rests=True), wake_at=asleep_until)
    if ladder.rests:
        ladder = next_turn(ladder, now)
    if ladder.exhausted:
        return Move(ladder=ladder, wake_at=None)
    if now < ladder.due_at:
        return Move(ladder=ladder, wake_at=ladder.due_at)
    return _tell(ladder, now)


def next_turn(ladder: Ladder, now: datetime) -> Ladder:
    """The same ladder from the bottom."""
    anew = new_ladder(ladder.gaps, ladder.repeat, ladder.every, now)
    return replace(anew, turn=ladder.turn + 1)


def _tell(ladder: Ladder, now: datetime) -> Move:
    round_, level = divmod(ladder.told, len(ladder.gaps))
    told = ladder.told + 1
    # From now, not from when it was due: after an outage those who were told late still get their time.
    again = told % len(ladder.gaps) == 0
    gap = ladder.every + ladder.gaps[0] if again else ladder.gaps[told % len(ladder.gaps)]
    then = replace(ladder, told=told, due_at=now + gap)
    return Move(
        ladder=then,
        wake_at=None if then.exhausted else then.due_at,
        deed=Tell(turn=ladder.turn, round=round_, level=level),
    )
