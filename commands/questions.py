"""What people are asked on a card, and the buttons to answer with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from commands.reply import Button, ButtonStyle, Element, Note, Paragraph, Span, code, moment, strong
from runbooks.records.runs import PASSED, AskKind, AskRow, Phase, RunRow, RunView, VoteRow
from runbooks.visible import shorten

#: Questions that one card shows at a time.
MOST_ASKED = 6
#: Characters of what the steps behind a gate would reach.
LONGEST_RADIUS = 2000
#: References that a gate names which are known only later.
MOST_LATER = 10

HAND_OVER = "assign"


@dataclass(frozen=True)
class _Choice:
    text: str
    style: ButtonStyle = ButtonStyle.PLAIN
    confirm: str = ""


_CHOICES = {
    "approve": _Choice("Approve", ButtonStyle.PRIMARY),
    "reject": _Choice("Reject", ButtonStyle.DANGER),
    "retry": _Choice("Retry", ButtonStyle.PRIMARY),
    "skip": _Choice("Skip"),
    "done": _Choice("Mark done"),
    "rollback": _Choice(
        "Roll back", ButtonStyle.DANGER, "What this run has changed is undone, step by step."
    ),
    "abandon": _Choice("Abandon", ButtonStyle.DANGER, "The run ends here, and what it changed stays."),
    "failed": _Choice("Failed", ButtonStyle.DANGER),
    "cannot": _Choice("Cannot do it"),
    HAND_OVER: _Choice("Hand over"),
    "promote": _Choice("Promote now", ButtonStyle.PRIMARY, "The rest of this stage's soak is left out."),
    "hold": _Choice("Hold"),
    "resume": _Choice("Resume", ButtonStyle.PRIMARY),
    "reviewed": _Choice("I looked at it", ButtonStyle.PRIMARY),
}
#: Every choice that there is a button for.
CHOICES: tuple[str, ...] = tuple(_CHOICES)
#: Choices that mean something else where a person does the work.
_MANUAL = {"done": _Choice("Done", ButtonStyle.PRIMARY)}

#: Who chooses one of these says why. Of each kind of question.
_REASONED: Mapping[str, frozenset[str]] = {
    AskKind.GATE: frozenset({"reject"}),
    AskKind.FAILED: frozenset({"skip"}),
    AskKind.IN_DOUBT: frozenset({"done"}),
    AskKind.MANUAL: frozenset({"failed", "cannot"}),
    AskKind.REVIEW: frozenset({"reviewed"}),
}
_COMMANDS = {"approve", "reject"}


def needs_reason(ask: AskRow, choice: str) -> bool:
    """Whether who chooses that has to say why."""
    return choice in _REASONED.get(ask.kind, frozenset())


def takes_evidence(ask: AskRow, choice: str) -> str:
    """`required`, `optional`, or empty: whether who chooses that shows what was done."""
    wanted = str(ask.spec.get("evidence") or "")
    return wanted if (ask.kind, choice) == (AskKind.MANUAL, "done") else ""


def choice_text(ask: AskRow, choice: str) -> str:
    """What stands on the button."""
    return _choice(ask, choice).text


def buttons_for(run: RunRow, ask: AskRow) -> tuple[Button, ...]:
    """A button for each way to answer; none when it is answered."""
    if ask.state != "open":
        return ()
    short = run.id[-8:]
    buttons = []
    for choice in ask.choices:
        drawn = _choice(ask, choice)
        command = f"maint {choice} {short}" if choice in _COMMANDS else f"maint answer {short} {choice}"
        asked_first = needs_reason(ask, choice)  # the form asks anyway
        buttons.append(
            Button(
                text=drawn.text,
                action=choice,
                value=f"{run.id}.{ask.id}",
                style=drawn.style,
                confirm="" if asked_first else drawn.confirm,
                command=command,
            )
        )
    return tuple(buttons)


def question(view: RunView, ask: AskRow) -> Iterator[Element]:
    """What is asked, of whom, until when, and what was said so far."""
    spans = [strong(ask.title or ask.kind)]
    if ask.state == "open" and ask.deadline:
        spans += [
            Span("  ·  until "),
            moment(ask.deadline),
            Span(" ("),
            moment(ask.deadline, ago=True),
            Span(")"),
        ]
    yield Paragraph(tuple(spans))
    words = str(ask.spec.get("message") or ask.spec.get("instructions") or "")
    if words:
        yield Paragraph(shorten(words, 1500))
    if change := _texts(ask.spec.get("changes")):
        yield Paragraph("The plan has changed since it was approved: " + shorten("; ".join(change), 1500))
    if ask.state == "open" and (radius := _texts(ask.spec.get("radius"))):
        yield Paragraph(shorten("As it was when this was asked:\n" + "\n".join(radius), LONGEST_RADIUS))
    if ask.kind == AskKind.GATE and ask.state == "open" and (later := _known_later(view)):
        yield Note(f"Not in the plan that is approved, as it is known only later: {later}")
    if who := _who(ask):
        yield Note(who)
    said = [vote for vote in view.votes if vote.ask == ask.id]
    for vote in said[-8:]:
        yield Paragraph(_vote(vote))
    if ask.state != "open":
        yield Paragraph(closing_words(ask))


def _known_later(view: RunView) -> str:
    """What the steps that are still to come take from others, and no digest can hold: the value of each such
    reference, with the step that uses it."""
    passed = {step.path for step in view.steps if step.state in PASSED}
    found = [
        f"{name} ({step.get('path')})"
        for step in view.run.plan.get("rollback" if view.run.phase == Phase.ROLLBACK else "steps") or ()
        if step.get("path") not in passed
        for name in step.get("unresolved") or ()
    ]
    more = f" and {len(found) - MOST_LATER} more" if len(found) > MOST_LATER else ""
    return ", ".join(found[:MOST_LATER]) + more


def closing_words(ask: AskRow) -> str:
    """How a question ended: who said what, and why."""
    if ask.state == "void":
        return f"Void: {ask.reason}" if ask.reason else "Void"
    by = f" by {ask.answered_name}" if ask.answered_name else ""
    why = f": {shorten(ask.reason, 300)}" if ask.reason else ""
    return f"{_PAST.get(ask.answer, ask.answer or 'closed').capitalize()}{by}{why}"


_PAST = {
    "approve": "approved",
    "reject": "rejected",
    "retry": "retried",
    "skip": "skipped",
    "done": "marked done",
    "abandon": "abandoned",
    "rollback": "rolled back",
    "promote": "promoted",
}


def _choice(ask: AskRow, choice: str) -> _Choice:
    if ask.kind == AskKind.MANUAL and choice in _MANUAL:
        return _MANUAL[choice]
    return _CHOICES.get(choice) or _Choice(choice.replace("_", " ").capitalize())


def _who(ask: AskRow) -> str:
    approvers = _texts(ask.spec.get("approvers"))
    if not approvers:
        return ""
    quorum = ask.spec.get("quorum") or 1
    needed = f"{quorum} of them" if quorum != 1 else "one of them"
    own = (
        "" if ask.spec.get("requester_may_approve") or ask.kind != AskKind.GATE else ", not who asked for it"
    )
    return f"{', '.join(approvers)}: {needed}{own}"


def _vote(vote: VoteRow) -> tuple[Span, ...]:
    said = f"{_PAST.get(vote.choice, vote.choice)} by {vote.name} "
    why = f"  {shorten(vote.reason, 300)}" if vote.reason else ""
    glass = "  (break-glass)" if vote.break_glass else ""
    return (code("●"), Span(f" {said}"), moment(vote.at), Span(f"{glass}{why}"))


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, Sequence) else ()
