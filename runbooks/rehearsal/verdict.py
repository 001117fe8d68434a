"""Holds what came of a run against what its test expects."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from runbooks.engine.walk import all_nodes, nodes_of
from runbooks.errors import Fault
from runbooks.records.runs import Phase, RunView, StepRow, StepState
from runbooks.rehearsal.case import Case, Passed
from runbooks.rehearsal.reading import TestFile
from runbooks.spec.runbook import Runbook

_BACK = "rollback:"
#: What a step that is named without a state may be.
_WELL = (StepState.OK, StepState.WARNING)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What came of one test: `faults` has everything that is not as expected, each with its place."""

    runbook: str
    name: str
    where: str
    faults: tuple[Fault, ...]
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        return not self.faults


def judge(file: TestFile, index: int, runbook: Runbook, view: RunView) -> Iterator[Fault]:
    """Everything that is not as the test expects."""
    case = file.cases[index]
    expect = case.expect

    def fault(key: str, message: str, *inside: str) -> Fault:
        return file.document.fault(("tests", index, "expect", key, *inside), message, _told(view))

    if expect.refused is not None:
        yield fault("refused", "the run was not refused")
    if expect.state is not None and view.run.state != expect.state:
        yield fault("state", f"expected {expect.state}, the run is {view.run.state}")
    begun = [row for row in _in_order(runbook, view) if row.started_at is not None]
    begun = [row for row in begun if row.state != StepState.SKIPPED]
    if expect.path is not None and (words := _differs(expect.path, begun, "")):
        yield fault("path", words)
    back = [row for row in view.steps if row.phase == Phase.ROLLBACK and row.started_at is not None]
    if expect.rollback is not None and (words := _differs(expect.rollback, back, _BACK)):
        yield fault("rollback", words)
    yield from _skipped(case, view, fault)
    for path, words in expect.says.items():
        row = view.step(path)
        said = " ".join(filter(None, (row.summary, row.error, row.progress))) if row else "nothing"
        if words.casefold() not in said.casefold():
            yield fault("says", f"`{path}` says: {said or 'nothing'}", path)


def _skipped(case: Case, view: RunView, fault: Callable[..., Fault]) -> Iterator[Fault]:
    if case.expect.skipped is None:
        return
    there = {
        row.path: row.summary
        for row in view.steps
        if row.state == StepState.SKIPPED and row.phase == Phase.FORWARD
    }
    for path, words in case.expect.skipped.items():
        if path not in there:
            yield fault("skipped", f"`{path}` was not skipped", path)
        elif words.casefold() not in there[path].casefold():
            yield fault("skipped", f"`{path}` was skipped, as {there[path]}", path)
    more = sorted(set(there) - set(case.expect.skipped))
    if more:
        yield fault("skipped", f"skipped was also {', '.join(more)}")


def _in_order(runbook: Runbook, view: RunView) -> list[StepRow]:
    """The rows of the steps that have none inside, in the file's order."""
    rows = {row.path: row for row in view.steps}
    nodes = all_nodes(nodes_of(runbook.steps), rows.get)
    return [
        rows[node.path]
        for node in nodes
        if node.path in rows and not node.step.steps and node.step.for_each is None
    ]


def _differs(expected: Iterable[Passed], rows: Iterable[StepRow], prefix: str) -> str:
    """How the steps differ from those expected; empty when they do not."""
    wanted = [_pair(passed) for passed in expected]
    found = [(row.path.removeprefix(prefix), row.state) for row in rows]
    same = len(wanted) == len(found) and all(
        path == there and (state == is_ if state else is_ in _WELL)
        for (path, state), (there, is_) in zip(wanted, found, strict=True)
    )
    if same:
        return ""
    return f"expected {_shown(wanted)}, it was {_shown(found)}"


def _pair(passed: Passed) -> tuple[str, str]:
    if isinstance(passed, str):
        return passed, ""
    ((path, state),) = passed.items()
    return path, state


def _shown(pairs: Iterable[tuple[str, str]]) -> str:
    words = [path if state in ("", *_WELL) else f"{path}: {state}" for path, state in pairs]
    return f"[{', '.join(words)}]"


def _told(view: RunView) -> str:
    """What helps to see why: the run's note, what failed, and what it asks."""
    told = [f"`{row.path}`: {row.error}" for row in view.steps if row.error]
    told += [f"asked at `{ask.path}`: {'/'.join(ask.choices)}" for ask in view.open_asks]
    return "; ".join(filter(None, [view.run.note, *told]))
