"""A document judged by a model: every fault at its exact place, in words for people."""

import copy
import re
from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from runbooks.errors import Fault
from runbooks.nearest import did_you_mean
from runbooks.scrub import Scrubber
from runbooks.spec.locate import Spot, locate, tags
from runbooks.spec.model import Spec, show_duration
from runbooks.spec.placeholders import as_text
from runbooks.spec.source import Document, KeyPath, core_value

M = TypeVar("M", bound=BaseModel)

#: A problem, and where it is.
Found = tuple[Spot, ErrorDetails]

#: What the types of pydantic's errors expected; the names in braces are from the error's context.
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a map of keys",
    "model_type": "a map of keys",
    "model_attributes_type": "a map of keys",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} item(s)",
    "string_too_short": "at least {min_length} character(s)",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "a text that matches {pattern}",
}
#: YAML 1.1's booleans, which YAML 1.2 reads as texts.
_OLD_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_NUMBERS = {"int_type": int, "float_type": int | float, "bool_type": bool}
_TIMEDELTA = re.compile(r"(days|seconds|microseconds)=(-?\d+)")
#: Characters of a value that a fault repeats.
_SHOWN = 40

_well_known_secrets = Scrubber()


def validate(
    document: Document,
    model: type[M],
    at: KeyPath = (),
    *,
    only: Collection[str] | None = None,
    told: Callable[[list[Found]], list[Found]] = lambda found: found,
) -> tuple[M | None, tuple[Fault, ...]]:
    """The model of what is at that place, or None and the faults; nothing there counts as an empty map.

    `only`: the keys that are the model's business, when somebody else judges the others. `told`: those of the
    problems that are to be told; the model is not made all the same.

    The text of a reference becomes a number or a boolean where the model wants one: inside { } a reference
    needs quotes, so quotes say nothing about it. A number that was filled in becomes text where the model
    wants that. A fault that `document.faults` has already is not repeated, so None may come without faults.
    """
    value = document.get(at)
    data = {} if value is None else copy.deepcopy(value)
    if only is not None:
        data = {key: data[key] for key in data if key in only}
    try:
        return model.model_validate(data), ()
    except ValidationError as error:
        problems = error.errors(include_url=False)
    if _convert_references(document, model, at, data, problems):
        try:
            return model.model_validate(data), ()
        except ValidationError as error:
            problems = error.errors(include_url=False)
    spots = [(locate(document, model, at, problem["loc"]), problem) for problem in problems]
    return None, tuple(dict.fromkeys(_faults(document, told(spots))))


def _convert_references(
    document: Document, model: type[BaseModel], at: KeyPath, data: Any, problems: list[ErrorDetails]
) -> bool:
    converted = False
    for problem in problems:
        path = locate(document, model, at, problem["loc"]).path
        value = document.get(path)
        found: Any = None
        if path in document.references and problem["type"] in _NUMBERS:
            wanted, number = _NUMBERS[problem["type"]], core_value(value)
            if isinstance(number, wanted) and isinstance(number, bool) == (wanted is bool):
                found = number
        elif path in document.filled and problem["type"] == "string_type":
            found = as_text(value) if isinstance(value, int | float) else None
        if found is not None:
            parent = data
            for step in path[len(at) : -1]:
                parent = parent[step]
            parent[path[-1]] = found
            converted = True
    return converted


def _faults(document: Document, spots: list[Found]) -> Iterable[Fault]:
    expected: dict[KeyPath, list[Found]] = {}
    for spot, problem in spots:
        if _is_explained(document, spot, problem) or _is_of_other_member(document, spot):
            continue
        if problem["type"] in _EXPECTED:
            expected.setdefault(spot.path, []).append((spot, problem))
        else:
            yield _fault(document, spot, problem)
    for path, problems in expected.items():  # several at one place are the members of one union
        words = " or ".join(dict.fromkeys(_wanted(problem) for _, problem in problems))
        hints = [_hint(document, spot, problem) for spot, problem in problems]
        got = _got(document, problems[0][0])
        yield document.fault(
            path, f"{_label(path)}: expected {words}, got {got}", next(filter(None, hints), "")
        )


def _is_explained(document: Document, spot: Spot, problem: ErrorDetails) -> bool:
    if problem["type"] in ("missing", "extra_forbidden"):
        return spot.path in document.broken
    if problem["type"] == "too_short" and len(document.get(spot.path)) >= problem["ctx"]["min_length"]:
        return True  # pydantic counts only the items that are right, and the wrong ones have their own
    return any(
        path[: len(spot.path)] == spot.path or path == spot.path[: len(path)] for path in document.broken
    )


def _is_of_other_member(document: Document, spot: Spot) -> bool:
    """Whether it says that a map is no text, or a text no map, where either may stand."""
    return spot.union is not None and isinstance(document.get(spot.union), dict) != spot.in_model


def _fault(document: Document, spot: Spot, problem: ErrorDetails) -> Fault:
    path, context = spot.path, problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            place = f" in {_label(path)}" if path else ""
            return document.fault(path, f"`{problem['loc'][-1]}` is missing{place}")
        case "extra_forbidden":
            known = spot.owner.written() if spot.owner and issubclass(spot.owner, Spec) else []
            hint = did_you_mean(str(path[-1]), known) or f"known here: {', '.join(known)}"
            return document.fault(path, f"unknown key `{path[-1]}`", hint, at_key=True)
        case "union_tag_not_found" | "union_tag_invalid":
            key = spot.discriminator or ""
            words = tags(spot.wanted, key)
            if problem["type"] == "union_tag_not_found":
                return document.fault(
                    path, f"`{key}` is missing in {_label(path)}", f"one of {', '.join(words)}"
                )
            tag = str(context["tag"])
            hint = did_you_mean(tag, words) or f"one of {', '.join(words)}"
            return document.fault((*path, key), f"`{key}`: there is no {_quote(tag)}", hint)
        case "value_error":
            message = str(context["error"])
        case _:
            message = problem["msg"]
    return document.fault(path, f"{_label(path)}: {_well_known_secrets(message)}", at_key=spot.is_key)


def _wanted(problem: ErrorDetails) -> str:
    context = {name: _bound(value) for name, value in problem.get("ctx", {}).items()}
    return _EXPECTED[problem["type"]].format(**context)


def _bound(value: Any) -> Any:
    # pydantic has a limit of our Duration only as a repr: datetime.timedelta(days=1, seconds=5).
    if not isinstance(value, str) or not value.startswith("datetime.timedelta("):
        return value
    return show_duration(timedelta(**{unit: int(count) for unit, count in _TIMEDELTA.findall(value)}))


def _hint(document: Document, spot: Spot, problem: ErrorDetails) -> str:
    value, kind = document.get(spot.path), problem["type"]
    if spot.path in document.stand_ins:
        return ""
    if kind == "string_type" and isinstance(value, bool | int | float):
        written = document.numerals.get(spot.path) or str(value).lower()
        return "put quotes around it" + ("" if _is_hidden(document, spot) else f": '{written}'")
    if not isinstance(value, str) or _is_hidden(document, spot):
        return ""
    if kind == "literal_error":
        return did_you_mean(
            value, problem["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        )
    if kind == "bool_type" and value.lower() in _OLD_BOOLEANS:
        return f"did you mean `{_OLD_BOOLEANS[value.lower()]}`?"
    number = core_value(value)
    if (
        kind in ("int_type", "float_type")
        and isinstance(number, int | float)
        and not isinstance(number, bool)
    ):
        return "take the quotes away"
    return ""


def _is_hidden(document: Document, spot: Spot) -> bool:
    return spot.wanted is SecretStr or spot.path in document.references


def _got(document: Document, spot: Spot) -> str:
    value = document.get(spot.path)
    if spot.path in document.stand_ins:
        return document.stand_ins[spot.path]
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "a map"
    if _is_hidden(document, spot):
        return "a text that is not shown here" if isinstance(value, str) else "a number"
    if isinstance(value, str):
        return f"the text {_quote(value)}"
    return f"the number {document.numerals.get(spot.path, value)}"


def _quote(text: str) -> str:
    text = _well_known_secrets(text)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _label(path: KeyPath) -> str:
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"item {path[-1] + 1} of {_label(path[:-1])}"
    return f"`{path[-1]}`"
