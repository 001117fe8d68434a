"""What stands in for the world: actions, checks and traffic that do nothing but what a test says."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from runbooks.engine.checks import CheckRunner, Item, Limits, Result
from runbooks.engine.rollout_state import rollout_of
from runbooks.engine.sealing import Sealer
from runbooks.engine.soak_state import SoakState
from runbooks.records.runs import RunView, StepRow, StepState
from runbooks.rehearsal.case import Given
from runbooks.rehearsal.case import Result as Said
from runbooks.scrub import Scrubber
from runbooks.spec.kind_reading import Kinds
from runbooks.status import Status
from runbooks.steps import CHECKS
from runbooks.steps.action import Action, Call, Done, Doubtful, Failed
from runbooks.steps.reach import Reach
from runbooks.steps.step import Measured, Step, Value
from runbooks.steps.traffic import Traffic, TrafficDriver
from runbooks.targets import TargetBase

_FINE = Said()
_WATCHING = ("soak", "rollout")


@dataclass(kw_only=True)
class Play:
    """One test while it goes on: what is said to happen, how often each step was carried out, and where the
    traffic of each target is."""

    given: Given
    times: dict[str, int] = field(default_factory=dict)
    traffic: dict[str, Traffic] = field(default_factory=dict)

    def next_of(self, path: str) -> Said:
        """What comes of carrying out that step once more."""
        done = self.times.get(path, 0)
        self.times[path] = done + 1
        return self.nth(path, done)

    def nth(self, path: str, index: int) -> Said:
        """What comes of it for the time of that number, from 0."""
        said = self.given.results.get(path, (_FINE,))
        return said[min(index, len(said) - 1)]


def kinds_for(kinds: Kinds, play: Play) -> Kinds:
    """The same kinds of steps, but those that act only say that they did."""
    return {name: _acting(kind, play) if issubclass(kind, Action) else kind for name, kind in kinds.items()}


def _acting(kind: type[Step], play: Play) -> type[Step]:
    async def record(_self: Any, _target: Any, _call: Call) -> Mapping[str, Any]:
        return {"state": "as it was"} if getattr(kind, "reversible", False) else {}

    async def act(self: Any, _target: Any, call: Call) -> Done:
        return _done(self, play.next_of(_path(call)))

    async def changed_since(
        _self: Any, _target: Any, _call: Call, _after: Mapping[str, Any]
    ) -> tuple[str, ...]:
        return ()

    async def preview(_self: Any, _target: Any, _reach: Reach) -> None:
        return None

    own = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    methods = {"record": record, "act": act, "undo": act, "changed_since": changed_since, "preview": preview}
    return type(kind.__name__, (kind,), {**own, **methods})


def _path(call: Call) -> str:
    # The key of an effect is run/path/name; a path has no slash.
    return call.key.split("/")[1]


def _done(action: Step, said: Said) -> Done:
    if said.word == "in_doubt":
        raise Doubtful(said.reason)
    if said.word != "ok":
        raise Failed(said.reason)
    values: dict[str, Value] = {
        name: 1 if output.number else "sample" for name, output in action.declared().items()
    }
    success = getattr(action, "success", ())
    known = {"exit_code": success[0] if success else 0, "status": 200}
    values |= {name: value for name, value in known.items() if name in values}
    return Done(values={**values, **said.outputs}, summary="as the test says")


def targets_for(targets: Mapping[str, TargetBase], play: Play) -> Mapping[str, TargetBase]:
    """The same targets, whose traffic is a number in memory."""
    return {name: _with_traffic(target, play) for name, target in targets.items()}


def _with_traffic(target: TargetBase, play: Play) -> TargetBase:
    driver = getattr(target, "traffic", None)
    if not isinstance(driver, TrafficDriver):
        return target

    async def read(_self: Any, _target: TargetBase, _version: str, _call: Call) -> Traffic:
        return play.traffic.get(target.name, Traffic(version=None, weight=0))

    async def set_(self: Any, _target: TargetBase, version: str, weight: float, _call: Call) -> None:
        play.traffic[target.name] = Traffic(version=version, weight=self.reached(weight))

    async def restore(_self: Any, _target: TargetBase, recorded: Traffic, _call: Call) -> None:
        play.traffic[target.name] = recorded

    kind = type(driver)
    methods = {"read": read, "set": set_, "restore": restore, "__module__": kind.__module__}
    still: Any = type(kind.__name__, (kind,), methods)
    return target.model_copy(update={"traffic": still.model_construct(**dict(driver))})


class NoHistory:
    """Nothing was measured before, and nothing is kept."""

    async def previous(self, _series: Any) -> Mapping[Any, Any]:
        return {}

    async def medians(self, _series: Any) -> Mapping[Any, float]:
        return {}

    async def keep(self, _results: Any, also: Any = None) -> None:  # noqa: ARG002 - nothing is kept
        return None


class SaidChecks(CheckRunner):
    """Measures what the test says: by a step's values, held against its thresholds, or by a word."""

    def __init__(
        self,
        targets: Mapping[str, TargetBase],
        play: Play,
        view: Callable[[str], Any],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(targets, NoHistory(), Scrubber(), Limits(), now)
        self._play = play
        self._view = view
        self._said: dict[str, Said] = {}
        self._one = asyncio.Lock()

    async def run(self, runbook: str, items: Any, correlation: str, on_result: Any = lambda _: None) -> Any:
        """As ever; first it is found out which step it is for."""
        async with self._one:
            said = _now_said(self._play, await self._view(correlation), items[0].title, self._now())
            self._said = {item.title: said for item in items}
            return await super().run(runbook, items, correlation, on_result)

    async def _row(self, item: Item, reach: Reach, median: float | None) -> Result:
        row = await super()._row(item, reach, median)
        said = self._said[item.title]
        if said.outputs:
            return row
        words = {"failed": Status.CRITICAL, "critical": Status.CRITICAL, "unknown": Status.UNKNOWN}
        status = words.get(said.word, Status.WARNING if said.word == "warning" else Status.OK)
        reasons = () if status is Status.OK else (said.reason,)
        return replace(row, status=status, reasons=reasons)

    async def _measure(self, item: Item, reach: Reach) -> tuple[Measured, str]:  # noqa: ARG002 - the hook
        said = self._said[item.title]
        made_up: dict[str, Value] = {
            name: 1 if output.number else "sample" for name, output in item.check.outputs.items()
        }
        return Measured(values=dict(said.outputs) if said.outputs else made_up), ""


def _now_said(play: Play, view: RunView, name: str, now: datetime) -> Said:
    """What the test says of the step that measures at this moment."""
    row = view.step(name)
    if row is not None and row.kind in CHECKS and row.state == StepState.RUNNING:
        return play.next_of(name)
    under_way = [
        row
        for row in view.steps
        if row.kind in _WATCHING and row.state in (StepState.RUNNING, StepState.WAITING)
    ]
    for row in under_way:
        said = play.nth(row.path, row.attempt - 1)
        if said.word != "ok" and begins(row, said, now):
            return said
    return _FINE


def begins(row: StepRow, said: Said, now: datetime) -> bool:
    """Whether it is time for what is said of a soak or rollout."""
    rollout = rollout_of(row.data)
    if said.at is not None and rollout is not None and rollout.weight != said.at:
        return False
    soak = soak_of(row)
    return soak is None or now >= soak.began + (said.after or timedelta(0))


def soak_of(row: StepRow) -> SoakState | None:
    """The soak that is under way at that step."""
    rollout = rollout_of(row.data)
    if rollout is not None:
        return rollout.soak
    kept = row.data.get("soak")
    return SoakState.from_data(kept) if kept else None


class MemorySealer(Sealer):
    """Keeps secrets in memory: a rehearsal needs no key."""

    def __init__(self) -> None:
        super().__init__("")
        self._kept: dict[str, str] = {}

    def seal_all(self, secrets: Mapping[str, Any]) -> dict[str, str]:
        """Names in place of the values."""
        self._kept |= {name: str(value) for name, value in secrets.items()}
        return {name: name for name in secrets}

    def open_all(self, sealed: Mapping[str, str]) -> dict[str, str]:
        """The values."""
        return {name: self._kept[name] for name in sealed}
