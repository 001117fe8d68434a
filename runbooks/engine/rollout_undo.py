"""Undoes a rollout: down only, if it is to be gradual, and then back to what was recorded before it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from runbooks.engine.at import At, Finished, Outcome, Waiting
from runbooks.engine.rollout_state import rollout_of, traffic_of
from runbooks.engine.rollouts import SETTLE_EVERY
from runbooks.engine.traffic import NEAR, TrafficAt, differs, show_traffic
from runbooks.errors import StepError
from runbooks.records.runs import WaitingOn
from runbooks.steps.rollout import Rollout
from runbooks.steps.traffic import Traffic
from runbooks.steps.traffic.placeholders import plain_weight

#: The key in the step's data.
KEY = "undo"

#: How long a weight on the way down may take. A Deployment that took the new version over, for example, has
#: no share of the old one to go down to.
LONGEST_ON_THE_WAY = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class UndoState:
    """A rollback that is under way. `down` are the weights on the way, falling; `done` of them are behind it,
    and when all are, the recorded state is restored. `not_before`: when the next one may be set."""

    attempt: int
    down: tuple[float, ...]
    done: int = 0
    settle_by: datetime | None = None  # set, and waited for to take, until then
    not_before: datetime | None = None
    warnings: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """It as JSON."""
        times = {name: getattr(self, name) for name in ("settle_by", "not_before")}
        return asdict(self) | {name: time.isoformat() if time else None for name, time in times.items()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The rollback that `as_data` wrote."""
        times = {
            name: datetime.fromisoformat(data[name]) if data[name] else None
            for name in ("settle_by", "not_before")
        }
        return cls(**{**data, **times, "down": tuple(data["down"]), "warnings": tuple(data["warnings"])})


async def undo_rollout(at: At, model: Rollout, recorded: Mapping[str, Any] | None) -> Outcome:
    """As far as the rollback gets now. `recorded` is what `recorded_of` found in the data of the rollout.

    Raises StepError when a weight, or the recorded state, cannot be set or does not take.
    """
    if recorded is None:
        return Finished(summary="no stage had begun: there is nothing to restore")
    return await _UndoAt(at, model, recorded).run()


class _UndoAt:
    def __init__(self, at: At, model: Rollout, recorded: Mapping[str, Any]) -> None:
        self._at = at
        self._model = model
        self._recorded = recorded
        self._traffic = TrafficAt(at, model)

    async def run(self) -> Outcome:
        kept = self._at.row.data.get(KEY)
        state = UndoState.from_data(kept) if kept else None
        if state is None or state.attempt != self._at.row.attempt:
            state = await self._begin()
        while True:
            if state.settle_by is None:
                if state.not_before is not None and self._at.now() < state.not_before:
                    return self._wait(state, state.not_before)
                state = await self._set(state)
                continue
            live, trouble = await self._look(state)
            if trouble and self._at.now() < state.settle_by:
                return self._wait(state, min(self._at.now() + SETTLE_EVERY, state.settle_by))
            if trouble:
                state = await self._did_not_take(state, trouble)
            elif self._restoring(state):
                return self._restored(state, live)
            else:
                state = await self._took(state)

    async def _begin(self) -> UndoState:
        down, warnings = await self._way_down()
        state = UndoState(attempt=self._at.row.attempt, down=down, warnings=warnings)
        details = {"down": list(down), "recorded": dict(self._recorded)}
        await self._keep(state, audit="rollout.rollback_begun", details=details)
        return state

    async def _way_down(self) -> tuple[tuple[float, ...], tuple[str, ...]]:
        """The weights between what is live and what was recorded, falling; and what is worth a look."""
        if not self._model.gradual_rollback:
            return (), ()
        try:
            live = await self._traffic.live()
        except StepError as error:
            return (), (f"restored at once, because the weight could not be read: {error}",)
        if live.version is not None and live.version != self._model.to:
            return (), (f"restored at once, because {self._model.target} has {show_traffic(live)}",)
        reached = self._traffic.driver.reached
        return way_down(self._model.stages, live.weight, self._floor(), reached), ()

    def _floor(self) -> float:
        """The weight that this very version had before the first stage."""
        recorded = traffic_of(self._recorded)
        return recorded.weight if recorded.version in (None, self._model.to) else 0.0

    async def _set(self, state: UndoState) -> UndoState:
        settle = self._model.settle
        if self._restoring(state):
            await self._traffic.restore(self._recorded)
        else:
            settle = min(settle, LONGEST_ON_THE_WAY)
            weight = state.down[state.done]
            try:
                await self._traffic.set(f"down-{plain_weight(weight)}", weight)
            except StepError as error:
                return await self._did_not_take(state, str(error))
        state = replace(state, settle_by=self._at.now() + settle, not_before=None)
        await self._keep(
            state, audit="rollout.rolled_back_to", details={"weight": self._wanted(state).weight}
        )
        return state

    async def _did_not_take(self, state: UndoState, trouble: str) -> UndoState:
        """A weight on the way is not waited for. Raises StepError when it is what was recorded."""
        wanted = show_traffic(self._wanted(state))
        if self._restoring(state):
            raise StepError(f"{wanted} did not take on {self._model.target}: {trouble}")
        warning = f"restored at once, because {wanted} did not take: {trouble}"
        state = replace(
            state,
            done=len(state.down),
            settle_by=None,
            not_before=None,
            warnings=(*state.warnings, warning),
        )
        await self._keep(state)
        return state

    def _restoring(self, state: UndoState) -> bool:
        return state.done == len(state.down)

    async def _look(self, state: UndoState) -> tuple[Traffic | None, str]:
        wanted = self._wanted(state)
        try:
            live = await self._traffic.live()
        except StepError as error:
            return None, f"it could not be read: {error}"
        return live, differs(live, wanted.version, wanted.weight)

    async def _took(self, state: UndoState) -> UndoState:
        state = replace(
            state, done=state.done + 1, settle_by=None, not_before=self._at.now() + self._model.every
        )
        await self._keep(state)
        return state

    def _restored(self, state: UndoState, live: Traffic | None) -> Outcome:
        shown = show_traffic(live or traffic_of(self._recorded))
        return Finished(
            outputs={"weight": traffic_of(self._recorded).weight},
            summary=f"{self._model.target} has {shown} again, as before the rollout",
            warnings=state.warnings,
        )

    def _wanted(self, state: UndoState) -> Traffic:
        if self._restoring(state):
            return traffic_of(self._recorded)
        weight = self._traffic.driver.reached(state.down[state.done])
        return Traffic(version=self._model.to, weight=weight)

    def _wait(self, state: UndoState, until: datetime) -> Waiting:
        return Waiting(on=WaitingOn.TIME, until=until, progress=self._progress(state))

    def _progress(self, state: UndoState) -> str:
        wanted = self._wanted(state)
        end = "restores" if self._restoring(state) else "goes down to"
        return f"{end} {show_traffic(wanted)}"

    async def _keep(
        self, state: UndoState, *, audit: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        data = {**self._at.row.data, KEY: state.as_data()}
        await self._at.save(data, progress=self._progress(state), audit=audit, details=details)


def way_down(
    stages: tuple[float, ...], live: float, floor: float, reached: Callable[[float], float] = float
) -> tuple[float, ...]:
    """The stages below what is live and above what is restored, falling: a rollback never raises a weight.

    `reached`: what a weight comes to when it is set. With four pods, 10 % and 25 % are the same.
    """
    return tuple(sorted((stage for stage in stages if floor < reached(stage) < live - NEAR), reverse=True))


async def changed_since(at: At, model: Rollout, data: Mapping[str, Any]) -> tuple[str, ...]:
    """What of the traffic is not any more as a finished rollout left it, in words; `data` is what its step
    kept. Empty: undoing it undoes nothing else. What cannot be read counts as changed."""
    state = rollout_of(data)
    if state is None or state.left is None:
        return ()
    try:
        live = await TrafficAt(at, model).live()
    except StepError as error:
        return (f"what {model.target} has now could not be read: {error}",)
    change = differs(live, state.left["version"], state.left["weight"])
    return (f"{model.target}: {change}",) if change else ()
