"""A small language for what a payload may look like, with Slack's own words for what is wrong.

The wording was collected from public issues that quote Slack's answers; `docs/sandbox.md` says which
of it is a guess.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong, and where. `outline` marks the line that only names the enclosing choice."""

    pointer: str
    message: str
    outline: bool = False

    def __str__(self) -> str:
        return f"{self.message} [json-pointer:{self.pointer}]"


class Shape(Protocol):
    """Something that a value can be checked against."""

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        """Yields every flaw of that value, which stands at that JSON pointer."""


@dataclass(frozen=True)
class Anything:
    """Whatever it is."""

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:  # noqa: ARG002 (as in Shape)
        """As in Shape."""
        return iter(())


@dataclass(frozen=True)
class Str:
    """A string of `least` to `most` characters."""

    most: int | None = None
    least: int = 1
    pattern: str | None = None
    says: str = "failed to match the expected format"

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        """As in Shape."""
        if not isinstance(value, str):
            yield Flaw(at, "must provide a string")
        elif len(value) < self.least:
            yield Flaw(at, f"must be more than {self.least - 1} characters")
        elif self.most is not None and len(value) > self.most:
            yield Flaw(at, f"must be less than {self.most + 1} characters")
        elif self.pattern is not None and not re.fullmatch(self.pattern, value):
            yield Flaw(at, self.says)


@dataclass(frozen=True)
class Word:
    """One of a few strings."""

    of: tuple[str, ...]

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        """As in Shape."""
        if not isinstance(value, str):
            yield Flaw(at, "must provide a string")
        elif value not in self.of:
            yield Flaw(at, f"value must be one of {', '.join(self.of)}")


@dataclass(frozen=True)
class Bool:
    """true or false."""

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        """As in Shape."""
        if not isinstance(value, bool):
            yield Flaw(at, "must provide a boolean")


@dataclass(frozen=True)
class Num:
    """A number, whole unless `decimal`, from `least` to `most`."""

    least: float = 0
    most: float = float("inf")
    decimal: bool = False

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        """As in Shape."""
        kinds = (int, float) if self.decimal else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds):
            yield Flaw(at, "must provide a number" if self.decimal else "must provide an integer")
        elif value < self.least:
            yield Flaw(at, f"must be greater than or equal to {self.least:g}")
        elif value > self.most:
            yield Flaw(at, f"must be less than or equal to {self.most:g}")


@dataclass(frozen=True)
class Many:
    """A list of `least` to `most` things of one shape."""

    of: Shape
    most: int
    least: int = 1

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        """As in Shape."""
        if not isinstance(value, list):
            yield Flaw(at, "must provide an array")
            return
        if len(value) < self.least:
            yield Flaw(at, f"must provide at least {self.least} items")
        if len(value) > self.most:
            yield Flaw(at, f"no more than {self.most} items allowed")
            return
        for index, item in enumerate(value):
            yield from self.of.flaws(item, f"{at}/{index}")


#: A rule that needs to see several fields of an object at once.
Rule = Callable[[dict[str, Any], str], Iterator[Flaw]]


@dataclass(frozen=True)
class Obj:
    """An object: the fields it must have, those it may have, and no others. `type` is checked by OneOf."""

    must: Mapping[str, Shape] = field(default_factory=dict)
    may: Mapping[str, Shape] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        """As in Shape."""
        if not isinstance(value, dict):
            yield Flaw(at, "must provide an object")
            return
        for name in self.must:
            if name not in value:
                yield Flaw(at, f"missing required field: {name}")
        for name, item in value.items():
            shape = self.must.get(name) or self.may.get(name)
            if shape is not None:
                yield from shape.flaws(item, f"{at}/{name}")
            elif name != "type":
                yield Flaw(at, f"invalid additional property: {name}")
        for rule in self.rules:
            yield from rule(value, at)


@dataclass(frozen=True)
class OneOf:
    """An object whose `type` says which shape it has. `outlined`: Slack names the choice before the flaw."""

    shapes: Mapping[str, Shape]
    outlined: bool = False

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        """As in Shape."""
        found = list(self._flaws(value, at))
        if found and self.outlined:
            yield Flaw(at, "failed to match all allowed schemas", outline=True)
        yield from found

    def _flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        if not isinstance(value, dict):
            yield Flaw(at, "must provide an object")
        elif "type" not in value:
            yield Flaw(at, "missing required field: type")
        elif not isinstance(value["type"], str) or value["type"] not in self.shapes:
            yield Flaw(f"{at}/type", f"unsupported type: {value['type']}")
        else:
            yield from self.shapes[value["type"]].flaws(value, at)


@dataclass(frozen=True)
class Either:
    """Two ways to write one thing, told apart by a look at the value."""

    test: Callable[[Any], bool]
    yes: Shape
    no: Shape

    def flaws(self, value: Any, at: str) -> Iterator[Flaw]:
        """As in Shape."""
        yield from (self.yes if self.test(value) else self.no).flaws(value, at)


def exactly_one(*names: str) -> Rule:
    """One of these fields must be there, and only one."""

    def rule(value: dict[str, Any], at: str) -> Iterator[Flaw]:
        present = [name for name in names if name in value]
        listed = " or ".join(f"`{name}`" for name in names)
        if not present:
            yield Flaw(at, f"must define either {listed}")
        elif len(present) > 1:
            yield Flaw(at, f"must define only one of {listed}")

    return rule


def at_least_one(*names: str) -> Rule:
    """One of these fields must be there."""

    def rule(value: dict[str, Any], at: str) -> Iterator[Flaw]:
        if not any(name in value for name in names):
            yield Flaw(at, f"must define either {' or '.join(f'`{name}`' for name in names)}")

    return rule
