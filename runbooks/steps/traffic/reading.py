"""What a system says of its traffic, made into a weight and a version."""

import math
from typing import Any

from runbooks.errors import StepError
from runbooks.visible import one_line


def look_up(document: Any, pointer: str, where: str) -> Any:
    """The value at a JSON pointer (RFC 6901): `/rollout/weight`. Raises StepError when nothing is there."""
    value = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            raise StepError(f"{where} has nothing at {pointer}: look at `get:` in the target's traffic")
    return value


def as_weight(value: Any, where: str) -> float:
    """The percentage that was told, as a number or as its text. Raises StepError for anything else."""
    try:
        weight = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        weight = math.nan
    if isinstance(value, bool) or not 0 <= weight <= 100:
        raise StepError(f"{where} tells no weight from 0 to 100 but {one_line(str(value), 60)!r}")
    return weight


def as_version(value: Any, where: str) -> str | None:
    """The version that was told; None for null and for nothing. Raises StepError when it is no text."""
    if isinstance(value, dict | list | bool):
        raise StepError(f"{where} tells no version but {one_line(str(value), 60)!r}")
    return None if value is None or value == "" else str(value)
