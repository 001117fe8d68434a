"""Tells something outside that Maint is alive: `heartbeat:` in maint.yaml, as https://healthchecks.io has it.

A call to the address is a success; `/start` and `/fail` behind its path say what they are called. Whoever
expects them notices a Maint that died. Nothing here waits for the other side, and nothing fails with it.
"""

import asyncio
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import aiohttp
import structlog
from pydantic import AfterValidator, SecretStr

log = structlog.get_logger()

#: Seconds that one call may take.
TIMEOUT = aiohttp.ClientTimeout(total=10)
#: Calls that wait; of more the oldest go. What is late is of no use to the other side.
MOST_WAITING = 50
#: Parts of an address that are at least so long are secrets by themselves.
_SHORTEST_SECRET = 8


def _address(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value())
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, SplitResult("", "", "", "", "")
    if parts.scheme not in ("http", "https") or not host or " " in parts.path:
        raise ValueError("an address looks like https://hc-ping.com/your-uuid")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("a user, a password and a # do not belong into an address")
    return value


#: Who knows it can say that all is well.
Heartbeat = Annotated[SecretStr, AfterValidator(_address)]


def heartbeat_secrets(address: SecretStr | None) -> list[str]:
    """What of the address must not be shown: all of it, its path, and the parts of that which are keys."""
    if address is None:
        return []
    text = address.get_secret_value()
    parts = urlsplit(text)
    pieces = (parts.path, *parts.path.split("/"), parts.query)
    return [text, *(each for each in pieces if len(each) >= _SHORTEST_SECRET)]


class DeadMan:
    """Calls one address, one call after the other: a start never overtakes its end."""

    def __init__(self, address: str) -> None:
        self._address = urlsplit(address)
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        self._calling: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """From now on, in the running event loop."""
        self._calling = asyncio.create_task(self._keep_calling(), name="heartbeat")

    async def stop(self) -> None:
        """What waits is not called any more."""
        if self._calling is not None:
            self._calling.cancel()
            await asyncio.gather(self._calling, return_exceptions=True)

    def start(self) -> None:
        """Something begins."""
        self._put("/start")

    def success(self) -> None:
        """It came to a good end."""
        self._put("")

    def fail(self) -> None:
        """It did not."""
        self._put("/fail")

    def _put(self, what: str) -> None:
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(what)

    async def _keep_calling(self) -> None:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            while True:
                what = await self._waiting.get()
                try:
                    # A redirect would carry the key to who knows where.
                    async with session.get(self._url(what), allow_redirects=False) as answer:
                        if answer.status >= 300:
                            log.warning("heartbeat.refused", status=answer.status)
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                    # The error's text has the address in it.
                    log.warning("heartbeat.failed", error=type(error).__name__)

    def _url(self, what: str) -> str:
        return self._address._replace(path=self._address.path.rstrip("/") + what).geturl()

    def __repr__(self) -> str:
        return f"<DeadMan {self._address.hostname}>"
