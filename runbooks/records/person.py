"""Who asked, decided or changed something."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Person:
    """By the id and the name that they had at that time. `kind` is `slack`, `terminal` or `clock`."""

    kind: str
    id: str
    name: str
    team: str = ""
