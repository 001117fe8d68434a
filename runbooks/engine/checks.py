"""Runs checks all at once, under limits; whatever happens to one of them costs only its own row."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from runbooks.backups.backup import Catalogue, NoCatalogue
from runbooks.errors import RecordsError, StepError
from runbooks.ids import new_id
from runbooks.records.measurements import Last, Series, StoredResult
from runbooks.scrub import Scrubber
from runbooks.spec.model import show_duration
from runbooks.status import SEVERITY, Status, worst
from runbooks.steps.chart import Panel
from runbooks.steps.judge import judge
from runbooks.steps.memory import Forgetful, Memory
from runbooks.steps.reach import Connections, Previous, Reach, utc_now
from runbooks.steps.step import EVERY, Check, Measured, Output, Value
from runbooks.targets import TARGET_TYPES, TargetBase
from runbooks.visible import shorten

log = structlog.get_logger()

#: Seconds that a step gets to clean up after its timeout before it is left behind.
GRACE = 1.0
#: Characters of a reason that are kept; more belongs into a log.
LONGEST_REASON = 3000


@dataclass(frozen=True, kw_only=True)
class Item:
    """One check of one target: a row to be."""

    key: Series
    title: str
    check: Check[Any]
    target: TargetBase


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row of a report."""

    key: Series
    title: str
    environment: str
    status: Status
    at: datetime
    duration: timedelta
    headline_name: str
    headline: Output
    value: Value = None
    bound: str = ""
    median: float | None = None  # of the headline over the last 7 days
    reasons: tuple[str, ...] = ()
    summary: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    details: tuple[str, ...] = ()
    drawn: tuple[Panel, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """Every row, worst first. `unkept` says why the database has none of them, if it has none."""

    runbook: str
    correlation: str
    started: datetime
    duration: timedelta
    results: tuple[Result, ...]
    unkept: str = ""

    @property
    def status(self) -> Status:
        """The worst row's; `unknown` when nothing was measured."""
        return worst(result.status for result in self.results)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many checks run at the same moment, in all and on one target, however many reports there are."""

    total: int = 50
    per_target: int = 4


class History(Protocol):
    """What earlier reports measured. All raise RecordsError when the database does not answer."""

    async def previous(self, series: Iterable[Series]) -> Mapping[Series, Last]:
        """The last measurement of each series that has one."""

    async def medians(self, series: Iterable[Series]) -> Mapping[Series, float]:
        """The 7-day median of each series' headline."""

    async def keep(
        self, results: Sequence[StoredResult], also: Callable[[Any], None] = lambda _: None
    ) -> None:
        """Keeps a report's results, all or none; `also` does the same transaction."""


class Watch(Protocol):
    """What looks for trouble in what was found."""

    def observe(self, connection: Any, report: Report) -> bool:
        """In the transaction that keeps the report; whether there is anything to tell."""

    def told(self) -> None:
        """That transaction was committed, and there is."""


class Step(Protocol):
    """A runbook's step that is a check."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def check(self) -> Check[Any]: ...


def expand(
    runbook: str, steps: Iterable[Step], targets: Mapping[str, TargetBase], only: frozenset[str]
) -> list[Item]:
    """The rows that a runbook's checks make on those targets, in the runbook's order.

    `target: '*'` makes one row for every target of the type that the step needs.
    """
    items = []
    for step in steps:
        check = step.check
        names = sorted(targets) if check.target == EVERY else [check.target]
        for name in names:
            target = targets.get(name)
            if name in only and isinstance(target, check.needs) and check.applies_to(target):
                key = Series(runbook, step.id, name, check.kind)
                items.append(Item(key=key, title=step.title, check=check, target=target))
    return items


class CheckRunner:
    """Runs the checks of a report."""

    def __init__(
        self,
        targets: Mapping[str, TargetBase],
        history: History,
        scrub: Scrubber,
        limits: Limits,
        now: Callable[[], datetime] = utc_now,
        watch: Watch | None = None,
        memory: Memory | None = None,
        backups: Catalogue | None = None,
    ) -> None:
        """`watch`: what looks for trouble in every report; `memory`: what the steps may remember in."""
        self._memory = memory or Forgetful()
        self._backups = backups or NoCatalogue()
        self._watch = watch
        self._targets = targets
        self._history = history
        self._scrub = scrub
        self._total = asyncio.Semaphore(limits.total)
        # By target, and for every report alike: ten people who ask at once load a target no more than one.
        self._per_target: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(limits.per_target)
        )
        self._now = now

    async def run(
        self,
        runbook: str,
        items: Sequence[Item],
        correlation: str,
        on_result: Callable[[Result], None] = lambda _: None,
    ) -> Report:
        """Measures every item, tells `on_result` of each row as it comes, keeps them, and returns them all.

        Raises RecordsError when earlier results cannot be read; no fault of a step is raised.
        """
        started = self._now()
        clock = asyncio.get_running_loop().time
        start = clock()
        keys = [item.key for item in items]
        previous, medians = await asyncio.gather(self._history.previous(keys), self._history.medians(keys))
        results: list[Result] = []

        async def run_one(item: Item, connections: Connections) -> None:
            reach = Reach(
                targets=self._targets,
                connections=connections,
                now=self._now,
                previous=Previous(last.at, last.values) if (last := previous.get(item.key)) else None,
                memory=self._memory,
                backups=self._backups,
            )
            # The target's limit first: those who wait for a slow target hold no place of the others.
            async with self._per_target[item.target.name], self._total:
                result = await self._row(item, reach, medians.get(item.key))
            results.append(result)
            on_result(result)

        async with Connections() as connections, asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(run_one(item, connections))
        results.sort(key=lambda result: (-SEVERITY.index(result.status), keys.index(result.key)))
        report = Report(
            runbook=runbook,
            correlation=correlation,
            started=started,
            duration=timedelta(seconds=clock() - start),
            results=tuple(results),
        )
        try:
            await self._keep(report)
        except RecordsError as error:
            # Whoever asked needs what was found the more when the database is in trouble.
            log.error("report.not_kept", error=str(error))
            return replace(report, unkept=str(error))
        return report

    async def _keep(self, report: Report) -> None:
        stored = [_stored(report.correlation, result) for result in report.results]
        if self._watch is None:
            await self._history.keep(stored)
            return
        watch, changed = self._watch, False

        def also(connection: Any) -> None:
            nonlocal changed
            changed = watch.observe(connection, report)

        await self._history.keep(stored, also)
        if changed:
            watch.told()

    async def _row(self, item: Item, reach: Reach, median: float | None) -> Result:
        check = item.check
        at = self._now()
        clock = asyncio.get_running_loop().time
        start = clock()
        measured, doubt = await self._measure(item, reach)
        verdict = judge(check, measured) if not doubt else None
        return Result(
            key=item.key,
            title=item.title,
            environment=item.target.environment,
            status=verdict.status if verdict else Status.UNKNOWN,
            at=at,
            duration=timedelta(seconds=clock() - start),
            headline_name=check.headline,
            headline=check.outputs[check.headline],
            value=self._clean_value(measured.values.get(check.headline)),
            bound=verdict.bound if verdict else "",
            median=median,
            reasons=tuple(self._clean(reason) for reason in (verdict.reasons if verdict else (doubt,))),
            summary=self._clean(measured.summary),
            values={name: self._clean_value(value) for name, value in measured.values.items()},
            outputs=check.outputs,
            details=tuple(self._clean(line) for line in measured.details),
            drawn=measured.drawn,
        )

    async def _measure(self, item: Item, reach: Reach) -> tuple[Measured, str]:
        """What was measured, or why nothing was."""
        check = item.check
        task = asyncio.create_task(check.measure(item.target, reach))
        try:
            done, _ = await asyncio.wait({task}, timeout=check.timeout.total_seconds())
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            # A step that does not let go when it is cancelled is left behind, not waited for.
            await asyncio.wait({task}, timeout=GRACE)
            return Measured(), f"no answer within {show_duration(check.timeout)}"
        if task.cancelled():
            return Measured(), "was interrupted"
        match task.exception():
            case None:
                return task.result(), ""
            case StepError() as error:
                return Measured(), str(error)
            case TimeoutError():
                return Measured(), "no answer in time"
            case error:
                reference = new_id()[-8:]
                where = {"check": check.kind, "target": item.target.name}
                log.error("check.crashed", reference=reference, exc_info=error, **where)
                return Measured(), f"a fault in Maint's {check.kind}: look for {reference} in its log"

    def _clean(self, text: str) -> str:
        return shorten(self._scrub(text), LONGEST_REASON)

    def _clean_value(self, value: Value) -> Value:
        return self._clean(value) if isinstance(value, str) else value


def _stored(correlation: str, result: Result) -> StoredResult:
    return StoredResult(
        series=result.key,
        correlation=correlation,
        status=result.status,
        summary="; ".join(result.reasons) or result.summary,
        headline=result.headline_name,
        values=result.values,
        units={name: output.unit for name, output in result.outputs.items()},
        duration_ms=result.duration.total_seconds() * 1000,
        at=result.at,
    )


def unconfigured(steps: Iterable[Step], targets: Mapping[str, TargetBase]) -> tuple[str, ...]:
    """The target types that `'*'` checks look for and that no target has: they are not in the report."""
    there = {type(target) for target in targets.values()}
    wanted = {step.check.needs for step in steps if step.check.target == EVERY}
    return tuple(sorted(name for name, type_ in TARGET_TYPES.items() if type_ in wanted - there))
