"""Connections that are passed on over ssh: who connects to a socket here reaches a server from there.

asyncssh has listeners of its own for that; they say nobody why sshd refused to pass a connection on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import asyncssh

from runbooks.visible import one_line

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """A server as the other machine sees it: a socket's `path`, or a host and its port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a connection was not passed on, in sshd's words. `forbidden`: it must not be, whoever listens."""

    words: str
    forbidden: bool


class Forwarding:
    """What passes connections on to one server."""

    def __init__(self, connection: asyncssh.SSHClientConnection, to: Beyond) -> None:
        self.to = to
        self._connection = connection
        self._callers: set[_Caller] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._refusal: Refusal | None = None

    def refusal(self) -> Refusal | None:
        """Why the last connection was not passed on; it is told once."""
        refusal, self._refusal = self._refusal, None
        return refusal

    @asynccontextmanager
    async def at_path(self, path: Path) -> AsyncIterator[None]:
        """Takes connections at that socket, which stays when it is over; then they end. Raises OSError."""
        loop = asyncio.get_running_loop()
        async with self._serving(await loop.create_unix_server(self._caller, path)):
            yield

    @asynccontextmanager
    async def at_port(self) -> AsyncIterator[int]:
        """Takes connections at a free port of this machine's own. Raises OSError."""
        server = await asyncio.get_running_loop().create_server(self._caller, _LOOPBACK, 0)
        async with self._serving(server):
            yield int(server.sockets[0].getsockname()[1])

    @asynccontextmanager
    async def _serving(self, server: asyncio.Server) -> AsyncIterator[None]:
        try:
            yield
        finally:
            server.close()
            for caller in tuple(self._callers):
                caller.close()
            for task in tuple(self._opening):
                task.cancel()
            await asyncio.gather(*self._opening, return_exceptions=True)

    def _caller(self) -> "_Caller":
        return _Caller(self)

    def begin(self, caller: "_Caller") -> None:
        """Passes on one who connected."""
        self._callers.add(caller)
        task = asyncio.create_task(self._open(caller))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def over(self, caller: "_Caller") -> None:
        """One who connected is gone."""
        self._callers.discard(caller)

    async def _open(self, caller: "_Caller") -> None:
        def far() -> asyncssh.SSHForwarder:
            return asyncssh.SSHForwarder(caller)

        try:
            if self.to.path:
                await self._connection.create_unix_connection(far, self.to.path)  # type: ignore[arg-type]
            else:
                await self._connection.create_connection(far, self.to.host, self.to.port)  # type: ignore[arg-type]
        except asyncssh.ChannelOpenError as error:
            self._refusal = Refusal(
                words=one_line(error.reason),
                forbidden=error.code != asyncssh.OPEN_CONNECT_FAILED,
            )
            caller.close()
        except (asyncssh.Error, OSError):
            caller.close()  # the connection is gone, and whoever has it knows why
        else:
            self._refusal = None
            caller.proceed()


class _Caller(asyncssh.SSHForwarder):
    """Who connected here. Nothing is read from it until the other end is there."""

    def __init__(self, forwarding: Forwarding) -> None:
        super().__init__()
        self._forwarding = forwarding
        self._here: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._here = cast("asyncio.Transport", transport)
        # Not at once: the asyncio of Python 3.11.2 would begin to read right after this all the same.
        asyncio.get_running_loop().call_soon(self._here.pause_reading)
        self._forwarding.begin(self)

    def proceed(self) -> None:
        """Lets it speak."""
        if self._here is not None and not self._here.is_closing():
            self._here.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forwarding.over(self)
        super().connection_lost(exc)
