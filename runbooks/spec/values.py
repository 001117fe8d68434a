"""A step with its references filled in: what it is at the moment when it is carried out."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from runbooks.errors import StepError
from runbooks.scrub import Scrubber
from runbooks.spec.conditions import When
from runbooks.spec.placeholders import (
    ABSENT,
    NotGiven,
    as_text,
    fill,
    fill_text,
    names_in,
    only_name,
    texts_in,
)
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.source import Document, KeyPath, Mark
from runbooks.spec.validate import Found, validate
from runbooks.steps.step import Step

#: `params` as they were given, `steps`: outputs by step, `item` of a `for_each`, `run`: `id`, `requester`.
Values = Mapping[str, Any]

#: Items of one `for_each`.
MOST_ITEMS = 200


def bind(step: RunbookStep, values: Values) -> Step:
    """The step's model with the references filled in; raises StepError saying what does not fit."""
    data = bound_fields(step, values)
    if data == step.fields:
        return step.sample
    hidden = {at for at, text in texts_in(step.fields) if step.secrets.intersection(names_in(text))}
    words: list[str] = []

    def told(found: list[Found]) -> list[Found]:
        # Words about a value may quote a part of it.
        secret = [spot for spot, _ in found if any(spot.path[: len(at)] == at for at in hidden)]
        words.extend(f"`{spot.path[-1]}`: the secret that was given does not fit there" for spot in secret)
        return [(spot, problem) for spot, problem in found if spot not in secret]

    model, faults = validate(_document(step, data), step.model, told=told)
    if model is not None:
        return model
    words += [fault.message + (f" ({fault.hint})" if fault.hint else "") for fault in faults]
    scrub = Scrubber(str(look_up(name, values)) for name in step.secrets)
    raise StepError(f"Step `{step.id}`: {scrub('; '.join(words))}")


def bound_fields(step: RunbookStep, values: Values) -> dict[str, Any]:
    """What stands under the kind's key, with the references filled in; raises StepError."""
    try:
        filled = fill(step.fields, lambda name: _found(step, name, values))
    except NotGiven as error:
        raise StepError(f"Step `{step.id}` needs `{error}`, which was not given.") from None
    assert isinstance(filled, dict)
    return filled


def title_of(step: RunbookStep, values: Values) -> str:
    """The step's title; what is not there yet stays a reference."""
    return fill_known(step.title, values)


def fill_known(text: str, values: Values) -> str:
    """A text with every reference filled in that is there; the others stay as they are."""

    def find(name: str) -> Any:
        value = look_up(name, values)
        return f"{{{{ {name} }}}}" if value is ABSENT or value is None else value

    return fill_text(text, find)


def look_up(name: str, values: Values) -> Any:
    """What `params.x` or `steps.backup.key` is: ABSENT when nothing is said of it."""
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return ABSENT
        found = found[part]
    return found


def missing(names: Iterable[str], values: Values) -> tuple[str, ...]:
    """Those of the references that are not there, sorted. A parameter that was left out is there."""
    absent = {name for name in names if look_up(name, values) is ABSENT}
    return tuple(sorted(absent))


def holds(when: Mapping[str, Mapping[str, Any]], values: Values) -> tuple[bool, str]:
    """Whether all conditions hold; and if not, what is otherwise: `params.environment is staging, not …`."""
    for name, condition in when.items():
        value = look_up(name, values)
        if value is ABSENT or value is None:
            return False, f"{name} is not there"
        asked = When.model_validate(condition)
        if not asked.fits(value):
            return False, f"{name} is {as_text(value)}, not {asked.words()}"
    return True, ""


def items(step: RunbookStep, values: Values) -> list[Any]:
    """What a step with `for_each` is done for, in order; raises StepError when that is no list.

    A text is read as a JSON list, or as one item a line.
    """
    try:
        found = fill(step.for_each, lambda name: _found(step, name, values))
    except NotGiven as error:
        raise StepError(f"Step `{step.id}` needs `{error}`, which was not given.") from None
    if found is ABSENT:
        return []
    listed = _split(found) if isinstance(found, str) else found
    if not isinstance(listed, list) or not all(isinstance(item, str | int | float) for item in listed):
        raise StepError(f"Step `{step.id}`: what `for_each` refers to is no list of texts or numbers.")
    if len(listed) > MOST_ITEMS:
        raise StepError(f"Step `{step.id}`: `for_each` has {len(listed)} items; at most {MOST_ITEMS}.")
    return listed


def _split(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _found(step: RunbookStep, name: str, values: Values) -> Any:
    value = look_up(name, values)
    if name.startswith("params.") and value is None:
        return ABSENT
    if value is ABSENT or value is None:
        raise StepError(f"Step `{step.id}` needs `{name}`, {_why_missing(name, value)}")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _why_missing(name: str, value: Any) -> str:
    root, _, rest = name.partition(".")
    if root == "steps":
        earlier = rest.partition(".")[0]
        if value is None:
            return f"but the step `{earlier}` came to no value there."
        return f"but the step `{earlier}` was skipped, or has not run."
    return "which is not known here."


def _document(step: RunbookStep, data: Mapping[str, Any]) -> Document:
    """The filled fields as if they were a file's, to be judged by the same words."""
    return Document(
        path="",
        digest="",
        data=dict(data),
        keys={},
        values=dict.fromkeys(_places(data), Mark(1, 1)),
        numerals={},
        references=frozenset(),
        broken=frozenset(),
        secrets=frozenset(),
        faults=(),
        filled=frozenset(at for at, text in texts_in(step.fields) if only_name(text) is not None),
    )


def _places(value: Any, at: KeyPath = ()) -> Iterable[KeyPath]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*at, key))
