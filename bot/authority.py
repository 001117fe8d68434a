"""Whether a run may still change something: what maint.yaml grants, to the roles that people have now."""

from collections.abc import Awaitable, Callable

import structlog

from bot.settings import Settings
from commands.command import ActorKind
from commands.rights import allows
from runbooks.access import Access, Place, terminal_access
from runbooks.errors import Refused, Unsure
from runbooks.records.person import Person
from runbooks.records.runs import RunRow

#: The roles that the member of that id (user, team) of Slack's has now. Raises Refused, Unsure.
RolesById = Callable[[str, str], Awaitable[frozenset[str]]]

#: Who asks for runs that are on a schedule: whoever wrote it into the file.
CLOCK = "clock"


class Granted:
    """The engine's Authority. Until it is connected to who knows people's roles, nothing is sure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roles: RolesById | None = None

    def connect(self, roles: RolesById) -> None:
        """Whom to ask for people's roles from now on."""
        self._roles = roles

    async def refusal(self, run: RunRow, by: Person) -> str:
        """Why that person may not have the run carried on; empty when they may. Raises Unsure."""
        if by.kind == CLOCK:
            return ""
        try:
            with structlog.contextvars.bound_contextvars(correlation=run.id):
                access = await self._access(by)
        except Unsure:
            raise
        except Refused as error:
            return f"{by.name} may not have anything done any more. {error}"
        if allows(access, run, self._settings.targets):
            return ""
        return (
            f"{by.name} has no grant for {run.runbook} any more, so nothing was changed. "
            "Somebody who has one can say Retry, or roll back."
        )

    async def _access(self, by: Person) -> Access:
        grants = self._settings.grants
        if by.kind == ActorKind.TERMINAL:
            return terminal_access(grants)
        if by.kind != ActorKind.SLACK:
            raise Refused(f"Maint does not know what a {by.kind} may do.")
        if self._roles is None:
            raise Unsure("Maint has only just started, and has not asked Slack who has which role.")
        return Access(await self._roles(by.id, by.team), grants, Place(id=""))
