"""`/maint audit [FILTERS]`: events, newest first."""

from collections.abc import Iterator
from dataclasses import replace

from commands.audit.filters import Filters, parse
from commands.audit.lines import line
from commands.audit.options import Options, options
from commands.audit.page import Page, look
from commands.audit.resolve import resolve
from commands.audit.sheet import COLUMNS, as_data, compact, csv_rows
from commands.audit.sight import Sight
from commands.audit.sub_word import SubWord
from commands.command import ActorKind, Progress, Request, Services
from commands.needs import Needs
from commands.reply import Button, Buttons, Element, Lines, Note, Reply
from commands.words import counted, quoted
from runbooks.errors import UsageError
from runbooks.records.audit import LARGEST_PAGE

#: Events on one page, where nobody says how many; and so many that one may have.
PAGE, MOST = 20, LARGEST_PAGE - 1
#: The buttons: the page beside this one, and the events of a run.
OLDER, NEWER, OF_RUN = "audit-older", "audit-newer", "audit"


class Search(SubWord):
    """Reads filters like words, and shows a page of the events that fit."""

    word = "search"
    summary = (
        "Lists what was asked, decided and changed, newest first: what you did, runs that are your business, "
        "and what you were granted audit for. Filters read like words: by WHO (a name, a login, me), "
        "runbook NAME, on TARGET, run RUN, in #CHANNEL, action NAME (gate.*), since and until WHEN (2d, "
        "yesterday, 2026-11-01), and how it went: denied, failed, late, duplicate, invalid, throttled, ok, "
        "accepted. At the terminal --csv and --json are for programs, and --limit says how many"
    )
    usage = "[by WHO] [runbook NAME] [on TARGET] [run RUN] [denied|failed|…] [since WHEN]"
    examples = (
        ("", "the newest"),
        ("by me since 2d", "what you did in the last two days"),
        ("denied since yesterday", "who was refused something"),
        ("runbook deploy on app", "everything about that runbook and that target"),
        ("run 3f9kq2ab", "all about one run"),
    )
    needs = Needs.BUSINESS

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """A page."""
        given = options(words, values=("limit",), flags=("csv",))
        if request.actor.kind is not ActorKind.TERMINAL and (given.flags or given.values):
            raise UsageError("--csv and --limit are for the terminal. Here, buttons lead to the next page.")
        filters = parse(given.rest, services.now())
        sight = Sight(request, services)
        wanted = await resolve(request, services, filters, sight)
        page = await look(services, wanted, filters, sight, _limit(given))
        reply = _reply(request, filters, page)
        if "csv" in given.flags:
            return replace(reply, output=_csv(page))
        return reply


def _limit(given: Options) -> int:
    text = given.values.get("limit", str(PAGE))
    if not text.isdecimal() or not 0 < int(text[:9]) <= MOST:
        raise UsageError(
            f"--limit is a number from 1 to {MOST}, not {quoted(text)}. For more there is audit export."
        )
    return int(text)


def _csv(page: Page) -> str:
    rows = [{**as_data(each), "details": compact(each.event.details)} for each in page.events]
    return csv_rows([COLUMNS, *(tuple(row.values()) for row in rows)])


def _reply(request: Request, filters: Filters, page: Page) -> Reply:
    asked = replace(filters, before=0, after=0)
    elements: list[Element] = [Note(asked.line())] if asked != Filters() else []
    if page.events:
        elements.append(Lines(tuple(line(each) for each in page.events)))
    else:
        elements.append(Note(f"No event that you may see{' here' if page.older or page.newer else ''}."))
    if page.cut:
        elements.append(Note("So far was looked for this page; the next one looks further."))
    buttons = tuple(_buttons(request, asked, page))
    if buttons:
        elements.append(Buttons(buttons))
    return Reply(
        title="Audit log",
        fallback=f"Audit log: {counted(len(page.events), 'event')}",
        elements=tuple(elements),
        data={
            "events": [as_data(each) for each in page.events],
            "older": replace(asked, before=page.older).line() if page.older else None,
            "newer": replace(asked, after=page.newer).line() if page.newer else None,
        },
    )


def _buttons(request: Request, asked: Filters, page: Page) -> Iterator[Button]:
    """To the pages beside this one: the words of a button lead there, for whoever may see it."""
    beside = (
        ("Older", OLDER, page.older, replace(asked, before=page.older)),
        ("Newer", NEWER, page.newer, replace(asked, after=page.newer)),
    )
    for text, action, place, there in beside:
        if place:
            words = there.line()
            yield Button(text=text, action=action, value=words, command=f"{request.program} audit {words}")
