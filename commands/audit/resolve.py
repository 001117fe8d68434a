"""From what people call things to what stands in the log: ids of people, runs and channels."""

import re
from functools import partial

from commands.audit.filters import Filters
from commands.audit.sight import Sight
from commands.command import Request, Services
from commands.words import quoted
from runbooks.errors import UsageError
from runbooks.nearest import nearest
from runbooks.records import search
from runbooks.records.search import MOST_PEOPLE, Wanted

#: The asker, whatever they are called.
ME = "me"
_PERSON = re.compile(r"[UW][A-Z0-9]{5,}")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{5,}")


async def resolve(request: Request, services: Services, filters: Filters, sight: Sight) -> Wanted:
    """What to look for. Raises UsageError for a run or a person that is not there, with the nearest name."""
    targets = {name.casefold(): name for name in services.targets}
    channel = services.channels.get(filters.channel, filters.channel)
    is_id = bool(_CHANNEL.fullmatch(channel))
    return Wanted(
        actors=await _actors(request, services, filters.by, sight),
        runbook=filters.runbook,
        target=targets.get(filters.target.casefold(), filters.target),
        outcomes=filters.outcomes,
        action=filters.action,
        correlation=await find_run(request, services, filters.run, sight) if filters.run else "",
        channel=channel if is_id else "",
        channel_name="" if is_id else channel,
        since=filters.since,
        until=filters.until,
    )


async def find_run(request: Request, services: Services, text: str, sight: Sight) -> str:
    """The id of the run with that ending. Raises UsageError, also for who may see nothing of it."""
    row = await services.runs.find(text)
    if not await sight.sees_run(row.id):
        raise UsageError(
            f"There is no run {quoted(text)} that you may see. {request.program} runs lists what you may."
        )
    return row.id


async def _actors(request: Request, services: Services, name: str, sight: Sight) -> tuple[str, ...]:
    if not name:
        return ()
    if name.casefold() == ME:
        return tuple(sorted({request.by.id, request.actor.id}))
    found = await services.records.read(partial(search.people, name=name))
    if len(found) > MOST_PEOPLE:
        raise UsageError(f"{len(found)} people are called {quoted(name)}: give the id of the one you mean.")
    # Whether there is such a person is told to who may see what they did.
    if found or _PERSON.fullmatch(name) or not sight.everything:
        return found or (name,)
    meant = nearest(name, await services.records.read(search.names))
    hint = f"Did you mean {meant}?" if meant else "A name, a login or a Slack id is looked for."
    raise UsageError(f"Nobody called {quoted(name)} stands in the log. {hint}")
