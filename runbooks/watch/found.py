"""What a check found, in words: for the rows of cards, and to be kept for cards that are drawn later."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from runbooks.engine.checks import Result
from runbooks.steps.units import show

#: A change against the median that is worth a word.
NOTEWORTHY = 0.2


@dataclass(frozen=True, kw_only=True)
class Found:
    """One check. `name`: its target and its title; `value`, `bound` and `trend` as people write them."""

    name: str
    status: str
    value: str = ""
    bound: str = ""
    trend: str = ""
    note: str = ""


def name_of(result: Result) -> str:
    """`web-1 disk`: the target and the title of the step."""
    return f"{result.key.target} {result.title}"


def found_of(result: Result) -> Found:
    """A row of a report in words."""
    value = "" if result.value is None else show(result.value, result.headline.unit)
    # What value and limit say already is not said again.
    told = f"{result.headline.title} {value} {result.bound}"
    notes = [note for note in (*result.reasons, result.summary) if note and note != told]
    return Found(
        name=name_of(result),
        status=str(result.status),
        value=value,
        bound=result.bound,
        trend=trend_of(result),
        note="; ".join(notes),
    )


def together(results: Iterable[Result]) -> list[Found]:
    """One for each check; those that one cause took from a target, a host that is down, share theirs."""
    same: dict[object, list[Result]] = {}
    for result in results:
        cause = (result.key.target, result.status, result.reasons) if result.value is None else result.key
        same.setdefault(cause, []).append(result)
    return [
        replace(found_of(first), name=f"{name_of(first)}{''.join(f', {other.title}' for other in others)}")
        for first, *others in same.values()
    ]


def trend_of(result: Result) -> str:
    """`7-day median 310 ms (+24%)`; empty when there is nothing to compare."""
    if result.median is None or not isinstance(result.value, (int, float)):
        return ""
    change = ""
    if result.median and abs(result.value / result.median - 1) >= NOTEWORTHY:
        change = f" ({result.value / result.median - 1:+.0%})"
    return f"7-day median {show(result.median, result.headline.unit)}{change}"


def in_brief(results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    """Each target with what is fine there: `web-1`, `disk 24 %, load 0.7`."""
    brief: dict[str, list[str]] = {}
    for result in results:
        value = "" if result.value is None else f" {show(result.value, result.headline.unit)}"
        brief.setdefault(result.key.target, []).append(f"{result.title}{value}")
    for target, values in brief.items():
        yield target, ", ".join(values)


def in_full(result: Result) -> str:
    """Everything that is known of one check, on lines of their own."""
    spent = result.duration.total_seconds() * 1000
    lines = [f"{result.status.upper():8} {name_of(result)}  [{result.key.kind}, {seconds(spent)}]"]
    lines += [f"  ! {reason}" for reason in result.reasons]
    if result.summary:
        lines.append(f"  {result.summary}")
    for name, value in result.values.items():
        output = result.outputs.get(name)
        if output is not None:
            lines.append(f"  {output.title}: {show(value, output.unit)}")
    if trend := trend_of(result):
        lines.append(f"  {trend}")
    lines += [f"  {line}" for line in result.details]
    return "\n".join(lines)


def seconds(milliseconds: float) -> str:
    """`420 ms`, `1.2 s`."""
    rounded = round(milliseconds, 1)
    return show(rounded, "ms") if rounded < 1000 else f"{rounded / 1000:.1f} s"
