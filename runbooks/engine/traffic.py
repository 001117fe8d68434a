"""How a rollout touches traffic: it reads what is live, and sets and restores it with the journal around."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from runbooks.engine.at import At
from runbooks.engine.rollout_state import traffic_data, traffic_of
from runbooks.errors import StepError
from runbooks.spec.model import show_duration
from runbooks.steps.action import Call, Done
from runbooks.steps.reach import Connections
from runbooks.steps.rollout import Rollout, show_weight
from runbooks.steps.traffic import Traffic

#: Percent by which a weight that was read may differ from the one that was set: interfaces round.
NEAR = 0.5


class TrafficAt:
    """The traffic that a rollout moves. Raises StepError when its target has no driver."""

    def __init__(self, at: At, model: Rollout) -> None:
        self._at = at
        self._model = model
        self.target, self.driver = model.moved(at.targets)

    async def live(self) -> Traffic:
        """What is live now. Raises StepError when it cannot be read."""
        at, model = self._at, self._model
        try:
            async with Connections() as connections, asyncio.timeout(model.timeout.total_seconds()):
                call = Call(
                    targets=at.targets,
                    connections=connections,
                    key=f"{at.row.run}:{at.row.path}:read",
                    run=at.row.run,
                    requester=at.view.run.requester_name,
                    now=at.now,
                )
                return await self.driver.read(self.target, model.to, call)
        except TimeoutError as error:
            raise StepError(
                f"what {model.target} has could not be read within {show_duration(model.timeout)}"
            ) from error

    async def record(self) -> Mapping[str, Any]:
        """What is live before anything is changed, kept in the journal."""

        async def look(call: Call) -> Done:
            live = await self.driver.read(self.target, self._model.to, call)
            return Done(values={"traffic": json.dumps(traffic_data(live))}, summary=show_traffic(live))

        done = await self._effect("record", look)
        recorded: Mapping[str, Any] = json.loads(str(done.values["traffic"]))
        return recorded

    async def set(self, name: str, weight: float) -> None:
        """Gives the new version that weight: the effect `name` of the journal."""

        async def act(call: Call) -> Done:
            await self.driver.set(self.target, self._model.to, weight, call)
            return Done(values={"weight": weight}, summary=f"{show_weight(weight)} for {self._model.to}")

        await self._effect(name, act)

    async def restore(self, recorded: Mapping[str, Any]) -> None:
        """Puts back what was recorded: the effect `restore` of the journal."""
        traffic = traffic_of(recorded)

        async def act(call: Call) -> Done:
            await self.driver.restore(self.target, traffic, call)
            return Done(values={"weight": traffic.weight}, summary=f"restored {show_traffic(traffic)}")

        await self._effect("restore", act)

    async def _effect(self, name: str, act: Any) -> Done:
        # Setting a weight twice is setting it once: drivers promise it.
        return await self._at.effect(
            name, act, repeatable=True, timeout=self._model.timeout, grace=self._model.grace
        )


def differs(live: Traffic, version: str | None, weight: float) -> str:
    """How what is live is not that, in words; empty when it is so. A version that cannot be known does not
    speak against it."""
    if abs(live.weight - weight) > NEAR:
        return f"it has {show_traffic(live)}, not {show_weight(weight)}"
    if version is not None and live.version is not None and live.version != version:
        return f"it has {show_traffic(live)}, not {version}"
    return ""


def show_traffic(traffic: Traffic) -> str:
    """`25 % of 2.0.0`."""
    return show_weight(traffic.weight) + (f" of {traffic.version}" if traffic.version else "")
