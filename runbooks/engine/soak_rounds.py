"""One round of the checks of a soak or a stage: measured, compared, and made into live rows."""

import math
from collections.abc import Iterable, Sequence

from runbooks.engine.at import At
from runbooks.engine.checks import Result
from runbooks.engine.soak_state import LiveRow, Round
from runbooks.errors import StepError
from runbooks.status import Status, worst
from runbooks.steps.comparison import Comparison
from runbooks.steps.inline_checks import NamedCheck, told_apart
from runbooks.steps.rollout import Rollout
from runbooks.steps.soak import Soak
from runbooks.steps.step import Value
from runbooks.steps.units import show, show_bound

#: Steps whose checks are another step's checks, one behind the other.
_LONGEST_CHAIN = 20


async def measure_round(
    at: At, checks: Sequence[NamedCheck | str], compare: Sequence[Comparison] = ()
) -> Round:
    """Makes every check and every comparison once. Nothing measured at all is unknown."""
    rows: list[LiveRow] = []
    named = told_apart(find_checks(at, checks))
    if named:
        results = await at.measure([(check.name, check.check) for check in named])
        rows += _rows(results)
    for comparison in compare:
        # One after the other, so that it is known which result is whose.
        stable = await at.measure([(f"{comparison.as_} (stable)", comparison.stable.check)])
        canary = await at.measure([(comparison.as_, comparison.canary.check)])
        rows.append(judge_comparison(comparison, stable, canary))
    return Round(status=worst(Status(row.status) for row in rows), rows=tuple(rows))


def find_checks(at: At, checks: Iterable[NamedCheck | str], depth: int = 0) -> list[NamedCheck]:
    """The checks, those of other steps included. Raises StepError when a named step has none."""
    found: list[NamedCheck] = []
    for check in checks:
        if isinstance(check, NamedCheck):
            found.append(check)
            continue
        path, _, field = check.rpartition(".")
        model = at.model_of(path)
        theirs: Sequence[NamedCheck | str] = ()
        if isinstance(model, Rollout) and field == "verify":
            theirs = model.verify
        elif isinstance(model, Soak) and field == "checks":
            theirs = model.checks
        if not theirs or depth == _LONGEST_CHAIN:
            raise StepError(f"{check} names no checks: a rollout has them in `verify`, a soak in `checks`")
        found += find_checks(at, theirs, depth + 1)
    return found


def _rows(results: Sequence[Result]) -> list[LiveRow]:
    titles = [result.title for result in results]
    return [
        LiveRow(
            name=f"{result.title} on {result.key.target}" if titles.count(result.title) > 1 else result.title,
            value=show(result.value, result.headline.unit),
            bound=result.bound,
            status=result.status.value,
            reason="; ".join(result.reasons),
        )
        for result in results
    ]


def judge_comparison(comparison: Comparison, stable: Sequence[Result], canary: Sequence[Result]) -> LiveRow:
    """Holds the new version against the stable one. What cannot be compared is unknown."""
    if bad := _unusable(stable, canary):
        return LiveRow(name=comparison.as_, value="no data", bound="", status=bad[0].value, reason=bad[1])
    old, new = (
        stable[0].values.get(comparison.compared("stable")),
        canary[0].values.get(comparison.compared("canary")),
    )
    if not (_is_number(old) and _is_number(new)):
        missing = "the new version" if _is_number(old) else "the stable version"
        reason = f"there is no number of {missing} to compare"
        return LiveRow(
            name=comparison.as_, value="no data", bound="", status=Status.UNKNOWN.value, reason=reason
        )
    assert isinstance(old, float | int)
    assert isinstance(new, float | int)
    values = {"ratio": _ratio(new, old), "difference": new - old}
    unit = canary[0].outputs[comparison.compared("canary")].unit
    shown = f"{show(new, unit)}, stable {show(old, unit)}"
    for status, thresholds in ((Status.CRITICAL, comparison.critical), (Status.WARNING, comparison.warning)):
        for name, condition in thresholds.items():
            if condition.holds(values[name]):
                bound = " or ".join(show_bound(*pair, "") for pair in condition.bounds())
                title = comparison.outputs[name].title
                reason = f"{title} {_show_figure(values[name])} {bound} ({shown})"
                return LiveRow(
                    name=comparison.as_,
                    value=shown,
                    bound=f"{title} {bound}",
                    status=status.value,
                    reason=reason,
                )
    name, condition = next(iter((comparison.critical or comparison.warning).items()))
    bound = " or ".join(show_bound(*pair, "") for pair in condition.bounds())
    return LiveRow(
        name=comparison.as_,
        value=shown,
        bound=f"{comparison.outputs[name].title} {bound}",
        status=Status.OK.value,
    )


def _unusable(stable: Sequence[Result], canary: Sequence[Result]) -> tuple[Status, str] | None:
    for side, results in (("new", canary), ("stable", stable)):
        if len(results) != 1:
            return Status.UNKNOWN, f"{len(results)} values of the {side} version: exactly one is compared"
        result = results[0]
        # A stable version that is down says nothing about the new one.
        if result.status is Status.CRITICAL and side == "new":
            return Status.CRITICAL, "; ".join(result.reasons)
        if result.status not in (Status.OK, Status.WARNING):
            return Status.UNKNOWN, f"the {side} version: {'; '.join(result.reasons) or result.status}"
    return None


def _is_number(value: Value) -> bool:
    return isinstance(value, float | int) and math.isfinite(value)


def _ratio(new: float, old: float) -> float:
    """How many times as much. Both nothing is as much; something beside nothing is without bound."""
    if old == 0:
        return 1.0 if new == 0 else math.copysign(math.inf, new)
    return new / old


def _show_figure(value: float) -> str:
    return show(value, "") if math.isfinite(value) else "∞"
