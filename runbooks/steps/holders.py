"""Whom a runbook names: a role of maint.yaml, a person, or a usergroup."""

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

_PERSON = re.compile(r"[UW][A-Z0-9]+|[^\s@]+@[^\s@]+")
#: What is neither a person nor a usergroup.
ROLE = re.compile(r"[a-z][a-z0-9-]*")
_HOLDER = re.compile(rf"{ROLE.pattern}|S[A-Z0-9]+|@[\w.-]+|{_PERSON.pattern}")


def check_holder(value: str) -> str:
    """The value, if it names somebody. Raises ValueError."""
    if not _HOLDER.fullmatch(value):
        raise ValueError(
            "name a role of maint.yaml, a user id (U…), a usergroup (@handle or S…) or an e-mail address"
        )
    return value


#: `sre`, `U0123ABCD`, `@oncall`, `S0123ABCD`, `ann@example.com`. None of them has a space in it.
Holder = Annotated[
    str, AfterValidator(check_holder), WithJsonSchema({"type": "string", "pattern": f"^({_HOLDER.pattern})$"})
]


def is_person(holder: str) -> bool:
    """Whether it names one person: a user id or an e-mail address."""
    return _PERSON.fullmatch(holder) is not None


def most_people(holders: Iterable[str]) -> int | None:
    """How many people these are at most; None when a role or a usergroup is among them: any number."""
    named = set(holders)
    return len(named) if all(map(is_person, named)) else None


def listed(words: Iterable[str], last: str = "or") -> str:
    """`sre`, `sre or dba`, `sre, dba or U1`."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end
