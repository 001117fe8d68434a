"""What somebody may see of the log: their own doings, the runs that are their business, and what they were
granted `audit` for."""

from collections.abc import Iterable

from commands.command import Request, Services
from commands.rights import may_see
from runbooks.access import NOWHERE, Touch, touched
from runbooks.access.touch import touch_of
from runbooks.records.audit import Event
from runbooks.steps.action import Risk

#: Runs that are looked at for one page: each is several queries.
MOST_RUNS = 60


class Sight:
    """One person's, at this moment."""

    def __init__(self, request: Request, services: Services) -> None:
        self._request = request
        self._services = services
        self._own = {request.by.id, request.actor.id}
        self._runs: dict[str, bool] = {}
        #: Whether nothing has to be looked at: the grant is for every environment.
        self.everything = request.access.may_touch("audit", NOWHERE)

    @property
    def tired(self) -> bool:
        """Whether enough was looked at for one page."""
        return len(self._runs) >= MOST_RUNS

    async def sees(self, event: Event) -> bool:
        """Whether the event is the person's business."""
        if self.everything or event.actor_id in self._own:
            return True
        targets = self._services.targets
        if self._granted([touch_of(name, Risk.READ, targets) for name in event.targets]):
            return True
        return bool(event.correlation) and await self.sees_run(event.correlation)

    async def sees_run(self, run: str) -> bool:
        """Whether the run of that id is; not when there is none."""
        if run not in self._runs:
            self._runs[run] = await self._look(run)
        return self._runs[run]

    async def _look(self, run: str) -> bool:
        view = await self._services.runs.view(run)
        if view is None:
            return False
        if self.everything or self._granted(touched(view.run.plan, self._services.targets)):
            return True
        return await may_see(self._request, self._services, view)

    def _granted(self, touches: Iterable[Touch]) -> bool:
        """Whether the grant of `audit` holds for every target of them, and there is one at all."""
        known = [touch for touch in touches if touch.somewhere]
        access = self._request.access
        return bool(known) and all(
            access.may_touch("audit", touch.environment, touch.target) for touch in known
        )
