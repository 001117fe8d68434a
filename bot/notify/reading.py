"""What services answer."""

import json
from typing import Any

from bot.notify.delivery import NotDelivered


def listing(who: str, answer: bytes, *path: str) -> list[Any]:
    """The list at that place of a JSON answer. Raises NotDelivered when there is none."""
    try:
        value: Any = json.loads(answer)
        for key in path:
            value = value[key]
    except (ValueError, KeyError, TypeError):
        value = None
    if not isinstance(value, list):
        raise NotDelivered(f"{who} answered something else than a list under {'.'.join(path)}")
    return value
