"""The steps of a run as lines of its card: what is done is folded when there is much of it."""

from collections.abc import Sequence
from datetime import timedelta

from commands.questions import closing_words
from commands.reply import Line, Mark, Span, Text, code, moment, strong
from commands.stages import stage_notes
from runbooks.records.runs import PASSED, RunView, StepRow, StepState
from runbooks.spec.model import show_duration
from runbooks.visible import shorten

#: Steps that are all shown; of a longer run those before and after the live ones are folded.
MOST_STEPS = 14
#: Of a long run: what is shown of the finished steps before the live one, and of those to come.
KEPT_BEFORE, KEPT_AFTER = 2, 4
LONGEST_NOTE = 280

_MARKS = {
    StepState.PENDING: Mark.TO_DO,
    StepState.RUNNING: Mark.RUNNING,
    StepState.WAITING: Mark.WAITING,
    StepState.OK: Mark.DONE,
    StepState.WARNING: Mark.WARNING,
    StepState.FAILED: Mark.FAILED,
    StepState.IN_DOUBT: Mark.IN_DOUBT,
    StepState.SKIPPED: Mark.SKIPPED,
    StepState.CANCELLED: Mark.CANCELLED,
}
_LIVE = {StepState.RUNNING, StepState.WAITING}
_TROUBLE = {StepState.FAILED, StepState.IN_DOUBT}


def step_lines(steps: Sequence[StepRow], view: RunView) -> tuple[Line, ...]:
    """A line for each step; stretches of finished or pending ones as one line, when there are many."""
    if len(steps) <= MOST_STEPS:
        return tuple(_line(step, view) for step in steps)
    lines: list[Line] = []
    shown = _shown(steps)
    index = 0
    while index < len(steps):
        if index in shown:
            lines.append(_line(steps[index], view))
            index += 1
            continue
        end = index
        while end < len(steps) and end not in shown:
            end += 1
        lines += _folded(steps[index:end])
        index = end
    return tuple(lines)


def _shown(steps: Sequence[StepRow]) -> set[int]:
    """What stays: trouble and what is live, and what stands right before and after it."""
    notable = [i for i, step in enumerate(steps) if step.state in _LIVE | _TROUBLE]
    if not notable:
        begun = [i for i, step in enumerate(steps) if step.state != StepState.PENDING]
        notable = [begun[-1] if begun else 0]
    # Of a hundred that failed, the first and the last say enough.
    notable = (
        notable if len(notable) <= MOST_STEPS else [*notable[: MOST_STEPS // 2], *notable[-MOST_STEPS // 2 :]]
    )
    around = range(-KEPT_BEFORE, KEPT_AFTER + 1)
    near = {notable[0] - k for k in range(KEPT_BEFORE + 1)} | {notable[-1] + k for k in around if k >= 0}
    return {i for i in near | set(notable) if 0 <= i < len(steps)}


def _folded(steps: Sequence[StepRow]) -> list[Line]:
    """One line for each state among them."""
    counts: dict[StepState, int] = {}
    for step in steps:
        state = StepState(step.state)
        counts[state] = counts.get(state, 0) + 1
    words = {StepState.OK: "done", StepState.PENDING: "to come"}
    return [
        Line(
            mark=_MARKS[state],
            text=f"{count} {'step' if count == 1 else 'steps'} {words.get(state, _MARKS[state])}",
        )
        for state, count in counts.items()
    ]


def _line(step: StepRow, view: RunView) -> Line:
    state = StepState(step.state)
    title = shorten(step.title, 150)
    text: list[Span] = [strong(title) if state in _LIVE | _TROUBLE else Span(title)]
    if step.attempt > 1:
        text.append(Span(f"  attempt {step.attempt}"))
    if state in _LIVE and step.started_at:
        text += [Span("  since "), moment(step.started_at)]
    elif step.started_at and step.ended_at:
        text.append(Span(f"  {_took(step.ended_at - step.started_at)}"))
    if state in PASSED and step.summary:
        text.append(Span(f"  {shorten(step.summary, 160)}"))
    return Line(mark=_MARKS[state], text=tuple(text), note=_note(step, view), depth=_depth(step.path))


def _note(step: StepRow, view: RunView) -> Text:
    """Below the line: why it failed, what it prints, how far it is, what people said."""
    state = StepState(step.state)
    # A step that failed and let the run go on is a warning with an error; a cancelled one says what it left.
    if state in _TROUBLE or (state in (StepState.WARNING, StepState.CANCELLED) and step.error):
        return shorten(step.error or step.summary, LONGEST_NOTE)
    notes: list[Span] = []
    for span in stage_notes(step):
        notes += [Span("\n"), *span] if notes else [*span]
    if state in _LIVE:
        if step.progress:
            notes += [*([Span("\n")] if notes else []), code(shorten(step.progress, LONGEST_NOTE))]
        return tuple(notes)
    decided = [ask for ask in view.asks if ask.path == step.path and ask.state == "closed" and ask.answer]
    if decided:
        notes += [*([Span("\n")] if notes else []), Span(closing_words(decided[-1]))]
    return tuple(notes)


def _depth(path: str) -> int:
    """Steps in a group stand below it: `group.child`, `each[0].child`, `id[0]`."""
    own = path.removeprefix("rollback:")
    return min(3, own.count(".") + own.count("["))


def _took(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    return show_duration(timedelta(seconds=round(seconds)))
