"""What people are asked at this moment: approvals, questions, reviews."""

from collections.abc import Sequence
from datetime import datetime

from commands.command import Request, Services
from commands.reply import Element, Note, Paragraph, Reply, Span, code, strong
from commands.rights import holds, may_see, short
from commands.times import ago
from commands.words import counted
from runbooks.engine.decisions import permitted
from runbooks.errors import Refused
from runbooks.records.runs import AskRow, RunView

#: Questions that one list shows.
MOST = 20


async def asked(request: Request, services: Services, kinds: Sequence[str], title: str) -> Reply:
    """The open questions of these kinds that are the person's business, oldest first."""
    found: list[tuple[AskRow, RunView]] = []
    for ask in await services.runs.open_asks(kinds):
        view = await services.runs.view(ask.run)
        if view is not None and await may_see(request, services, view):
            found.append((ask, view))
        if len(found) == MOST:
            break
    now = services.now()
    elements: list[Element] = [
        Paragraph(_line(ask, view, await _yours(request, ask), now)) for ask, view in found
    ]
    if not found:
        elements.append(Note("Nothing is open that you may see."))
    return Reply(
        title=title,
        fallback=f"{title}: {counted(len(found), 'open one')}" if found else f"{title}: none",
        elements=tuple(elements),
        data={
            "asks": [
                {
                    "run": ask.run,
                    "step": ask.path,
                    "kind": ask.kind,
                    "title": ask.title,
                    "choices": list(ask.choices),
                    "opened_at": ask.opened_at.isoformat(),
                    "deadline": ask.deadline.isoformat() if ask.deadline else None,
                }
                for ask, _ in found
            ]
        },
    )


async def _yours(request: Request, ask: AskRow) -> bool:
    """Whether the person is one of those who are asked."""
    if not permitted(ask):
        return True
    try:
        return bool(await holds(request, ask))
    except Refused:
        return False


def _line(ask: AskRow, view: RunView, yours: bool, now: datetime) -> tuple[Span, ...]:
    run = view.run
    until = f", until {ago(ask.deadline, now)}" if ask.deadline else ""
    who = "" if yours else f"  ({', '.join(permitted(ask))} may answer, you may not)"
    return (
        code(short(run.id)),
        Span("  "),
        strong(run.title),
        Span(f"  {ask.title}\n  asked by {run.requester_name} {ago(ask.opened_at, now)}{until}: "),
        code(" | ".join(ask.choices)),
        Span(who),
    )
