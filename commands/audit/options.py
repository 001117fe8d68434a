"""`--csv`, `--limit 50`, `--to FOLDER`: what stands between the filters and is none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runbooks.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was given, and the words that are left."""

    values: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    rest: tuple[str, ...] = ()


def options(words: tuple[str, ...], *, values: Iterable[str] = (), flags: Iterable[str] = ()) -> Options:
    """Takes those options out of the words; `--to=x` is `--to x`. Raises UsageError for one without its
    value, or that is given twice."""
    takes, known = frozenset(values), frozenset(flags)
    given: dict[str, str] = {}
    found: set[str] = set()
    rest: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in takes | known:
            rest.append(word)
        elif name in known:
            found.add(name)
        elif name in given:
            raise UsageError(f"--{name} is given twice, and only one of them can be meant.")
        else:
            given[name] = value if equals else next(left, "")
            if not given[name]:
                raise UsageError(f"What follows --{name}?")
    return Options(values=given, flags=frozenset(found), rest=tuple(rest))
