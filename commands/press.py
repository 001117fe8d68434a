"""What a button of a card does: the same as the words that are typed for it, on the very thing it stands at.

A button carries ids and nothing else. A question is found by its own id, never by where it is asked: who
presses the button of an old question must not answer a new one.
"""

from collections.abc import Mapping
from dataclasses import replace

from commands.alert_deeds import is_alert_button, press_alert
from commands.audit import AUDIT
from commands.audit.search import NEWER, OF_RUN, OLDER
from commands.cancel import Cancel
from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import check_may_stop, decide, nothing_asked, said
from commands.questions import HAND_OVER, takes_evidence
from commands.reply import Reply
from commands.rights import check_word, find_run, holds, may_run
from commands.rollback import Rollback
from commands.runs import RunsCommand
from commands.words import split_words
from runbooks.engine.decided import Decided, Verdict
from runbooks.engine.decisions import permitted
from runbooks.errors import Refused, UsageError
from runbooks.records.runs import AskRow, RunView

DETAILS, CANCEL, UNDO = "details", "cancel", "undo"
#: The outcome that says: ask for words, and press again with them.
WORDS_NEEDED = Verdict.REASON_NEEDED.value
#: Outcomes that everybody sees on the card.
SEEN = frozenset({Verdict.COUNTED.value, Verdict.CLOSED.value})


def outcome_of(reply: Reply) -> str:
    """What became of a decision, from what is said of it; empty for anything else."""
    return str(reply.data.get("outcome", "")) if isinstance(reply.data, dict) else ""


def form_of(reply: Reply) -> Mapping[str, str] | None:
    """What the form says that asks for words, where the reply itself tells: `title`, `about`, `label`."""
    form = reply.data.get("form") if isinstance(reply.data, dict) else None
    return form if isinstance(form, Mapping) else None


def ids_in(value: str) -> tuple[str, str]:
    """The run and the question that a button stands for; the question is empty for a button of the run."""
    run, _, ask = value.partition(".")
    return run, ask


def found_ask(view: RunView, ask: str) -> AskRow | None:
    """The question of that id."""
    return next((each for each in view.asks if each.id == ask), None)


def _words_needed(text: str, run: str) -> Decided:
    return Decided(outcome=Verdict.REASON_NEEDED, text=text, run=run)


class Press(Command):
    """Presses a button: its word, its value, and what was written in the form that it opened, if it did."""

    word = "press"
    summary = "Press a button"
    usage = "BUTTON VALUE [words]"
    about = "What the buttons of a card do. Nobody types it."
    examples = ()
    everyone = True  # the run and the question say whose business they are
    group = Group.DECIDE

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Does it, or says that words are needed for it."""
        choice, value, text = (*words, "", "", "")[:3]
        run, ask = ids_in(value)
        if choice in (OLDER, NEWER):
            page = await AUDIT.answer(request, split_words(value), services, progress)
            return replace(page, replaces=True)
        if is_alert_button(choice):
            return await press_alert(request, services, choice, value, text, progress)
        if choice == OF_RUN:
            return await AUDIT.answer(request, ("run", run), services, progress)
        if choice == DETAILS:
            return await RunsCommand().answer(request, (run,), services, progress)
        if choice in (CANCEL, UNDO) and not ask:
            check_word(request, Cancel.word if choice == CANCEL else Rollback.word)
            if not text:
                return await self._may_stop(request, services, choice, run)
            command: Command = Cancel() if choice == CANCEL else Rollback()
            return await command.answer(request, (run, text), services, progress)
        view = await services.runs.view(run)
        asked = found_ask(view, ask) if view else None
        if view is None or asked is None:
            raise UsageError(
                f"There is no such question any more. {request.program} runs shows what there is."
            )
        if not text and asked.state == "open" and (takes_evidence(asked, choice) or choice == HAND_OVER):
            held = await holds(request, asked)
            if held or (not permitted(asked) and may_run(request, services, view.run)):
                return said(_words_needed("Say what was done.", run))
        return await decide(request, services, view, asked, choice, words=text)

    async def _may_stop(self, request: Request, services: Services, choice: str, run: str) -> Reply:
        """Asks for the reason, of those who may give one."""
        view = await find_run(request, services, run)
        if choice == UNDO and not may_run(request, services, view.run):
            raise Refused(
                f"{request.actor.name} may not roll back {view.run.runbook}: that needs a grant for it."
            )
        if choice == CANCEL:
            check_may_stop(request, services, view)
            if view.run.over:
                raise UsageError(nothing_asked(request.program, view))
        return said(_words_needed("Say why.", run))
