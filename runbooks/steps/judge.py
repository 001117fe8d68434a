"""Holds what a check measured against its thresholds."""

from dataclasses import dataclass
from typing import Any

from runbooks.status import Status, worst
from runbooks.steps.step import Check, Measured
from runbooks.steps.units import show, show_bound


@dataclass(frozen=True)
class Verdict:
    """`bound` is the headline's threshold: the one passed, else the nearest one it keeps; empty if none."""

    status: Status
    reasons: tuple[str, ...]
    bound: str


def judge(check: Check[Any], measured: Measured) -> Verdict:
    """The worst of the step's own findings and of every threshold that was passed.

    An output without a value is not judged (a certificate's days on plain http); but when there are
    thresholds and not one of them could be judged, the verdict is `unknown`: nobody knows.
    """
    if measured.skipped and not measured.findings:
        return Verdict(Status.SKIPPED, (measured.skipped,), "")
    found = [*measured.findings]
    judged = 0
    passed_bounds: dict[str, str] = {}
    for status, thresholds in ((Status.CRITICAL, check.critical), (Status.WARNING, check.warning)):
        for name, condition in thresholds.items():
            value = measured.values.get(name)
            if value is None or value != value:  # NaN is no data, and would pass every comparison
                continue
            judged += 1
            if name in passed_bounds or not condition.holds(value):
                continue
            output = check.outputs[name]
            bound = " or ".join(show_bound(*pair, output.unit) for pair in condition.bounds())
            passed_bounds[name] = bound
            found.append((status, f"{output.title} {show(value, output.unit)} {bound}"))
    if not found:
        if (check.warning or check.critical) and not judged:
            missing = ", ".join(sorted({*check.warning, *check.critical}))
            return Verdict(Status.UNKNOWN, (f"no data for {missing}",), "")
        return Verdict(Status.OK, (), _kept_bound(check))
    status = worst(status for status, _ in found)
    reasons = tuple(dict.fromkeys(text for level, text in found if level is status))
    rest = tuple(dict.fromkeys(text for level, text in found if level is not status))
    return Verdict(status, (*reasons, *rest), passed_bounds.get(check.headline, ""))


def _kept_bound(check: Check[Any]) -> str:
    condition = check.warning.get(check.headline) or check.critical.get(check.headline)
    if condition is None:
        return ""
    unit = check.outputs[check.headline].unit
    return " or ".join(show_bound(*pair, unit) for pair in condition.bounds())
