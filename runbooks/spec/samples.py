"""A step's fields judged before its references are known: with values that those may have."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from runbooks.errors import Fault
from runbooks.spec.placeholders import fill_text, is_broken, names_in, only_name, texts_in
from runbooks.spec.scope import ANYTHING, Known, NoSuchReference, Scope
from runbooks.spec.source import Document, KeyPath
from runbooks.spec.validate import Found, validate
from runbooks.steps.step import Step

#: How many sets of made-up values are tried before a model is made without judging them.
_ATTEMPTS = 8

#: The problems that no value of a type would be spared; patterns and ranges depend on the value.
_OF_TYPE = frozenset(
    {
        "string_type",
        "int_type",
        "int_from_float",
        "float_type",
        "bool_type",
        "tuple_type",
        "list_type",
        "dict_type",
        "model_type",
        "model_attributes_type",
        "extra_forbidden",
    }
)
_BRACES = "write }} after its name; braces that are meant as such are written \\{{"


@dataclass(frozen=True, kw_only=True)
class References:
    """The references in a part of a file: what each stands for, by its name; and what is wrong with them."""

    known: Mapping[str, Known] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @property
    def secrets(self) -> frozenset[str]:
        """Those that are never shown."""
        return frozenset(name for name, known in self.known.items() if known.is_secret)


def find_references(document: Document, at: KeyPath, scope: Scope) -> References:
    """The references in everything that stands there."""
    known: dict[str, Known] = {}
    faults: list[Fault] = []
    for path, text in texts_in(document.get(at), at):
        if path in document.broken:
            continue
        if is_broken(text):
            faults.append(document.fault(path, "a reference begins here and does not end", _BRACES))
        for name in names_in(text):
            try:
                known[name] = scope.find(name)
            except NoSuchReference as error:
                known[name] = ANYTHING
                faults.append(document.fault(path, str(error), error.hint))
                continue
            if known[name].is_list and only_name(text) is None:
                message = f"`{name}` is a list, which cannot stand inside a text"
                faults.append(document.fault(path, message, "let it be the whole value"))
    faults += _in_keys(document, at)
    return References(known=known, faults=tuple(dict.fromkeys(faults)))


def _in_keys(document: Document, at: KeyPath) -> Iterator[Fault]:
    value = document.get(at)
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, _ in inner:
        if isinstance(key, str) and names_in(key):
            yield document.fault((*at, key), "a reference cannot be a key", at_key=True)
        yield from _in_keys(document, (*at, key))


def judge(
    document: Document,
    model: type[Step],
    at: KeyPath,
    references: References,
    judged: Collection[KeyPath] = (),
) -> tuple[Step | None, tuple[Fault, ...]]:
    """The model of what stands there, with values that the references may have; None and the faults when it
    is wrong whatever they are. `judged`: parts of it whose faults are told already."""
    sampled = document
    for attempt in range(_ATTEMPTS if references.known else 1):
        sampled = _sampled(document, at, references.known, attempt)
        step, faults = validate(sampled, model, at, told=_told(sampled, judged))
        if step is not None or faults:
            return step, faults
    if sampled.broken:
        return None, ()
    return _unjudged(model, sampled.get(at) or {}), ()


def _sampled(document: Document, at: KeyPath, known: Mapping[str, Known], attempt: int) -> Document:
    words: dict[KeyPath, str] = {}
    whole: set[KeyPath] = set()

    def sample(name: str) -> Any:
        samples = known[name].samples
        return samples[attempt % len(samples)]

    def walk(value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, (*path, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str):
            return value
        if names_in(value):
            name = only_name(value)
            words[path] = value if name is None else f"`{name}`, which is {known[name].words}"
            if name is not None:
                whole.add(path)
                return sample(name)
        return fill_text(value, sample)

    data = walk(document.get(at), at)
    return replace(document, data=_put(document.data, at, data), filled=frozenset(whole), stand_ins=words)


def _put(data: Any, at: KeyPath, value: Any) -> Any:
    """The data with another value at that place; what is beside the way there is shared."""
    if not at:
        return value
    copied: Any = dict(data) if isinstance(data, dict) else list(data)
    copied[at[0]] = _put(copied[at[0]], at[1:], value)
    return copied


def _told(document: Document, judged: Collection[KeyPath]) -> Callable[[list[Found]], list[Found]]:
    """Leaves out what depends on the values of references, and what is told already."""

    def is_open(found: Found, all_found: list[Found]) -> bool:
        spot, problem = found
        if any(spot.path[: len(place)] == place for place in document.stand_ins):
            same = [other for other in all_found if other[0].path == spot.path]
            anything = document.stand_ins.get(spot.path, "").endswith(ANYTHING.words)
            return anything or not all(_is_of_type(document, other) for other in same)
        inside = any(place[: len(spot.path)] == spot.path for place in (*document.stand_ins, *judged))
        return inside and problem["type"] in ("value_error", "assertion_error")

    return lambda all_found: [found for found in all_found if not is_open(found, all_found)]


def _is_of_type(document: Document, found: Found) -> bool:
    spot, problem = found
    if problem["type"] in _OF_TYPE:
        return True
    # What is no text can be no duration, and no word of a list of words.
    text = isinstance(document.get(spot.path), str)
    return not text and (spot.wanted is timedelta or problem["type"] == "literal_error")


def _unjudged(model: type[Step], data: Mapping[str, Any]) -> Step:
    """The model with each value that fits by itself as the model has it, and the others as they are."""
    values: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        key = info.alias or name
        if key in data:
            try:
                wanted: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
                values[name] = TypeAdapter(wanted).validate_python(data[key])
            except ValidationError:
                values[name] = data[key]
    return model.model_construct(**values)
