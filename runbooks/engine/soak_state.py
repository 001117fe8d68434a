"""What a soak keeps in its step's data: the countdown, the verdicts, the live numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Any, Self

from runbooks.status import Status

#: Verdicts that are kept for the card, the newest last.
MOST_VERDICTS = 60
#: Warnings that are kept; what is worth a look is seen from the first ones.
MOST_WARNINGS = 10


class Ending(StrEnum):
    """How a soak has ended."""

    NOT_YET = ""
    PASSED = "passed"
    FAILED = "failed"
    STUCK = "stuck"  #: nothing could be measured for too long: nobody knows


@dataclass(frozen=True, kw_only=True)
class LiveRow:
    """One live number against its threshold, as text: `error ratio`, `0.2 %`, `> 1 %`, `ok`."""

    name: str
    value: str
    bound: str
    status: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Round:
    """All checks, made once."""

    status: Status
    rows: tuple[LiveRow, ...]

    @property
    def reason(self) -> str:
        """Why it is not well, the worst first."""
        bad = [row for row in self.rows if row.status == self.status]
        return "; ".join(f"{row.name}: {row.reason or row.status}" for row in bad)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When a soak fails, when people are asked, and whether it may end at all."""

    every: timedelta
    failures: int
    inconclusive: timedelta
    held: bool = False

    @property
    def most_blind(self) -> int:
        """How many rounds in a row may measure nothing. One lapse alone never asks people."""
        return max(2, ceil(self.inconclusive / self.every))


@dataclass(frozen=True, kw_only=True)
class SoakState:
    """A soak that is under way. Times are UTC.

    `failing` and `blind` count the rounds in a row that failed, and that measured nothing; `verdicts` are
    the statuses of the last rounds, `rows` the numbers of the very last one.
    """

    began: datetime
    ends_at: datetime
    next_tick: datetime
    rounds: int = 0
    failed_rounds: int = 0
    failing: int = 0
    blind: int = 0
    verdicts: tuple[str, ...] = ()
    rows: tuple[LiveRow, ...] = ()
    warnings: tuple[str, ...] = ()
    ending: Ending = Ending.NOT_YET
    reason: str = ""

    @classmethod
    def begin(cls, now: datetime, lasts: timedelta, every: timedelta) -> Self:
        """One that begins now. One that lasts no time is a single round, at once."""
        return cls(began=now, ends_at=now + lasts, next_tick=now + min(lasts, every))

    @property
    def status(self) -> str:
        """The last verdict; empty before the first round."""
        return self.verdicts[-1] if self.verdicts else ""

    @property
    def well(self) -> bool:
        """Whether the last round was measured, and held."""
        return self.status in (Status.OK, Status.WARNING)

    def after(self, round_: Round, now: datetime, rules: Rules) -> Self:
        """The soak after one more round.

        It ends well only with a last round that was well: what could not be measured, or failed fewer times
        than allowed, holds it beyond its time.
        """
        failed, blind = round_.status is Status.CRITICAL, round_.status is Status.UNKNOWN
        state = replace(
            self,
            next_tick=self._next_tick(now, rules.every),
            rounds=self.rounds + 1,
            failed_rounds=self.failed_rounds + failed,
            # A round that measured nothing says neither that it goes on failing nor that it is well again.
            failing=self.failing + failed if failed or blind else 0,
            blind=self.blind + 1 if blind else 0,
            verdicts=(*self.verdicts, round_.status.value)[-MOST_VERDICTS:],
            rows=round_.rows,
            warnings=self._warnings(round_),
        )
        if failed and state.failing >= rules.failures:
            times = f" {state.failing} times in a row" if rules.failures > 1 else ""
            return replace(state, ending=Ending.FAILED, reason=f"failed{times}: {round_.reason}")
        if state.blind >= rules.most_blind:
            reason = f"{state.blind} rounds in a row measured nothing: {round_.reason}"
            return replace(state, ending=Ending.STUCK, reason=reason)
        if state.well and now >= state.ends_at and not rules.held:
            return replace(state, ending=Ending.PASSED)
        return state

    def _next_tick(self, now: datetime, every: timedelta) -> datetime:
        due = self.next_tick + every
        if due <= now:  # nobody looked for a while: rounds that were missed are not made up for
            due = now + every
        return min(due, self.ends_at) if now < self.ends_at else due

    def _warnings(self, round_: Round) -> tuple[str, ...]:
        said = tuple(f"{row.name}: {row.reason}" for row in round_.rows if row.status == Status.WARNING)
        names = {warning.partition(":")[0] for warning in self.warnings}
        new = tuple(warning for warning in said if warning.partition(":")[0] not in names)
        return (*self.warnings, *new)[:MOST_WARNINGS]

    def as_data(self) -> dict[str, Any]:
        """It as JSON."""
        data = asdict(self)
        return data | {name: data[name].isoformat() for name in ("began", "ends_at", "next_tick")}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The soak that `as_data` wrote."""
        times = {name: datetime.fromisoformat(data[name]) for name in ("began", "ends_at", "next_tick")}
        return cls(
            **{
                **data,
                **times,
                "verdicts": tuple(data["verdicts"]),
                "rows": tuple(LiveRow(**row) for row in data["rows"]),
                "warnings": tuple(data["warnings"]),
                "ending": Ending(data["ending"]),
            }
        )


def soak_of(data: Mapping[str, Any]) -> SoakState | None:
    """The soak of a step whose kind is `soak`, from the step's data; None before it began."""
    return SoakState.from_data(data["soak"]) if data.get("soak") else None
