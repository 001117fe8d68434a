"""What every way to tell somebody shares: what is sent, what it may use, and how it fails."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import aiohttp

from runbooks.errors import MaintError
from runbooks.records.notices import NoticeRow

#: Seconds that one call may take, all in: less than a claim, after which another replica tries.
TIMEOUT = aiohttp.ClientTimeout(total=20, connect=5)
#: Bytes of an answer that are read.
_LARGEST_ANSWER = 64 * 1024
#: Characters of an answer that a person is told.
_SAID = 200
#: Answers after which the same is worth another try; every other 4xx stays what it is.
_AGAIN = frozenset({408, 425, 429})


class NotDelivered(MaintError):
    """It did not arrive. `for_good`: nor will it, however often it is tried. `seconds`: how long whoever got
    it wants to be left alone; `counts`: whether it was tried at all; `quiet`: nobody need hear of it."""

    def __init__(
        self,
        text: str,
        *,
        for_good: bool = False,
        seconds: float | None = None,
        counts: bool = True,
        quiet: bool = False,
    ) -> None:
        self.quiet = quiet
        self.for_good = for_good
        self.counts = counts
        self.seconds = seconds
        super().__init__(text)


class ChannelRefuses(NotDelivered):
    """Slack does not let Maint post there: it is told somewhere else."""

    def __init__(self, text: str) -> None:
        super().__init__(text, for_good=True)


#: The e-mail addresses of whom a policy names, at this moment. Raises NotDelivered.
Addresses = Callable[[Sequence[str]], Awaitable[tuple[str, ...]]]


@dataclass(frozen=True, kw_only=True)
class Means:
    """What a service may use to deliver. `link`: where the card is in Slack; empty when nobody knows."""

    session: aiohttp.ClientSession = field(repr=False)
    addresses: Addresses = field(repr=False)
    now: Callable[[], datetime]
    link: str = ""


class Service(Protocol):
    """A way to tell somebody outside of Slack: one file here, and one line in `bot.notify.SERVICES`."""

    async def deliver(self, notice: NoticeRow, means: Means) -> None:
        """Returns when it has arrived. Raises NotDelivered."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        ...


async def post(
    means: Means,
    who: str,
    url: str,
    *,
    json: Any = None,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> bytes:
    """The body of a good answer. Raises NotDelivered for every other one; `who` is named in its text."""
    try:
        # A redirect would carry keys to who knows where.
        async with means.session.request(
            method, url, json=json, data=data, headers=headers, timeout=TIMEOUT, allow_redirects=False
        ) as answer:
            body = await answer.content.read(_LARGEST_ANSWER)
            if 200 <= answer.status < 300:
                return body
            said = " ".join(body.decode(errors="replace").split())[:_SAID]
            raise NotDelivered(
                f"{who} answered {answer.status}{f': {said}' if said else ''}",
                for_good=answer.status < 500 and answer.status not in _AGAIN,
                seconds=_seconds(answer.headers.get("Retry-After")),
            )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NotDelivered(f"{who} cannot be reached: {type(error).__name__}") from error


def _seconds(said: str | None) -> float | None:
    try:
        return min(3600.0, max(1.0, float(said))) if said else None
    except ValueError:
        return None  # a date; the usual pause does as well
