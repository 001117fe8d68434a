"""Carries out `wait`: notes when it ends, and waits for that."""

from datetime import datetime

from runbooks.engine.at import At, Finished, Outcome, Waiting
from runbooks.engine.times import show_time
from runbooks.records.runs import WaitingOn
from runbooks.spec.model import show_duration
from runbooks.steps.wait import Wait


async def run_wait(at: At, model: Wait) -> Outcome:
    """Waits until the time is over, counted from the first moment of this attempt."""
    now = at.now()
    kept = at.row.data
    if kept.get("attempt") == at.row.attempt:
        ends = datetime.fromisoformat(kept["until"])
    else:
        ends = now + model.length
        await at.save({"until": ends.isoformat(), "attempt": at.row.attempt})
    if now >= ends:
        return Finished(summary=f"waited {show_duration(model.length)}")
    return Waiting(on=WaitingOn.TIME, until=ends, progress=f"until {show_time(ends, now)}")
