"""What a step depends on, `when:`, and what it is done for, `for_each:`, judged against what is there."""

from typing import Any

from runbooks.nearest import did_you_mean
from runbooks.spec.conditions import ORDERED
from runbooks.spec.kind_reading import Reading
from runbooks.spec.placeholders import as_text, mentioned, names_in, only_name
from runbooks.spec.scope import ANYTHING, TEXT, Known, NoSuchReference, Scope, item_of, of_literal
from runbooks.spec.source import KeyPath


def read_when(reading: Reading, at: KeyPath, scope: Scope) -> None:
    """Notes the faults of a step's conditions: what they name, and what that is compared with."""
    conditions = reading.document.get(at)
    for name, condition in conditions.items() if isinstance(conditions, dict) else ():
        place = (*at, name)
        try:
            known = scope.find(name)
        except NoSuchReference as error:
            bare = only_name(name)
            hint = f"write it without braces: {bare}" if bare else error.hint
            reading.fault(place, str(error), hint, at_key=True)
            continue
        if known.is_secret:
            reading.fault(place, f"`{name}` is a secret, and would be shown here", at_key=True)
        elif known.is_list:
            reading.fault(place, f"`{name}` is a list, which is not compared with anything", at_key=True)
        elif isinstance(condition, dict) and known is not ANYTHING:
            for operator, bound in condition.items():
                _read_bound(reading, (*place, operator), name, known, bound)


def _read_bound(reading: Reading, at: KeyPath, name: str, known: Known, bound: Any) -> None:
    sample = known.samples[0]
    is_number = isinstance(sample, int | float) and not isinstance(sample, bool)
    if at[-1] in ORDERED and not is_number:
        reading.fault(at, f"`{at[-1]}` compares numbers; `{name}` is {known.words}")
        return
    for value in bound if isinstance(bound, list) else [bound]:
        if isinstance(value, str) and names_in(value):
            reading.fault(at, "a condition compares with what is written here, not with references")
        elif at[-1] in ("equals", "differs_from", "in") and not _comparable(value, sample):
            reading.fault(at, f"`{name}` is {known.words}, and never {_written(value)}")
        elif known.param is not None and known.param.choices and value not in known.param.choices:
            there = f"one of {', '.join(known.param.choices)}"
            hint = did_you_mean(as_text(value), known.param.choices) or there
            reading.fault(at, f"`{name}` is never {_written(value)}", hint)


def _comparable(value: Any, sample: Any) -> bool:
    if isinstance(value, bool) or isinstance(sample, bool):
        return isinstance(value, bool) and isinstance(sample, bool)
    return isinstance(value, str) == isinstance(sample, str)


def _written(value: Any) -> str:
    return f"the text {value!r}" if isinstance(value, str) else as_text(value)


def read_items(reading: Reading, at: KeyPath, scope: Scope) -> Known:
    """What an item of a step's `for_each:` stands for; its faults are noted."""
    value = reading.document.get(at)
    known = reading.shown(at, scope).known
    if isinstance(value, list):
        return of_literal(value) if value and not mentioned(value) else TEXT
    name = only_name(value)
    if name is None or name not in known:
        if isinstance(value, str):
            reading.fault(at, "`for_each:` is a list, or one reference to a list")
        return ANYTHING
    found = known[name]
    is_output = name.startswith("steps.") and found is TEXT
    if not found.is_list and not is_output and found is not ANYTHING:
        reading.fault(at, f"`{name}` is {found.words}, and no list")
        return ANYTHING
    return item_of(found)
