"""`{version}` and `{weight}` in what a driver sends: values in their places, never pieces of a text."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runbooks.errors import StepError

#: What may be put in, as it is written.
VERSION, WEIGHT = "{version}", "{weight}"


def demand_placeholders(written: Any) -> None:
    """Raises ValueError unless `{weight}` is a whole value somewhere in it, and nothing has a placeholder as
    a piece of a longer text."""
    texts = list(_texts(written))
    for text in texts:
        for name in (VERSION, WEIGHT):
            if name in text and text != name:
                raise ValueError(f"{name} is a value of its own: {text[:60]!r} has it inside a longer text")
    if WEIGHT not in texts:
        raise ValueError(f"nothing in it is '{WEIGHT}', so every stage would do the same")


def filled(written: Any, version: str, weight: float) -> Any:
    """The same with the version as a text and the weight as a number in the places that are theirs."""
    match written:
        case str():
            values: Mapping[str, Any] = {VERSION: version, WEIGHT: plain_weight(weight)}
            return values.get(written, written)
        case list() | tuple():
            return [filled(item, version, weight) for item in written]
        case dict():
            return {key: filled(value, version, weight) for key, value in written.items()}
        case _:
            return written


def filled_arguments(written: Iterable[str], version: str, weight: float) -> list[str]:
    """The argument list with both in their places. Raises StepError for a version that is an option."""
    # Whoever chooses the version chooses a value: `--force` would be another command.
    if version.startswith("-"):
        raise StepError(
            f"the version {version[:40]!r} begins with a dash: a program would take it for an option"
        )
    return [str(filled(argument, version, weight)) for argument in written]


def plain_weight(weight: float) -> int | float:
    """25 rather than 25.0: many programs take whole numbers only."""
    return int(weight) if float(weight).is_integer() else weight


def _texts(written: Any) -> Iterator[str]:
    match written:
        case str():
            yield written
        case list() | tuple():
            for item in written:
                yield from _texts(item)
        case dict():
            for value in written.values():
                yield from _texts(value)
