"""`/maint run RUNBOOK key=value …`: starts a runbook."""

from datetime import datetime

from commands.command import ActorKind, Command, Group, Progress, Request, Services
from commands.given import FormNeeded, secrets_in
from commands.needs import Needs
from commands.plan import allowed_plan, holder, understood
from commands.reply import Element, Note, Paragraph, Reply, Span, code, strong
from commands.rights import short
from commands.sole_targets import is_felt, with_sole_targets
from runbooks.records.runs import RunRow, RunView
from runbooks.spec.runbook import Runbook


class Run(Command):
    """Starts a run, and says where its card is."""

    word = "run"
    summary = "Run a runbook"
    usage = "RUNBOOK [key=value …]"
    about = (
        "Starts a runbook. What is missing or wrong is asked for in a form, before anything is started; a "
        "target that nothing else fits than is filled in, and shown before anything that can be felt. "
        "The run has one card, with its steps and the buttons that fit the moment. When a target that it "
        "needs is taken by another run, it waits for its turn, and says behind whom. At the terminal the run "
        "is followed until it is over or waits for people, with the exit codes 0 (succeeded), 1 (waits for "
        "people) and 2 (failed); Ctrl-C leaves it running, and --detach does not wait at all."
    )
    examples = (
        ("run deploy-rollout target=app version=1.2.3", "starts the rollout of that version"),
        (
            'run restart-service host=web-1 service=app.service reason="hangs since 14:00"',
            "a value with spaces stands in quotes",
        ),
    )
    needs = Needs.RUNBOOK
    starts_runs = True
    group = Group.RUN

    def hidden(self, words: tuple[str, ...], services: Services) -> tuple[str, ...]:
        """The values of secret parameters."""
        return secrets_in(words[1:], services.runbooks.get(words[0].casefold()) if words else None)

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Starts it, once however often the request is carried out."""
        runbook, typed = understood(request, words, services, self.word)
        completed = with_sole_targets(request, services, runbook, typed)
        given = completed.given
        plan, approval = await allowed_plan(request, services, runbook, given, self.word)
        if completed.filled and is_felt(plan.as_json()):
            why = f"Nothing else fits than {completed.words}; what it does can be felt, so say it."
            raise FormNeeded(request.program, self.word, runbook, given, {}, why)
        channel, name = card_channel(request, services, runbook)
        run = await services.runs.start(
            runbook.name,
            given,
            request.by,
            channel=channel,
            channel_name=name,
            key=f"request:{request.correlation}",
            approval=approval,
        )
        return started(request, run, await services.runs.view(run.id), services.now(), completed.words)


def card_channel(request: Request, services: Services, runbook: Runbook) -> tuple[str, str]:
    """The id and the name of the channel for the run's card: where it was asked for, or the runbook's own
    when that is no channel. Empty when there is neither."""
    place = request.place
    if request.actor.kind is ActorKind.SLACK and not place.direct:
        return place.id, place.name
    if runbook.channel in services.channels:
        return services.channels[runbook.channel], runbook.channel
    # A direct message with Maint is a place for a card too; the terminal is none.
    return (place.id, place.name) if request.actor.kind is ActorKind.SLACK else ("", "")


def started(request: Request, run: RunRow, view: RunView | None, now: datetime, filled: str = "") -> Reply:
    """What is said of a run that was just started. `filled`: the targets that nobody has named."""
    program, id_ = request.program, short(run.id)
    where = _where(request, run)
    elements: list[Element] = [
        Paragraph((strong(run.title), Span("  run "), code(id_))),
        *([Paragraph(f"With {filled}: nothing else fits.")] if filled else []),
        *(Paragraph(text) for text in waits(program, view, now)),
        Note(f'{where}{program} runs {id_} shows it, {program} cancel {id_} "why" stops it.'),
    ]
    return Reply(
        title=f"Started: {run.title}",
        fallback=f"Started {run.title}, run {id_}",
        elements=tuple(elements),
        data={"run": run.id, "state": run.state, "title": run.title, "plan_digest": run.plan_digest},
        run=run.id,
    )


def _where(request: Request, run: RunRow) -> str:
    if not run.channel:
        return "It has no card: it was asked for at the terminal, and its runbook names no channel. "
    if run.channel == request.place.id:
        return "Its card is in this conversation. "
    return f"Its card is in #{run.channel_name or run.channel}. "


def waits(program: str, view: RunView | None, now: datetime) -> tuple[str, ...]:
    """What keeps a run from going on: a stop of everything, and other runs' locks."""
    if view is None or view.run.over:
        return ()
    said = []
    if view.paused:
        said.append(
            f"It waits: everything is stopped ({view.paused}). {program} resume everything lets it go on."
        )
    if view.in_the_way:
        behind = "; ".join(f"{lock.target} is {holder(lock, now)}" for lock in view.in_the_way)
        said.append(f"It waits for its turn: {behind}.")
    return tuple(said)
