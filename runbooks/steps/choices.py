"""Choices of a parameter that come from a web service: `choices_from`."""

import json
from collections.abc import Mapping

from runbooks.errors import StepError
from runbooks.spec.params import ChoicesFrom
from runbooks.steps.web import Unreachable, fetch, headers_of, join, open_client, show_url
from runbooks.targets import HttpTarget, TargetBase

#: Bytes of an answer that are read, choices that are taken from it, and characters of one.
BODY_LIMIT, MOST, LONGEST = 1_000_000, 5000, 200


async def look_up_choices(
    source: ChoicesFrom, targets: Mapping[str, TargetBase], seconds: float
) -> tuple[str, ...]:
    """What can be chosen now, asked within so many seconds. Raises StepError."""
    target = targets.get(source.target)
    if not isinstance(target, HttpTarget):
        raise StepError(f"{source.target} is no http target in maint.yaml any more")
    url = join(target.url, source.path)
    try:
        async with open_client(target, seconds, tls=url.scheme == "https") as client:
            answer = await fetch(client, "GET", url, headers=headers_of(target), limit=BODY_LIMIT)
    except Unreachable as error:
        raise StepError(f"{show_url(url)} {error}") from error
    if answer.status != 200 or answer.cut:
        raise StepError(f"{show_url(url)} answered {answer.status} instead of a list of choices")
    return read_choices(answer.body, source.key)


def read_choices(body: bytes, key: str | None) -> tuple[str, ...]:
    """The texts in a JSON list of texts, or of maps with that key. Raises StepError."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise StepError("the choices are no JSON") from error
    if not isinstance(found, list):
        raise StepError("the choices are no list")
    items = [item.get(key) if key is not None and isinstance(item, dict) else item for item in found]
    texts = [str(item) for item in items if isinstance(item, str | int) and not isinstance(item, bool)]
    return tuple(dict.fromkeys(text for text in texts if 0 < len(text) <= LONGEST))[:MOST]
