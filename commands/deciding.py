"""What people decide about a run: which question is meant, whether they may, and what became of it."""

import re

from commands.command import Request, Services
from commands.reply import Paragraph, Reply
from commands.rights import check_known, check_word, find_run, holds, is_own, may_run, short
from commands.words import quoted
from runbooks.access import BREAK_GLASS, Touch, touched
from runbooks.access.grants import AT_TERMINAL
from runbooks.engine.decided import Decided, Verdict
from runbooks.engine.decisions import ASSIGN, REJECT, REVIEWED, permitted
from runbooks.errors import Refused, UsageError
from runbooks.nearest import nearest
from runbooks.records.asks import APPROVE
from runbooks.records.person import Person
from runbooks.records.runs import AskKind, AskRow, RunView
from runbooks.status import Status

_MENTION = re.compile(r"(?:<@)?(?P<id>[UW][A-Z0-9]+)(?:\|(?P<name>[^>]*))?>?")

#: Outcomes of a decision that did what the person wanted, or found it done.
_TAKEN = frozenset({Verdict.COUNTED, Verdict.CLOSED, Verdict.DUPLICATE})
#: What is typed for a choice, and so can be denied; for any other it is `answer`.
_WORDS = {APPROVE: "approve", REJECT: "reject", REVIEWED: "review"}
_TITLES = {
    Verdict.COUNTED: "Noted",
    Verdict.CLOSED: "Decided",
    Verdict.LATE: "Too late",
    Verdict.DUPLICATE: "You said so already",
    Verdict.DENIED: "Not allowed",
    Verdict.REASON_NEEDED: "Say why",
    Verdict.UNKNOWN: "Nothing to decide",
}


async def named_run(request: Request, services: Services, text: str) -> tuple[RunView, str]:
    """The run of `RUN` or `RUN/STEP`, and the step, if one was named."""
    run, _, step = text.partition("/")
    return await find_run(request, services, run), step


def choose(request: Request, view: RunView, choice: str, step: str = "") -> AskRow:
    """The question that such an answer fits: an open one, or else the last one that was, so that the engine
    says who was first. Raises UsageError that says what is asked."""
    asks = [ask for ask in view.open_asks if not step or ask.path == step]
    fitting = [ask for ask in asks if choice in ask.choices]
    if len(fitting) == 1:
        return fitting[0]
    program, id_ = request.program, short(view.run.id)
    if fitting:
        named = "\n".join(f"{program} {_typed(id_, ask, choice)}  {ask.title}" for ask in fitting)
        raise UsageError(f"Run {id_} asks that at several steps. Name the one that you mean:\n{named}")
    if step and not asks and view.open_asks:
        paths = [ask.path for ask in view.open_asks]
        meant = nearest(step, paths)
        hint = f"Did you mean {id_}/{meant}?" if meant else f"It does at: {', '.join(paths)}."
        raise UsageError(f"Run {id_} asks nothing at {quoted(step)}. {hint}")
    if asks:
        words = {each for ask in asks for each in ask.choices}
        meant = nearest(choice, words)
        hint = f"Did you mean {meant}? " if meant else ""
        listed = "\n".join(f"{ask.path}: {ask.title}: {', '.join(ask.choices)}" for ask in asks)
        raise UsageError(f"Run {id_} does not ask for {quoted(choice)}. {hint}It asks:\n{listed}")
    closed = [ask for ask in view.asks if choice in ask.choices and (not step or ask.path == step)]
    if closed and not view.open_asks:
        return max(closed, key=lambda ask: (ask.opened_at, ask.round))
    raise UsageError(nothing_asked(program, view))


def _typed(run: str, ask: AskRow, choice: str) -> str:
    """What is typed to give that answer."""
    word, name = _WORDS.get(choice), f"{run}/{ask.path}"
    return f"{word} {name}" if word else f"answer {name} {choice}"


def nothing_asked(program: str, view: RunView) -> str:
    """Why there is nothing to answer, and what can be done instead."""
    run, id_ = view.run, short(view.run.id)
    if not run.over:
        now = f"Run {id_} ({run.title}) asks nobody anything now: it is {run.state}."
        return f"{now} {program} runs {id_} shows it."
    last = max(
        (ask for ask in view.asks if ask.closed_at is not None and ask.answer),
        key=lambda ask: str(ask.closed_at),
        default=None,
    )
    said = f" The last answer was {last.answer}, by {last.answered_name}." if last else ""
    undo = f' {program} rollback {id_} "why" undoes it.' if run.state == "succeeded" else ""
    return f"Run {id_} ({run.title}) is over: {run.state.replace('_', ' ')}.{said}{undo}"


async def decide(
    request: Request,
    services: Services,
    view: RunView,
    ask: AskRow,
    choice: str,
    *,
    words: str = "",
    break_glass: bool = False,
) -> Reply:
    """Gives the answer. `words`: the reason, or the evidence of a manual step that is done.

    Where the runbook names approvers, the engine tells and records who may not; else it needs a grant for
    the runbook.
    """
    check_word(request, _WORDS.get(choice, "answer"))
    if ask.kind in (AskKind.GATE, AskKind.REVIEW):
        check_known(request)
    held = await holds(request, ask)
    if not permitted(ask) and not await _may_answer(request, services, view, ask):
        raise Refused(
            f"You may not answer for {view.run.runbook}: that needs a grant for it. "
            f"{request.program} whoami shows yours."
        )
    if break_glass:
        await _check_glass(request, touched(view.run.plan, services.targets))
    to = None
    if choice == ASSIGN:
        to, words = _handed_to(words), ""
    is_evidence = ask.kind == AskKind.MANUAL and choice == "done"
    decided = await services.runs.decide(
        ask.id,
        choice,
        request.by,
        holds=held,
        reason="" if is_evidence else words,
        evidence=words if is_evidence else "",
        break_glass=break_glass,
        to=to,
    )
    return said(decided, view.run.id)


async def _may_answer(request: Request, services: Services, view: RunView, ask: AskRow) -> bool:
    """Whether the person may answer what is asked of nobody in particular."""
    if may_run(request, services, view.run):
        return True
    # Who could have approved what somebody passed alone can judge it as well.
    gate = next((each for each in view.asks if each.id == ask.spec.get("ask")), None)
    return gate is not None and bool(await holds(request, gate))


async def _check_glass(request: Request, needed: frozenset[Touch]) -> None:
    roles = request.access.roles_granted(BREAK_GLASS, needed)
    # Who is at the terminal nobody has to be asked.
    if not roles or (AT_TERMINAL not in roles and not await request.holds(roles)):
        raise Refused(
            "You may not break the glass here. It needs a grant that names it: `commands: [break-glass]`; "
            "`*` does not count, and its environments must be those of all targets of the run."
        )


def _handed_to(words: str) -> Person:
    """Whom `@kim` is: Slack sends `<@U0123|kim>`, and the terminal takes the id. Raises UsageError."""
    found = _MENTION.fullmatch(words.strip())
    if found is None:
        raise UsageError("Say to whom: a person of Slack, as @name, or by the id in their profile (U…).")
    return Person(kind="slack", id=found["id"], name=found["name"] or found["id"])


def said(decided: Decided, run: str = "") -> Reply:
    """What became of a decision, for the person who made it. Everybody else sees it on the card."""
    title = _TITLES[decided.outcome]
    return Reply(
        title=title,
        fallback=f"{title}: {decided.text}",
        status=Status.OK if decided.outcome in _TAKEN else Status.WARNING,
        elements=(Paragraph(decided.text),),
        data={"outcome": decided.outcome.value, "text": decided.text, "run": decided.run or run},
    )


def check_may_stop(request: Request, services: Services, view: RunView) -> None:
    """Raises Refused unless the person may run the runbook, or asked for this run."""
    if not may_run(request, services, view.run) and not is_own(request, view.run):
        raise Refused(
            f"You may not stop {view.run.runbook}: that needs a grant for it, or to have asked for the run."
        )


def reason_in(words: tuple[str, ...], usage: str) -> str:
    """The rest of what was typed, quoted or not, after `because` if that was typed. Raises UsageError when
    there is none."""
    said = words[1:] if words and words[0].casefold() == "because" else words
    reason = " ".join(said).strip()
    if not reason:
        raise UsageError(f"Say why: {usage}")
    return reason
