"""What a digest says, as it was when it was made: it is kept so, and any replica draws the same card."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from runbooks.engine.checks import Report
from runbooks.steps.units import show
from runbooks.watch.found import Found, name_of

#: A value that moved by so much since the digest before is worth a line.
MOVED = 0.5
#: Values that moved which are told, the farthest first.
MOST_MOVED = 5


@dataclass(frozen=True, kw_only=True)
class State:
    """How a check was found: what the next digest is held against."""

    name: str
    status: str
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A check that is otherwise than before; `before` or `after` is empty for one that there was not, or is
    not any more. `words` are the values, where they say something."""

    name: str
    before: str
    after: str
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Unmeasured:
    """A check that did not run; `since`: when it last measured anything, None if it never did."""

    name: str
    since: datetime | None


@dataclass(frozen=True, kw_only=True)
class OpenAlert:
    """An alert that is not over."""

    title: str
    severity: str
    state: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Question:
    """An approval that people are asked for."""

    run: str
    title: str
    asked: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Coming:
    """Something that runs by itself today."""

    at: datetime
    name: str
    title: str


@dataclass(frozen=True, kw_only=True)
class OnCall:
    """Who is on call in a rotation, until when."""

    rotation: str
    person: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Section:
    """What another source has to say, overdue findings for example."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Around:
    """What there is beside the checks. `more_alerts`: how many are not named."""

    alerts: tuple[OpenAlert, ...] = ()
    more_alerts: int = 0
    questions: tuple[Question, ...] = ()
    today: tuple[Coming, ...] = ()
    on_call: tuple[OnCall, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Digest:
    """What was found, and how that is otherwise than before. `ran`: checks that measured something. `fine`:
    by target, what is well. `previous`: when the one before was made. `late_for`: the time it was to come
    at, when that was long ago. Durations in milliseconds."""

    title: str
    status: str
    at: datetime
    duration_ms: float
    checks: int
    ran: int
    troubles: tuple[Found, ...] = ()
    changes: tuple[Changed, ...] = ()
    fine: tuple[tuple[str, str], ...] = ()
    fine_count: int = 0
    quiet: tuple[Found, ...] = ()
    oldest: Unmeasured | None = None
    previous: datetime | None = None
    late_for: datetime | None = None
    around: Around = field(default_factory=Around)


@dataclass(frozen=True, kw_only=True)
class Line:
    """The line of one day of a schedule that tells changes: how often it was looked, and when something was
    otherwise last. `day`: the local date. `bad`: some of what is not well."""

    title: str
    day: str
    status: str
    at: datetime
    looks: int
    checks: int
    ran: int
    bad: tuple[str, ...] = ()
    changed_at: datetime | None = None
    changes: int = 0


_DIGEST, _LINE = TypeAdapter(Digest), TypeAdapter(Line)


def digest_body(digest: Digest) -> dict[str, Any]:
    """The digest as the database keeps it."""
    body: dict[str, Any] = _DIGEST.dump_python(digest, mode="json")
    return body


def read_digest(body: Mapping[str, Any]) -> Digest:
    """The digest of such a body."""
    return _DIGEST.validate_python(body)


def line_body(line: Line) -> dict[str, Any]:
    """The line as the database keeps it."""
    body: dict[str, Any] = _LINE.dump_python(line, mode="json")
    return body


def read_line(body: Mapping[str, Any]) -> Line:
    """The line of such a body."""
    return _LINE.validate_python(body)


def states_of(report: Report) -> dict[str, State]:
    """How each check was found, by what tells it apart from all others of its runbook."""
    return {
        f"{result.key.step} on {result.key.target}": State(
            name=name_of(result),
            status=str(result.status),
            value=float(result.value) if isinstance(result.value, (int, float)) else None,
            unit=result.headline.unit,
        )
        for result in report.results
    }


def states_body(states: Mapping[str, State]) -> dict[str, Any]:
    """The states as the database keeps them."""
    return {
        key: {"name": each.name, "status": each.status, "value": each.value, "unit": each.unit}
        for key, each in states.items()
    }


def read_states(body: Mapping[str, Any]) -> dict[str, State]:
    """The states of such a body."""
    return {key: State(**each) for key, each in body.items()}


def changed(before: Mapping[str, State], after: Mapping[str, State], *, values: bool) -> tuple[Changed, ...]:
    """What is otherwise than before, in the order of the checks: first every status, those that are gone,
    then with `values` what moved farthest."""
    said = [_judged_otherwise(before.get(key), state) for key, state in after.items()]
    gone = [
        Changed(name=state.name, before=state.status, after="")
        for key, state in before.items()
        if key not in after
    ]
    moved = [_moved(before[key], state) for key, state in after.items() if values and key in before]
    farthest = sorted((each for each in moved if each), key=lambda each: -each[0])[:MOST_MOVED]
    return (*(each for each in said if each), *gone, *(each for _, each in farthest))


def _judged_otherwise(before: State | None, after: State) -> Changed | None:
    if before is None:
        return Changed(name=after.name, before="", after=after.status)
    if before.status == after.status:
        return None
    words = ""
    if before.value is not None and after.value is not None:
        words = f"{show(before.value, before.unit)} to {show(after.value, after.unit)}"
    return Changed(name=after.name, before=before.status, after=after.status, words=words)


def _moved(before: State, after: State) -> tuple[float, Changed] | None:
    """By how much a value moved whose status is the same, if that is worth a line."""
    if before.status != after.status or not before.value or after.value is None:
        return None
    share = after.value / before.value - 1
    if abs(share) < MOVED or show(before.value, before.unit) == show(after.value, after.unit):
        return None
    words = f"{show(before.value, before.unit)} to {show(after.value, after.unit)} ({share:+.0%})"
    return abs(share), Changed(name=after.name, before=before.status, after=after.status, words=words)
