"""`/maint runs [ID]`: what is under way, what was, and one of them in full."""

from collections.abc import Sequence
from datetime import datetime

from commands.command import Command, Group, Progress, Request, Services
from commands.needs import Needs
from commands.reply import Element, Note, Paragraph, Reply, Span, code, strong
from commands.rights import find_run, is_own, may_run, may_see, short
from commands.run_detail import as_data, in_full, shown
from commands.times import ago, span
from commands.words import quoted
from runbooks.errors import UsageError
from runbooks.records.runs import OVER, RunRow, RunState, RunView
from runbooks.targets import TargetBase

UNDER_WAY = tuple(state.value for state in RunState if state not in OVER)
#: Runs that one list shows, and with --all; and how many are looked through for them.
MOST, MOST_OF_ALL, LOOKED_THROUGH = 20, 100, 200


class RunsCommand(Command):
    """Lists runs, or shows one."""

    word = "runs"
    summary = "What is running, what ran, and how it went"
    usage = "[RUN] [--open|--all]"
    about = (
        "Lists the newest runs that you may see: state, who asked, since when, and what each waits for. "
        "--open lists those that are not over, --all more of them. With a run's id, or its last letters, it "
        "shows that one: steps, times, outputs, who decided what and why, and everything that was done."
    )
    examples = (
        ("runs", "the newest"),
        ("runs --open", "those that are not over"),
        ("runs 3f9kq2ab", "all about one of them"),
    )
    needs = Needs.BUSINESS
    group = Group.LOOK

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """None. Refuses more than one word, and options that there are not."""
        if len(words) > 1:
            raise UsageError("runs takes one run, or --open, or --all, or nothing.")
        if words and words[0].startswith("-") and words[0] not in ("--open", "--all"):
            raise UsageError(f"runs has no option {quoted(words[0])}: only --open and --all.")
        return ()

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, or the one."""
        if words and not words[0].startswith("-"):
            view = await find_run(request, services, words[0])
            journal = await services.runs.journal(view.run.id)
            return in_full(request.program, view, journal, services.now())
        states = UNDER_WAY if words == ("--open",) else ()
        most = MOST_OF_ALL if words == ("--all",) else MOST
        rows = await services.runs.runs(states=states, limit=LOOKED_THROUGH)
        found = await _seen(request, services, rows, most)
        return _listed(request, found, await services.runs.paused(), services.now())


async def _seen(
    request: Request, services: Services, rows: Sequence[RunRow], most: int
) -> list[tuple[RunRow, RunView | None]]:
    """The first of them that the person may see, those under way with what they wait for."""
    found: list[tuple[RunRow, RunView | None]] = []
    for row in rows:
        mine = may_run(request, services, row) or is_own(request, row)
        # What is over and allowed needs no second look at the database.
        view = None if mine and row.over else await services.runs.view(row.id)
        if mine or (view is not None and await may_see(request, services, view)):
            found.append((row, view))
        if len(found) == most:
            break
    return found


def _listed(
    request: Request, found: list[tuple[RunRow, RunView | None]], paused: str, now: datetime
) -> Reply:
    elements: list[Element] = []
    if paused:
        elements.append(
            Note(f"Everything is stopped ({paused}). {request.program} resume everything ends that.")
        )
    elements += [Paragraph(_line(row, view, now)) for row, view in found]
    if not found:
        elements.append(Note(f"No run that you may see. {request.program} runbooks lists what you may run."))
    under_way = sum(not row.over for row, _ in found)
    return Reply(
        title="Runs",
        fallback=f"Runs: {under_way} under way, {len(found) - under_way} over",
        elements=tuple(elements),
        data={"runs": [as_data(row) for row, _ in found], "paused": paused},
    )


def _line(row: RunRow, view: RunView | None, now: datetime) -> tuple[Span, ...]:
    waits = f"\n  {shown(view, now)}" if view is not None and not row.over else ""
    return (
        code(short(row.id)),
        Span("  "),
        strong(row.state.replace("_", " ")),
        Span(f"  {row.title}  by {row.requester_name}, {_when(row, now)}{waits}"),
    )


def _when(row: RunRow, now: datetime) -> str:
    if row.ended_at is None:
        return ago(row.created_at, now)
    took = f", took {span(row.ended_at - row.started_at)}" if row.started_at else ""
    return f"{ago(row.ended_at, now)}{took}"
