"""A check as a step of a run: what is critical, or could not be measured, stops the run."""

from collections.abc import Iterator
from typing import Any

from runbooks.engine.at import At, Finished, Outcome
from runbooks.engine.checks import Result
from runbooks.errors import StepError
from runbooks.status import Status, worst
from runbooks.steps.step import Check, Value
from runbooks.steps.units import show


async def run_check(at: At, model: Check[Any]) -> Outcome:
    """Measures once. Raises StepError when it is critical or unknown: unknown is not OK."""
    results = await at.measure([(at.row.path, model)])
    status = worst(result.status for result in results)
    if status in (Status.CRITICAL, Status.UNKNOWN):
        raise StepError("; ".join(_said(result) for result in results if result.status is status))
    outputs: dict[str, Value] = dict(results[0].values) if len(results) == 1 else {}
    warnings = tuple(_said(result) for result in results if result.status is Status.WARNING)
    fine = [result for result in results if result.status is not Status.WARNING]
    return Finished(
        outputs=outputs,
        summary=", ".join(map(_value, fine[:3])),
        output="\n".join(line for result in results for line in _listed(result)) if model.lists else "",
        warnings=warnings,
        drawn=tuple(each for result in results for each in result.drawn),
    )


def _listed(result: Result) -> Iterator[str]:
    yield f"{result.key.target}: {result.summary or show(result.value, result.headline.unit)}"
    yield from result.details


def _said(result: Result) -> str:
    reasons = "; ".join(result.reasons) or result.summary or str(result.status)
    return f"{result.key.target}: {reasons}"


def _value(result: Result) -> str:
    shown = show(result.value, result.headline.unit) if result.value is not None else str(result.status)
    return f"{result.key.target} {shown}"
