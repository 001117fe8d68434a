"""Whether a run may still change something: what maint.yaml grants, to the roles that people have now."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from bot.logins import access_of
from bot.places import place_of
from bot.settings import Loaded
from commands.command import ActorKind
from commands.rights import refused_now
from runbooks.access import Access, Place
from runbooks.errors import Refused, Unsure
from runbooks.records.person import Person
from runbooks.records.runs import RunRow

#: The roles that the member of that id (user, team) of Slack's has now. Raises Refused, Unsure.
RolesById = Callable[[str, str], Awaitable[frozenset[str]]]

#: Who asks for runs that are on a schedule: whoever wrote it into the file.
CLOCK = "clock"


class Granted:
    """The engine's Authority. Until it is connected to who knows people's roles, nothing is sure."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._settings = loaded.settings
        self._runbooks = loaded.runbooks
        self._roles: RolesById | None = None

    def connect(self, roles: RolesById) -> None:
        """Whom to ask for people's roles from now on."""
        self._roles = roles

    async def refusal(self, run: RunRow, by: Person, /) -> str:
        """Why that person may not have the run carried on; empty when they may. Raises Unsure."""
        if by.kind == CLOCK:
            return ""
        run = replace(run, requester_name=by.name)
        try:
            with structlog.contextvars.bound_contextvars(correlation=run.id):
                return await self._refusal(run, by)
        except Unsure:
            raise
        except Refused as error:
            return f"{by.name} may have nothing done any more: {error}"

    async def _refusal(self, run: RunRow, by: Person) -> str:
        grants, targets = self._settings.grants, self._settings.targets
        if by.kind == ActorKind.TERMINAL:
            return refused_now(access_of(by.name, self._loaded), run, targets)
        if by.kind != ActorKind.SLACK:
            raise Refused(f"Maint does not know what a {by.kind} may do.")
        if self._roles is None:
            raise Unsure("Maint has only just started, and has not asked Slack who has which role.")
        roles = await self._roles(by.id, by.team)
        refusals = [refused_now(Access(roles, grants, place), run, targets) for place in self._places(run)]
        return "" if "" in refusals else refusals[0]

    def _places(self, run: RunRow) -> tuple[Place, ...]:
        """From where the run may have been asked for: its card's channel, unless the runbook names that."""
        channels = self._settings.slack.channels
        here = place_of(run.channel, run.channel_name, channels)
        runbook = self._runbooks.get(run.runbook)
        if runbook is not None and not runbook.channel:
            return (here,)
        named = (place_of(id_, alias, channels) for alias, id_ in channels.items())
        return (here, *named, Place(id="", direct=True))
