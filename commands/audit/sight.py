"""What somebody may see of the log: their own doings, the runs that are their business, and what they were
granted `audit` for."""

from commands.command import Request, Services
from commands.rights import NOWHERE, environments, may_see
from runbooks.records.audit import Event

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
        where = [targets[name].environment if name in targets else NOWHERE for name in event.targets]
        if where and self._granted(where):
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
        touched = environments(view.run.plan, self._services.targets)
        if self.everything or (touched and self._granted(touched)):
            return True
        return await may_see(self._request, self._services, view)

    def _granted(self, where: "list[str] | frozenset[str]") -> bool:
        return all(self._request.access.may_touch("audit", environment) for environment in where)
