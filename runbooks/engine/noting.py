"""What is noted of a step that is done."""

from datetime import datetime
from typing import Any

from runbooks.engine.at import Finished
from runbooks.engine.standing import Standing
from runbooks.records import outbox
from runbooks.records.runs import StepState
from runbooks.scrub import Scrubber
from runbooks.steps.action import Done
from runbooks.steps.chart import chart_letter
from runbooks.visible import shorten


def finished(done: Finished | Done, now: datetime, scrub: Scrubber) -> dict[str, Any]:
    """What a step's row says when it is done."""
    summary = "; ".join(part for part in (done.summary, *done.warnings) if part)
    values = done.outputs if isinstance(done, Finished) else done.values
    return {
        "state": StepState.WARNING if done.warnings else StepState.OK,
        "outputs": dict(values),
        "summary": shorten(scrub(summary), 1000),
        "progress": "",
        "error": "",
        "ended_at": now,
    }


def post_done(connection: Any, *, at: Standing, done: Finished | Done) -> None:
    """Puts what a step printed, and what it drew, into the thread of the run's card, once."""
    post_output(connection, at=at, output=done.output)
    if done.drawn:
        key = f"{at.view.run.id}/{at.row.path}/chart/{at.row.attempt}"
        name = f"{at.row.title}.png"
        outbox.put(connection, at.view.run.id, "chart", chart_letter(done.drawn, name=name), key=key)


def post_output(connection: Any, *, at: Standing, output: str) -> None:
    """Puts what a step printed into the thread of the run's card, once."""
    if output.strip():
        body = {"name": at.row.title, "text": output}
        key = f"{at.view.run.id}/{at.row.path}/output/{at.row.attempt}"
        outbox.put(connection, at.view.run.id, "output", body, key=key)
