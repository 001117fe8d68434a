"""`/maint schedule`: what runs by itself and when next; paused, resumed, skipped once, run now."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice

from commands.command import ActorKind, Command, Group, Progress, Request, Services
from commands.moments import local
from commands.needs import Needs
from commands.plan import allowed_plan
from commands.reply import Element, Line, Lines, Mark, Note, Paragraph, Reply, Span, strong
from commands.rights import check_word, runnable
from commands.run import card_channel, started
from commands.words import counted, quoted
from runbooks.access import Touch, touched
from runbooks.errors import MaintError, Refused, UsageError
from runbooks.nearest import nearest
from runbooks.records import schedules as rows
from runbooks.records.schedules import ScheduleRow, TickRow, TickState
from runbooks.spec.runbook import Runbook
from runbooks.status import Status
from runbooks.watch import schedule_changes
from runbooks.watch.entries import Entry, entries, upcoming

#: Times to come that are shown of each schedule.
NEXT = 3
#: Words that stand before a reason.
_BECAUSE = ("because", "for")


class ScheduleCommand(Command):
    """Shows what is on a schedule, and changes when it runs."""

    word = "schedule"
    summary = "What runs by itself, and when"
    usage = "[list] | pause NAME [because …] | resume NAME | skip NAME | run NAME"
    about = (
        "Lists what is on a schedule, of the runbooks that you may run: the next times, on your own clock, "
        "and what became of the last one. A name is health:0, the first entry of the runbook health; health "
        "alone means all of its entries. pause lets its times pass until resume, and nothing is made up for; "
        "skip leaves out the next time; run starts it now, as yourself. Changing needs a grant of schedule."
    )
    examples = (
        ("schedule", "what comes next"),
        ("schedule pause vacuum because the disk is full", "its times pass until it is resumed"),
        ("schedule resume vacuum", "it goes on with its next time"),
        ("schedule skip vacuum:0", "its next time is left out"),
        ("schedule run vacuum:0", "starts it now, with the parameters of its schedule"),
    )
    needs = Needs.BUSINESS  # changing asks for a grant of the word
    starts_runs = True
    group = Group.RUN

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, or the change."""
        what, rest = (words[0].casefold(), words[1:]) if words else ("list", ())
        known = entries(_fit(services, runnable(request, services)))
        if what == "list" and not rest:
            return await _listed(request, services, known)
        if what not in ("pause", "resume", "skip", "run"):
            raise UsageError(f"{request.program} schedule {self.usage}")
        chosen = _chosen(request, what, rest, known)
        check_word(request, self.word)
        for entry in chosen:
            await _check(request, services, entry)
        if what == "run":
            return await _run(request, services, _one(request, chosen, what))
        return await _changed(request, services, what, chosen, _reason(rest[1:]))


def _fit(services: Services, runbooks: Mapping[str, Runbook]) -> dict[str, Runbook]:
    return {name: each for name, each in runbooks.items() if name not in services.unfit}


async def _changed(
    request: Request,
    services: Services,
    what: str,
    chosen: tuple[Entry, ...],
    reason: str,
) -> Reply:
    now, by, write = services.now(), request.by, services.records.write
    # The files have more than this person may see, and no entry is lost by what they change.
    all_entries = entries(_fit(services, services.runbooks))
    done: tuple[str, ...]
    if what == "pause":
        change = partial(schedule_changes.pause, by=by, reason=reason, now=now)
        done = await write(lambda connection: change(connection, all_entries, chosen))
        text = f"{_names(done)} paused: nothing begins by itself until somebody resumes it."
        late = "It is paused already."
    elif what == "resume":
        done = await write(
            lambda connection: schedule_changes.resume(connection, all_entries, chosen, by, now)
        )
        text = f"{_names(done)} resumed. What passed meanwhile is not made up for."
        late = "It is not paused."
    else:
        entry = _one(request, chosen, what)
        first = await write(lambda connection: schedule_changes.skip(connection, all_entries, entry, by, now))
        done = (entry.id,) if first else ()
        text = f"The next time of {entry.id} is left out."
        late = "Its next time is left out already."
    title = (
        {"pause": "Paused", "resume": "Resumed", "skip": "Skipped once"}[what] if done else "Nothing changed"
    )
    said = text if done else late
    return Reply(
        title=title,
        fallback=f"{title}: {said}",
        status=Status.OK if done else Status.WARNING,
        elements=(Paragraph(said),),
        data={"changed": list(done), "schedules": [each.id for each in chosen]},
    )


async def _run(request: Request, services: Services, entry: Entry) -> Reply:
    """Starts it beside its times, on the word of who asks."""
    given = {name: str(value) for name, value in entry.schedule.params.items()}
    _, approval = await allowed_plan(request, services, entry.runbook, given, "run")
    named = replace(entry.runbook, channel=entry.schedule.channel or entry.runbook.channel)
    channel, name = card_channel(request, services, named)
    run = await services.runs.start(
        entry.runbook.name,
        entry.schedule.params,
        request.by,
        channel=channel,
        channel_name=name,
        key=f"request:{request.correlation}",
        approval=approval,
    )
    now = services.now()
    await services.records.write(
        lambda connection: schedule_changes.ran(connection, entry, request.by, run.id, now)
    )
    return started(request, run, await services.runs.view(run.id), now)


async def _check(request: Request, services: Services, entry: Entry) -> None:
    """Raises Refused unless the word is granted for all that the runbook touches."""
    try:
        plan = await services.runs.plan(entry.runbook.name, entry.schedule.params)
        touches = touched(plan.as_json(), services.targets)
    except MaintError:
        touches = frozenset({Touch()})  # what cannot be planned may be anything
    if not request.access.judge_command("schedule", touches).allowed:
        raise Refused(
            f"You may not change when {entry.runbook.name} runs: that needs a grant of "
            f"schedule for all that it touches. {request.program} whoami shows yours."
        )


def _chosen(
    request: Request, what: str, rest: tuple[str, ...], known: Mapping[str, Entry]
) -> tuple[Entry, ...]:
    """The entries of that name. Raises UsageError with the nearest."""
    if not rest:
        raise UsageError(
            f"Name the schedule: {request.program} schedule {what} NAME. There are: {_all(known)}."
        )
    name = rest[0].casefold()
    found = tuple(each for id_, each in known.items() if name in (id_, each.runbook.name))
    if found:
        return found
    meant = nearest(name, [*known, *(each.runbook.name for each in known.values())])
    hint = f"Did you mean {meant}?" if meant else f"There are: {_all(known)}."
    raise UsageError(f"There is no schedule {quoted(rest[0])} that you may see. {hint}")


def _all(known: Mapping[str, Entry]) -> str:
    return ", ".join(sorted(known)) or "none that you may see"


def _one(request: Request, chosen: tuple[Entry, ...], what: str) -> Entry:
    if len(chosen) > 1:
        each = ", ".join(entry.id for entry in chosen)
        raise UsageError(f"Which one? {request.program} schedule {what} {chosen[0].id} (there are: {each})")
    return chosen[0]


def _reason(words: tuple[str, ...]) -> str:
    return " ".join(words[1:] if words and words[0].casefold() in _BECAUSE else words)


def _names(ids: tuple[str, ...]) -> str:
    return f"{', '.join(ids)} {'is' if len(ids) == 1 else 'are'}"


async def _listed(request: Request, services: Services, known: Mapping[str, Entry]) -> Reply:
    there, last = await services.records.read(
        lambda connection: (
            rows.rows(connection),
            {id_: rows.newest_ticks(connection, id_, limit=1) for id_ in known},
        )
    )
    now = services.now()
    # A row of another text is of another version of the file.
    state = {
        id_: row if (row := there.get(id_)) and row.digest == known[id_].digest else None for id_ in known
    }
    times = {id_: tuple(islice(upcoming(each, state[id_], now), NEXT)) for id_, each in known.items()}
    order = sorted(known, key=lambda id_: (times[id_][0].at if times[id_] else now, id_))
    lines = tuple(
        _line(request, known[id_], state[id_], [each.at for each in times[id_]], last[id_]) for id_ in order
    )
    elements: list[Element] = [Lines(lines)] if lines else []
    if not lines:
        elements.append(Paragraph("No runbook that you may run is on a schedule."))
    elements += [
        Note(f"{freeze.where} is frozen until {local(freeze.until, request.timezone)}.")
        for freeze in await services.runs.freezes()
    ]
    return Reply(
        title="Schedules",
        fallback=f"{counted(len(known), 'schedule')}",
        elements=tuple(elements),
        data={
            "schedules": [
                {
                    "id": id_,
                    "runbook": known[id_].runbook.name,
                    "when": known[id_].schedule.words,
                    "next": [each.at.isoformat() for each in times[id_]],
                    "paused_by": row.paused_by if (row := state[id_]) else "",
                    "skips_next": bool(row and row.skip_next),
                    "last": [{"at": tick.local, "state": tick.state, "run": tick.run} for tick in last[id_]],
                }
                for id_ in order
            ]
        },
    )


def _line(
    request: Request,
    entry: Entry,
    row: ScheduleRow | None,
    times: list[datetime],
    last: tuple[TickRow, ...],
) -> Line:
    paused = row is not None and row.paused_at is not None
    note = [*_paused(row), *_last(last)]
    if row is not None and row.skip_next:
        note.append("its next time is left out")
    spans = [strong(entry.id), Span(f"  {entry.title}  ·  {entry.schedule.words}  ·  ")]
    return Line(
        mark=Mark.SKIPPED if paused else Mark.TO_DO,
        text=(*spans, *_times(request, times)),
        note="  ·  ".join(note),
    )


def _times(request: Request, times: list[datetime]) -> Iterator[Span]:
    for number, at in enumerate(times):
        yield Span(", " if number else "next ")
        # Slack draws it on the reader's clock, which at the terminal is the machine's.
        text = local(at, request.timezone)
        yield Span(text, at=at if request.actor.kind is ActorKind.SLACK else None)
    if not times:
        yield Span("never again")


def _paused(row: ScheduleRow | None) -> Iterator[str]:
    if row is not None and row.paused_at is not None:
        yield f"paused by {row.paused_by}" + (f": {row.paused_reason}" if row.paused_reason else "")


def _last(last: tuple[TickRow, ...]) -> Iterator[str]:
    for tick in last:
        run = f", run {tick.run[-8:]}" if tick.run else ""
        why = f" ({tick.note})" if tick.note else ""
        state = "begun" if tick.state == TickState.DONE else tick.state
        yield f"last {tick.local.replace('T', ' ')}: {state}{run}{why}"
