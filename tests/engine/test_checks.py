"""Running checks: all at once, and each fault costs its own row."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from runbooks.engine import checks
from runbooks.engine.checks import CheckRunner, Item, Limits, Report, expand, unconfigured
from runbooks.errors import RecordsError, StepError
from runbooks.records.measurements import Last, Series, StoredResult
from runbooks.scrub import Scrubber
from runbooks.status import Status
from runbooks.steps.reach import Connections, Reach
from runbooks.steps.step import Check, Measured, Output
from runbooks.targets import HostTarget, HttpTarget, TargetBase

pytestmark = pytest.mark.usefixtures("caplog")

HOSTS: dict[str, TargetBase] = {name: HostTarget(type="host", name=name) for name in ("web-1", "web-2")}
SITE = HttpTarget(type="http", name="app", url="http://localhost")


class Scripted(Check[HostTarget]):
    """A check that does as it is told, to see what the runner makes of it."""

    kind = "test.scripted"
    title = "scripted"
    needs = HostTarget
    headline = "value"
    outputs: ClassVar = {"value": Output(title="value", unit="ms")}

    act: str = "measure"
    value: float = 1.0
    pause: float = 0.0

    async def measure(self, target: HostTarget, reach: Reach) -> Measured:
        running.now += 1
        running.most = max(running.most, running.now)
        if running.now == 2:
            running.two.set()
        try:
            match self.act:
                case "crash":
                    raise RuntimeError("s3cr3t-of-ours in a trace")
                case "fault":
                    raise StepError("could not log in with s3cr3t-of-ours")
                case "hang":
                    await asyncio.sleep(3600)
                case "deaf":
                    while True:
                        try:
                            await asyncio.sleep(3600)
                        except asyncio.CancelledError:
                            running.deaf += 1
                            if running.deaf > 1:
                                raise
                case "previous":
                    assert reach.previous is not None
                    return Measured(values={"value": float(reach.previous.values["value"] or 0) + 1})
            await asyncio.sleep(self.pause)
            return Measured(values={"value": self.value}, details=("token s3cr3t-of-ours",))
        finally:
            running.now -= 1


@dataclass
class Running:
    """How many scripted checks ran at the same moment."""

    now: int = 0
    most: int = 0
    deaf: int = 0
    two: asyncio.Event = field(default_factory=asyncio.Event)


running = Running()


class Memory:
    """A history in memory: the database's own tests are elsewhere."""

    def __init__(self) -> None:
        self.kept: list[StoredResult] = []
        self.before: dict[Series, Last] = {}
        self.fails = False

    async def previous(self, series: Iterable[Series]) -> Mapping[Series, Last]:
        return self.before

    async def medians(self, series: Iterable[Series]) -> Mapping[Series, float]:
        return dict.fromkeys(series, 7.0)

    async def keep(self, results: Sequence[StoredResult], also: object = None) -> None:
        if self.fails:
            raise RecordsError("the disk is full")
        self.kept.extend(results)


@pytest.fixture
def memory() -> Memory:
    running.now = running.most = running.deaf = 0
    running.two = asyncio.Event()
    return Memory()


def item(name: str = "a", target: str = "web-1", **fields: Any) -> Item:
    check = Scripted.model_validate(fields)
    return Item(
        key=Series("health", name, target, check.kind), title="scripted", check=check, target=HOSTS[target]
    )


async def run(memory: Memory, *items: Item, limits: Limits | None = None) -> Report:
    runner = CheckRunner(HOSTS, memory, Scrubber(["s3cr3t-of-ours"]), limits or Limits())
    async with asyncio.timeout(10):
        return await runner.run("health", items, "c0rr")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"act": "crash"}, "a fault in Maint's test.scripted: look for "),
        ({"act": "fault"}, "could not log in with [secret]"),
        ({"act": "hang", "timeout": "50ms"}, "no answer within 50ms"),
    ],
)
async def test_a_bad_step_costs_only_its_own_row(memory: Memory, fields: dict[str, Any], reason: str) -> None:
    """A step that crashes, fails or hangs is unknown with a reason, and the others are reported."""
    report = await run(memory, item("good"), item("bad", **fields), item("fine"))

    by_step = {result.key.step: result for result in report.results}
    assert by_step["bad"].status is Status.UNKNOWN
    assert by_step["bad"].reasons[0].startswith(reason)
    assert [by_step["good"].status, by_step["fine"].status] == [Status.OK, Status.OK]
    assert report.results[0].key.step == "bad"
    assert report.status is Status.UNKNOWN


async def test_a_step_deaf_to_cancellation_is_left_behind(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that goes on after its timeout does not hold up the report."""
    monkeypatch.setattr(checks, "GRACE", 0.05)

    report = await run(memory, item("deaf", act="deaf", timeout="50ms"), item("good"))

    assert {result.key.step: result.status for result in report.results} == {
        "deaf": Status.UNKNOWN,
        "good": Status.OK,
    }


async def test_the_wait_for_a_turn_is_not_the_steps_own_time(memory: Memory) -> None:
    """A step's timeout counts from its start, not from when the report began."""
    slow = [item(f"s{n}", pause=0.1, timeout="250ms") for n in range(6)]

    report = await run(memory, *slow, limits=Limits(total=1, per_target=1))

    assert report.status is Status.OK


@pytest.mark.parametrize(
    ("limits", "most"), [(Limits(total=3, per_target=9), 3), (Limits(total=9, per_target=2), 4)]
)
async def test_limits_hold(memory: Memory, limits: Limits, most: int) -> None:
    """No more checks run at once than allowed in all, and on each of two targets."""
    items = [item(f"s{n}", target, pause=0.02) for n in range(6) for target in HOSTS]

    await run(memory, *items, limits=limits)

    assert running.most == most


async def test_a_slow_target_leaves_the_other_its_places(memory: Memory) -> None:
    """Those who wait for a slow target hold no place that another target could use."""
    slow = [item(f"slow{n}", "web-1", act="hang", timeout="300ms") for n in range(5)]
    order: list[str] = []
    runner = CheckRunner(HOSTS, memory, Scrubber(), Limits(total=2, per_target=1))

    await runner.run(
        "health",
        [*slow[:3], item("quick", "web-2")],
        "c0rr",
        lambda result: order.append(result.key.step),
    )

    assert order[0] == "quick"


async def test_secrets_are_scrubbed_from_every_row(memory: Memory) -> None:
    """Details and reasons are kept and shown without the secrets that Maint knows."""
    report = await run(memory, item(), item("b", act="fault"), item("c", act="crash"))

    assert "s3cr3t-of-ours" not in repr(report)


async def test_the_last_measurement_reaches_the_step(memory: Memory) -> None:
    """A step sees the values of its own last measurement."""
    memory.before[item("a").key] = Last(datetime.now(UTC), {"value": 41.0})

    report = await run(memory, item("a", act="previous"))

    assert report.results[0].value == 42.0


async def test_rows_come_as_they_are_ready_and_are_kept(memory: Memory) -> None:
    """The quick row is told before the slow one, and both are kept with their 7-day median."""
    order: list[str] = []
    runner = CheckRunner(HOSTS, memory, Scrubber(), Limits())

    report = await runner.run(
        "health",
        [item("slow", pause=0.1), item("quick")],
        "c0rr",
        lambda result: order.append(result.key.step),
    )

    assert order == ["quick", "slow"]
    assert sorted(result.series.step for result in memory.kept) == ["quick", "slow"]
    assert {result.median for result in report.results} == {7.0}


async def test_results_that_cannot_be_kept_are_reported_and_said_not_to_be(memory: Memory) -> None:
    """A database that does not take the results costs nobody the report, and is no silent gap."""
    memory.fails = True

    report = await run(memory, item())

    assert [result.value for result in report.results] == [1.0]
    assert report.unkept == "the disk is full"


async def test_limits_hold_over_all_reports(memory: Memory) -> None:
    """Two reports at the same time load a target no more than one does."""
    runner = CheckRunner(HOSTS, memory, Scrubber(), Limits(total=9, per_target=2))
    items = [item(f"s{n}", pause=0.02) for n in range(4)]

    await asyncio.gather(runner.run("health", items, "one"), runner.run("health", items, "two"))

    assert running.most == 2


async def test_cancelling_a_report_ends_its_steps(memory: Memory) -> None:
    """A cancelled report leaves no step running."""
    task = asyncio.create_task(run(memory, item(act="hang"), item("b", act="hang")))
    await asyncio.wait_for(running.two.wait(), 5)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)

    assert running.now == 0


async def test_no_rows_is_unknown(memory: Memory) -> None:
    """A report of nothing is not fine: nobody knows."""
    assert (await run(memory)).status is Status.UNKNOWN


@dataclass(frozen=True)
class RunbookStep:
    """The part of a runbook's step that is expanded."""

    id: str
    title: str
    check: Check[Any]


def test_a_star_is_every_target_of_the_type() -> None:
    """`target: '*'` makes a row for each target that the step can look at, and none for other types."""
    step = RunbookStep("load", "load", Scripted.model_validate({"target": "*"}))

    items = expand("health", [step], {**HOSTS, "app": SITE}, frozenset({"web-1", "web-2", "app"}))

    assert [row.key.target for row in items] == ["web-1", "web-2"]


def test_only_the_chosen_targets_make_rows() -> None:
    """Targets that were not chosen are not looked at."""
    step = RunbookStep("load", "load", Scripted.model_validate({"target": "*"}))

    items = expand("health", [step], HOSTS, frozenset({"web-2"}))

    assert [row.key.target for row in items] == ["web-2"]


def test_types_without_any_target_are_named() -> None:
    """What a report does not cover because no such target is configured can be said."""
    step = RunbookStep("load", "load", Scripted.model_validate({"target": "*"}))

    assert unconfigured([step], {"app": SITE}) == ("host",)
    assert unconfigured([step], HOSTS) == ()


async def test_a_connection_is_opened_once_for_all_who_ask() -> None:
    """Steps that run at the same time share one connection, and it is closed at the end."""
    opened: list[str] = []

    class Wire:
        async def __aenter__(self) -> "Wire":
            await asyncio.sleep(0.01)
            opened.append("open")
            return self

        async def __aexit__(self, *_: object) -> None:
            opened.append("close")

    async with Connections() as connections:
        first, second = await asyncio.gather(connections.get("k", Wire), connections.get("k", Wire))

    assert first is second
    assert opened == ["open", "close"]


async def test_everybody_hears_why_a_connection_failed() -> None:
    """A connection that cannot be opened is tried once, and each who asked gets the reason."""
    tries: list[int] = []

    class Broken:
        async def __aenter__(self) -> "Broken":
            tries.append(1)
            raise StepError("no route to web-1")

        async def __aexit__(self, *_: object) -> None: ...

    async with Connections() as connections:
        answers = await asyncio.gather(
            connections.get("k", Broken), connections.get("k", Broken), return_exceptions=True
        )

    assert [str(answer) for answer in answers] == ["no route to web-1", "no route to web-1"]
    assert tries == [1]
