"""How far a rollout or a soak is: its stages as a bar, what was measured beside the thresholds.

Read from the step's data as runbooks/engine/rollout_state.py and soak_state.py write it. A later version of
Maint may have written it otherwise: what is not understood is not shown, and costs nobody the card.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from commands.reply import Span, code, moment, strong
from runbooks.records.runs import PASSED, StepRow, StepState
from runbooks.visible import shorten

#: Characters of a bar that is full; live numbers, and verdicts in a row, that a card shows of one step.
BAR, MOST_ROWS, MOST_VERDICTS = 20, 6, 30

_SIGNS = {"ok": "✓", "warning": "!", "critical": "✗", "unknown": "?"}


def stage_notes(step: StepRow) -> Iterator[tuple[Span, ...]]:
    """A line of the card each; none for steps that have neither stages nor a soak."""
    rollout = _map(step.data.get("rollout"))
    soak = _map(rollout.get("soak") if rollout else step.data.get("soak"))
    if rollout:
        yield from _rollout(rollout)
    if soak:
        over = step.state in PASSED or step.state == StepState.CANCELLED
        yield from _soak(soak, over=over)


def _rollout(rollout: Mapping[str, Any]) -> Iterator[tuple[Span, ...]]:
    """`▓▓▓▓▓░░░░░ 25 %   10 ✓   25 …   50   100`."""
    weights = [_number(weight) for weight in _list(rollout.get("stages"))]
    at = int(_number(rollout.get("stage")))
    if not 0 <= at < len(weights):
        return
    phase, failed = str(rollout.get("phase")), bool(rollout.get("ending"))
    begun = phase != "record"
    live = weights[at] if begun else 0.0
    full = round(BAR * min(100.0, max(0.0, live)) / 100)
    here = " ✓" if phase == "done" else " ✗" if failed else " …" if begun else ""
    signs = [" ✓"] * at + [here] + [""] * (len(weights) - at - 1)
    words = "   ".join(f"{weight:g}{sign}" for weight, sign in zip(weights, signs, strict=True))
    yield (code("▓" * full + "░" * (BAR - full)), strong(f" {live:g} %"), Span(f"   {words}"))
    if rollout.get("held"):
        by = f" by {rollout['held_by']}" if rollout.get("held_by") else ""
        yield (strong(f"held{by}"),)
    if failed and rollout.get("reason"):
        yield (Span(shorten(str(rollout["reason"]), 250)),)


def _soak(soak: Mapping[str, Any], *, over: bool) -> Iterator[tuple[Span, ...]]:
    verdicts = [str(verdict) for verdict in _list(soak.get("verdicts"))][-MOST_VERDICTS:]
    spans = [code("".join(_SIGNS.get(verdict, "·") for verdict in verdicts))] if verdicts else []
    rounds, failed = int(_number(soak.get("rounds"))), int(_number(soak.get("failed_rounds")))
    if rounds:
        spans.append(Span(f"  {rounds} {'round' if rounds == 1 else 'rounds'}, {failed} failed"))
    ends = _moment(soak.get("ends_at"))
    if ends and not over:
        spans += [Span("  ends "), moment(ends), Span(" ("), moment(ends, ago=True), Span(")")]
    if spans:
        yield tuple(spans)
    if over:
        return
    rows = [_map(row) for row in _list(soak.get("rows"))]
    for row in rows[:MOST_ROWS]:
        yield _live_number(row)
    if len(rows) > MOST_ROWS:
        yield (Span(f"… and {len(rows) - MOST_ROWS} more"),)


def _live_number(row: Mapping[str, Any]) -> tuple[Span, ...]:
    sign = _SIGNS.get(str(row.get("status")), "·")
    bound = str(row.get("bound") or "")
    limit = f"  (limit {shorten(bound, 60)})" if bound else ""
    reason = f"  {shorten(str(row['reason']), 120)}" if row.get("reason") else ""
    name, value = shorten(str(row.get("name", "")), 80), shorten(str(row.get("value", "")), 60)
    return (Span(f"{sign} {name}  "), strong(value), Span(f"{limit}{reason}"))


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
