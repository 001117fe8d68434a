"""How a Redis is reached: as its url says, or through another machine (`via:`)."""

import asyncio
from dataclasses import dataclass
from typing import Any

from redis.asyncio import ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import parse_url

from runbooks.errors import StepError
from runbooks.steps.reach import Shared
from runbooks.steps.via import End, Tunnel, tunnel_to
from runbooks.targets import RedisTarget

_PORT = 6379
_SOCKET = "redis.sock"


@dataclass(frozen=True, kw_only=True)
class RedisWay:
    """The tunnel to it, if it needs one, and the options in its url."""

    url: str
    tunnel: Tunnel | None

    async def fault(self) -> StepError | None:
        """Why a connection was not made or broke, as far as it is the way's fault."""
        return await self.tunnel.fault() if self.tunnel else None

    def client(self, **options: Any) -> Redis:
        """A client with connections of its own. Raises ValueError, TypeError for an option of the url."""
        if self.tunnel is None:
            return Redis.from_url(self.url, **options)
        said: dict[str, Any] = {**options, **parse_url(self.url)}
        encrypted = said.pop("connection_class", None) is SSLConnection
        host = said.pop("host", "localhost")
        said = {key: value for key, value in said.items() if key not in ("port", "path")}
        path = f"{self.tunnel.entries[0].folder}/{_SOCKET}"
        if encrypted:
            pool = ConnectionPool(connection_class=_TlsOverSocket, host=host, path=path, **said)
        else:
            pool = ConnectionPool(connection_class=UnixDomainSocketConnection, path=path, **said)
        return Redis.from_pool(pool)


class _TlsOverSocket(SSLConnection):
    """TLS with the server that the url names, over a socket that is passed on to it."""

    def __init__(self, *, path: str, **options: Any) -> None:
        super().__init__(**options)
        self._path = path

    async def _connect(self) -> None:
        async with asyncio.timeout(self.socket_connect_timeout):
            self._reader, self._writer = await asyncio.open_unix_connection(
                self._path, ssl=self.ssl_context.get(), server_hostname=self.host
            )
        await self.on_connect()


async def redis_way(target: RedisTarget, reach: Shared) -> RedisWay:
    """The way there, open. Raises StepError, and ValueError for an option of the url."""
    url = target.url.get_secret_value()
    if target.via is None:
        return RedisWay(url=url, tunnel=None)
    said: dict[str, Any] = dict(parse_url(url))
    if path := said.get("path"):
        end = End(path=path, name=_SOCKET)
    else:
        end = End(host=said.get("host", "localhost"), port=said.get("port", _PORT), name=_SOCKET)
    return RedisWay(url=url, tunnel=await tunnel_to(target.via, (end,), reach))
