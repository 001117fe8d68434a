"""An event as people read it: one line, and why below it."""

from collections.abc import Iterator

from commands.reply import Line, Mark, Span, code, link, moment, strong
from commands.rights import short
from runbooks.records.audit import Event, Outcome, Recorded
from runbooks.visible import one_line

#: Characters of the object, and of what stands below.
LONGEST_OBJECT, LONGEST_NOTE = 150, 200
_MARKS = {
    Outcome.OK: Mark.DONE,
    Outcome.ACCEPTED: Mark.RUNNING,
    Outcome.FAILED: Mark.FAILED,
    Outcome.DENIED: Mark.CANCELLED,
}
#: Where events say why; what says the most comes first.
_WHY = ("reason", "evidence", "note", "said")


def line(recorded: Recorded) -> Line:
    """The event with its place in the log, for who reads on from there."""
    event = recorded.event
    mark = _MARKS.get(event.outcome, Mark.WARNING)  # type: ignore[call-overload]
    return Line(mark=mark, text=tuple(_spans(recorded)), note=one_line(_why(event), LONGEST_NOTE))


def _spans(recorded: Recorded) -> Iterator[Span]:
    event = recorded.event
    yield moment(event.at)
    yield Span("  ")
    yield strong(one_line(event.actor_name or event.actor_id, 60))
    yield Span("  ")
    yield code(event.action)
    if event.object:
        yield Span(f"  {one_line(event.object, LONGEST_OBJECT)}")
    if event.outcome not in (Outcome.OK, Outcome.ACCEPTED):
        yield Span("  ")
        yield strong(event.outcome)
    where = f"  in #{one_line(event.channel_name, 60)}" if event.channel_name else ""
    of_run = event.runbook and event.correlation and not event.action.startswith("command.")
    run = f"  run {short(event.correlation)}" if of_run else ""
    yield Span(f"{where}{run}  no. {recorded.seq}")
    if event.permalink.startswith(("https://", "http://")):
        yield Span("  ")
        yield link("message", event.permalink)


def _why(event: Event) -> str:
    return next((str(event.details[name]) for name in _WHY if event.details.get(name)), "")
