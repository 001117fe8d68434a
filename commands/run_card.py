"""A run as its card shows it: where it stands, what was done, what is asked, and what can be pressed.

Everything here comes from the records and nothing else, so every replica draws the same card. No time of
the clock is in it either: moments are drawn by whoever reads them.
"""

from collections.abc import Iterable, Iterator, Sequence

from commands.questions import MOST_ASKED, buttons_for, question
from commands.reply import (
    Alarm,
    Button,
    Buttons,
    ButtonStyle,
    Element,
    Fields,
    Lines,
    Note,
    Paragraph,
    Reply,
    Span,
    code,
    link,
    moment,
    strong,
)
from commands.step_lines import step_lines
from runbooks.records.runs import (
    AskKind,
    AskRow,
    Phase,
    RunRow,
    RunState,
    RunView,
    StepState,
    VoteRow,
    WaitingOn,
)
from runbooks.status import Status
from runbooks.visible import shorten
from runbooks.watch.freezes import shown

#: Characters of a run's id that people type, and of a plan's digest that they compare.
SHORT_ID, SHORT_DIGEST = 8, 12
MOST_PARAMS = 20
LONGEST_VALUE = 200

_STATUS = {
    RunState.ASKING: Status.WARNING,
    RunState.SUCCEEDED: Status.OK,
    RunState.FAILED: Status.CRITICAL,
    RunState.ABANDONED: Status.CRITICAL,
    RunState.ROLLED_BACK: Status.WARNING,
    RunState.CANCELLED: Status.SKIPPED,
}
_WORDS = {
    RunState.QUEUED: "waits to begin",
    RunState.RUNNING: "running",
    RunState.WAITING: "waiting",
    RunState.ASKING: "needs a decision",
    RunState.SUCCEEDED: "done",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.ROLLED_BACK: "rolled back",
    RunState.ABANDONED: "abandoned",
}
_WAITS = {
    WaitingOn.LOCK: "waits for its locks",
    WaitingOn.PAUSE: "held: everything is stopped",
    WaitingOn.GATE: "waits for approval",
    WaitingOn.MANUAL: "waits for somebody's hands",
    WaitingOn.TIME: "waits for the time",
    WaitingOn.SOAK: "soaking",
    WaitingOn.WINDOW: "held until it may go on",
    WaitingOn.QUESTION: "needs a decision",
}


def short_id(run: str) -> str:
    """The last letters of a run's id: what people type for it."""
    return run[-SHORT_ID:]


def state_words(run: RunRow) -> str:
    """Where the run stands, for a sentence."""
    if run.over:
        return _WORDS.get(RunState(run.state), run.state)
    if run.stopping and run.state != RunState.ASKING:
        return "stopping, then rolling back" if run.stopping == "rollback" else "stopping"
    said = _WAITS.get(run.waiting_on) or _WORDS.get(run.state, run.state)  # type: ignore[call-overload]
    return f"rolling back: {said}" if run.phase == Phase.ROLLBACK else str(said)


def run_card(view: RunView) -> Reply:
    """The card of a run."""
    run = view.run
    return Reply(
        title=run.title,
        fallback=f"{run.title}: {state_words(run)}",
        status=_status(view),
        elements=(
            *_head(view),
            *_obstacles(view),
            *_broken_glass(view),
            *_steps(view),
            *_questions(view),
            *_controls(view),
        ),
        private=False,
        done=run.over and not view.open_asks,
        data=_data(view),
    )


def gate_card(view: RunView, ask: AskRow, run_link: str = "") -> Reply:
    """The card of a gate in a channel of its own: what is to be approved, and where the run is shown."""
    run = view.run
    is_open = ask.state == "open"
    elements: list[Element] = [
        Paragraph(
            (
                strong(run.title),
                Span(f"  asked by {run.requester_name}  ·  "),
                link(f"run {short_id(run.id)}", run_link),
            )
        ),
        *_params(run),
        *_glass(vote for vote in view.votes if vote.ask == ask.id),
        *question(view, ask),
    ]
    if is_open:
        elements.append(Buttons((*buttons_for(run, ask), _details(run))))
    return Reply(
        title=ask.title or "Approval",
        fallback=f"{run.title}: {ask.title}" + ("" if is_open else f" ({ask.answer or ask.state})"),
        status=None if is_open else (Status.OK if ask.answer == "approve" else Status.SKIPPED),
        elements=tuple(elements),
        private=False,
        done=not is_open,
    )


def _status(view: RunView) -> Status | None:
    state = RunState(view.run.state)
    worth_a_look = {StepState.WARNING, StepState.SKIPPED}
    if state is RunState.SUCCEEDED and any(step.state in worth_a_look for step in view.steps):
        return Status.WARNING if any(s.state == StepState.WARNING for s in view.steps) else Status.OK
    return _STATUS.get(state)


def _head(view: RunView) -> Iterator[Element]:
    run = view.run
    spans = [strong(state_words(run).capitalize()), Span(f"  ·  asked by {run.requester_name}  ·  ")]
    if run.over and run.ended_at:
        spans += [Span("ended "), moment(run.ended_at)]
    elif run.started_at:
        spans += [Span("began "), moment(run.started_at)]
    else:
        spans += [Span("asked "), moment(run.created_at)]
    if not run.over and run.wake_at and run.waiting_on in (WaitingOn.TIME, WaitingOn.SOAK, WaitingOn.WINDOW):
        spans += [Span("  ·  goes on "), moment(run.wake_at, ago=True)]
    yield Paragraph(tuple(spans))
    yield from _params(run)
    if run.note:
        yield Paragraph(shorten(run.note, 600))
    if run.stop_reason:
        yield Paragraph(f"Stopped: {shorten(run.stop_reason, 600)}")


def _params(run: RunRow) -> Iterator[Element]:
    # The plan's, where secrets are dots; a run's own have none in them, and are the same for the rest.
    params = run.plan.get("params") or run.params
    pairs = [(str(name), (code(shorten(str(value), LONGEST_VALUE)),)) for name, value in params.items()]
    if pairs:
        yield Fields(tuple(pairs[:MOST_PARAMS]))
    if len(pairs) > MOST_PARAMS:
        yield Note(f"… and {len(pairs) - MOST_PARAMS} more parameters")
    of = f"  ·  undoes run {short_id(run.rollback_of)}" if run.rollback_of else ""
    yield Note(f"{run.runbook}  ·  run {short_id(run.id)}  ·  plan {run.plan_digest[:SHORT_DIGEST]}{of}")


def _obstacles(view: RunView) -> Iterator[Element]:
    if view.paused and not view.run.over:
        yield Alarm(f"Everything is stopped. {view.paused}")
    for text, until in shown(view.run.plan, view.run.requester_kind, view.freezes):
        yield Alarm((Span(f"{shorten(text, 400)}  until "), moment(until)))
    waits = view.run.waiting_on == WaitingOn.LOCK
    for lock in view.in_the_way if waits else ():
        held = f" is held by run {short_id(lock.run)} since "
        why = f"  {shorten(lock.reason, 200)}" if lock.reason else ""
        yield Paragraph((Span("Waits: "), code(lock.target), Span(held), moment(lock.since), Span(why)))


def _broken_glass(view: RunView) -> Iterator[Element]:
    alarms = [*_glass(view.votes)]
    yield from alarms
    if alarms and any(ask.kind == AskKind.REVIEW for ask in view.open_asks):
        yield Alarm("Nobody has looked at why yet: a second person has to.")


def _glass(votes: Iterable[VoteRow]) -> Iterator[Alarm]:
    for vote in votes:
        if vote.break_glass:
            yield Alarm(f"Break-glass by {vote.name}: {shorten(vote.reason, 300)}")


def _steps(view: RunView) -> Iterator[Element]:
    forward = [step for step in view.steps if step.phase == Phase.FORWARD]
    backward = [step for step in view.steps if step.phase == Phase.ROLLBACK]
    if forward:
        yield Lines(step_lines(forward, view))
    if backward:
        yield Paragraph((strong("Rollback"),))
        yield Lines(step_lines(backward, view))


def _questions(view: RunView) -> Iterator[Element]:
    asked = view.open_asks
    for ask in asked[:MOST_ASKED]:
        yield from question(view, ask)
        yield Buttons(buttons_for(view.run, ask))
    if len(asked) > MOST_ASKED:
        left = len(asked) - MOST_ASKED
        yield Note(f"… and {left} more questions, once these are answered")


def _controls(view: RunView) -> Iterator[Element]:
    run = view.run
    buttons = [_details(run)]
    if not run.over and not run.stopping and not _asks(view.open_asks, AskKind.CANCELLED):
        buttons.append(
            Button(
                text="Cancel run",
                action="cancel",
                value=run.id,
                style=ButtonStyle.DANGER,
                command=f"maint cancel {short_id(run.id)}",
            )
        )
    if run.state == RunState.SUCCEEDED and run.plan.get("rollback") and run.rollback_of is None:
        buttons.append(
            Button(
                text="Roll back",
                action="undo",
                value=run.id,
                style=ButtonStyle.DANGER,
                command=f"maint rollback {short_id(run.id)}",
            )
        )
    buttons.append(
        Button(text="Audit", action="audit", value=run.id, command=f"maint audit run {short_id(run.id)}")
    )
    yield Buttons(tuple(buttons))


def _asks(asks: Sequence[AskRow], kind: AskKind) -> bool:
    return any(ask.kind == kind for ask in asks)


def _details(run: RunRow) -> Button:
    return Button(text="Details", action="details", value=run.id, command=f"maint runs {short_id(run.id)}")


def _data(view: RunView) -> dict[str, object]:
    run = view.run
    return {
        "run": run.id,
        "runbook": run.runbook,
        "state": run.state,
        "waiting_on": run.waiting_on,
        "plan_digest": run.plan_digest,
        "steps": [
            {"path": step.path, "state": step.state, "summary": step.summary, "error": step.error}
            for step in view.steps
        ],
        "questions": [
            {"id": ask.id, "kind": ask.kind, "path": ask.path, "choices": list(ask.choices)}
            for ask in view.open_asks
        ],
    }
