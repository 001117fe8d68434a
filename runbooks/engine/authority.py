"""Whether a run may still change something: asked anew before each effect, of who knows it.

What was granted when the run began may have been taken away since. The way back is never held up.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

from runbooks.engine.at import Stopped
from runbooks.engine.hold import Hold
from runbooks.errors import MaintError, Unsure
from runbooks.records.asks import CLOSED
from runbooks.records.person import Person
from runbooks.records.runs import AskKind, Phase, RunRow, RunView

#: Seconds that one answer may take; whoever knows is asked again later.
LONGEST_ANSWER = 10.0
#: The pause before the first other try, which doubles, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=1)
#: For so long a step waits for an answer before people are asked what to do.
PATIENCE = timedelta(minutes=10)
#: The key in a step's data.
KEY = "unsure"


class Authority(Protocol):
    """Who knows what people were granted."""

    async def refusal(self, run: RunRow, by: Person, /) -> str:
        """Why that person may not have the run carried on at this moment; empty when they may.

        Raises Unsure when that cannot be found out now. An answer that is at hand is given without waiting.
        """


class Everybody:
    """Where nobody is asked: runbooks that are tested with nothing touched, the engine alone, benchmarks."""

    async def refusal(self, _run: RunRow, _by: Person) -> str:
        """Nobody is refused."""
        return ""


class NotAllowed(MaintError):
    """Nobody on whose word the step would change something may have it changed any more."""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Since when a step waits for an answer, how often it has asked, and when it did so last."""

    since: datetime
    tries: int
    last: datetime

    @classmethod
    def after(cls, data: Mapping[str, Any], now: datetime) -> Self:
        """One more try in vain. One that comes long after the last belongs to another trouble."""
        kept = data.get(KEY)
        if kept and now - datetime.fromisoformat(kept["last"]) <= 2 * LONGEST_PAUSE:
            return cls(since=datetime.fromisoformat(kept["since"]), tries=kept["tries"] + 1, last=now)
        return cls(since=now, tries=1, last=now)

    def as_data(self) -> dict[str, Any]:
        """It as JSON."""
        return {"since": self.since.isoformat(), "tries": self.tries, "last": self.last.isoformat()}

    @property
    def again_at(self) -> datetime:
        """When it is tried again."""
        pause: timedelta = FIRST_PAUSE * 2 ** min(self.tries - 1, 10)
        return self.last + min(pause, LONGEST_PAUSE)

    @property
    def is_long(self) -> bool:
        """Whether people are to be asked by now."""
        return self.last - self.since >= PATIENCE


async def demand(authority: Authority, hold: Hold, path: str, stop: asyncio.Event) -> None:
    """Returns when the step at that path may change something. Raises NotAllowed, Unsure, Stopped."""
    row = hold.row(path)
    assert row is not None
    if row.phase == Phase.ROLLBACK:
        return
    refusals: list[str] = []
    doubt: Unsure | None = None
    for by in on_whose_word(hold.view, path):
        try:
            refusal = await _answer(authority, hold, by, stop)
        except Unsure as error:
            doubt = error
            continue
        if not refusal:
            return
        refusals.append(refusal)
    if doubt is not None:
        raise doubt
    raise NotAllowed(refusals[0])


def on_whose_word(view: RunView, path: str) -> tuple[Person, ...]:
    """Whoever said Retry to this step last, if somebody did, and who asked for the run."""
    run = view.run
    asked = Person(kind=run.requester_kind, id=run.requester_id, name=run.requester_name, team=run.team)
    questions = [view.ask(path, kind) for kind in (AskKind.FAILED, AskKind.IN_DOUBT)]
    answered = {ask.id for ask in questions if ask and ask.state == CLOSED and ask.answer == "retry"}
    votes = sorted(
        (vote for vote in view.votes if vote.ask in answered and vote.choice == "retry"),
        key=lambda vote: vote.at,
    )
    retried = [Person(kind=vote.kind, id=vote.person, name=vote.name, team=run.team) for vote in votes[-1:]]
    return (*retried, *([asked] if not retried or retried[0].id != asked.id else []))


async def _answer(authority: Authority, hold: Hold, by: Person, stop: asyncio.Event) -> str:
    asking = asyncio.create_task(authority.refusal(hold.view.run, by))
    stopping = asyncio.create_task(stop.wait())
    try:
        # An answer that is at hand is there after this one turn of the loop.
        await asyncio.sleep(0)
        if not asking.done():
            # Somebody has to be asked, and that takes its time: what has happened before is noted first.
            await hold.settle()
            await asyncio.wait(
                {asking, stopping}, timeout=LONGEST_ANSWER, return_when=asyncio.FIRST_COMPLETED
            )
        if asking.done():
            return asking.result()
        if stopping.done():
            raise Stopped("people stopped the run")
        raise Unsure(f"Whether {by.name} still may have this done could not be found out in time.")
    finally:
        stopping.cancel()
        asking.cancel()
        asking.add_done_callback(lambda late: late.cancelled() or late.exception())
