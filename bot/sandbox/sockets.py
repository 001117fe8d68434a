"""Socket Mode: WebSocket connections, envelopes and their acknowledgements."""

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from bot.sandbox.feed import Kind
from bot.sandbox.people import APP_ID
from bot.sandbox.workspace import Workspace

MOST = 10  # connections of one app
PING_EVERY = 10.0  # seconds
GRACE = 10.0  # seconds from a disconnect message to the end of the connection
#: Seconds for which an envelope waits for an app that was connected a moment ago.
RECONNECT = 2.0


class NotConnectedError(Exception):
    """There is nobody to send an envelope to."""


@dataclass
class Connection:
    """One WebSocket. A `retiring` one gets no new envelopes; a `black_holed` one is dead silent."""

    socket: web.WebSocketResponse
    request: web.Request
    number: int
    retiring: bool = False
    black_holed: bool = False
    closer: asyncio.TimerHandle | None = None

    async def send(self, message: dict[str, Any]) -> None:
        """Sends a JSON message."""
        if not self.black_holed and not self.socket.closed:
            await self.socket.send_json(message)


@dataclass
class Sockets:
    """The connections of the app. `refuse`, `delay` and `duplicate` are faults to inject."""

    workspace: Workspace
    connections: list[Connection] = field(default_factory=list)
    refuse: int = 0  # how many of the next connections to turn away
    delay: float = 0.0  # seconds by which envelopes come late
    duplicate: int = 0  # how many of the next envelopes to send twice
    ping_every: float = PING_EVERY
    _pending: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: int = 0
    _turn: int = 0
    _last_seen: float = float("-inf")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The aiohttp handler of /socket."""
        ticket = request.query.get("ticket", "")
        if self.refuse > 0:
            self.refuse -= 1
            return web.Response(status=503, text="refused on purpose")
        if ticket not in self.workspace.tickets:
            return web.Response(status=403, text="no such ticket")
        self.workspace.tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self._numbers += 1
        connection = Connection(socket, request, self._numbers)
        if len(self.connections) >= MOST:
            await connection.send(self._goodbye("too_many_websockets"))
            await socket.close()
            return socket
        await self._serve(connection)
        return socket

    async def _serve(self, connection: Connection) -> None:
        self.connections.append(connection)
        hello = {
            "type": "hello",
            "num_connections": len(self.connections),
            "debug_info": {"host": "sandbox", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": APP_ID},
        }
        await connection.send(hello)
        self._tell("connected", connection)
        self._arrived.set()
        self._arrived = asyncio.Event()
        pings = asyncio.create_task(self._ping(connection))
        try:
            async for message in connection.socket:
                if connection.black_holed:
                    continue
                if message.type is WSMsgType.PING:
                    await connection.socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    self._receive(message.data)
        except ConnectionError:
            pass  # it was cut while we answered a ping: the same as a close
        finally:
            pings.cancel()
            if connection.closer is not None:
                connection.closer.cancel()
            self.connections.remove(connection)
            self._last_seen = asyncio.get_running_loop().time()
            self._tell("disconnected", connection)

    async def _ping(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(self.ping_every)
            if not connection.black_holed:
                await connection.socket.ping(b"Ping from sandbox")

    def _receive(self, text: str) -> None:
        try:
            answer = json.loads(text)
            envelope_id = answer["envelope_id"]
        except (ValueError, KeyError, TypeError):
            self.workspace.log("nonsense", text)
            return
        self.workspace.log("acknowledgement", answer)
        waiting = self._pending.pop(envelope_id, None)
        if waiting is not None and not waiting.done():
            payload = answer.get("payload")
            waiting.set_result(payload if isinstance(payload, dict) else {})

    async def send(self, envelope: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Sends an envelope to one connection; what the app answered.

        Raises NotConnectedError, or TimeoutError when there is no answer within `seconds`.
        """
        if not self._live() and not self._may_come_back():
            raise NotConnectedError
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(envelope)
        except TimeoutError:
            if not self.connections:
                raise NotConnectedError from None
            raise

    async def _exchange(self, envelope: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(self.delay)
        envelope_id = str(uuid.uuid4())
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[envelope_id] = answer
        try:
            await self._send_to_one({**envelope, "envelope_id": envelope_id})
            if self.duplicate > 0:
                self.duplicate -= 1
                again = {"envelope_id": str(uuid.uuid4()), "retry_attempt": 1, "retry_reason": "timeout"}
                await self._send_to_one({**envelope, **again})
            return await answer
        finally:
            self._pending.pop(envelope_id, None)

    async def _send_to_one(self, envelope: dict[str, Any]) -> None:
        while not (live := self._live()):
            await self._arrived.wait()
        self._turn += 1
        connection = live[self._turn % len(live)]
        self.workspace.log("envelope", {**envelope, "connection": connection.number})
        await connection.send(envelope)

    def _live(self) -> list[Connection]:
        return [c for c in self.connections if not c.retiring and not c.socket.closed]

    def _may_come_back(self) -> bool:
        return bool(self.connections) or asyncio.get_running_loop().time() - self._last_seen < RECONNECT

    def _tell(self, what: str, connection: Connection) -> None:
        self.workspace.feed.publish(Kind.CONNECTION, f"{what} {connection.number}")

    def _goodbye(self, reason: str) -> dict[str, Any]:
        return {"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}

    async def disconnect(
        self, reason: str = "refresh_requested", connection: Connection | None = None
    ) -> None:
        """Asks one connection, or all, to be replaced; `reason` may be `warning` too."""
        for each in [connection] if connection else list(self.connections):
            each.retiring = True
            await each.send(self._goodbye(reason))
            loop = asyncio.get_running_loop()
            each.closer = loop.call_later(GRACE, self.abort, each)

    async def close(self, connection: Connection | None = None) -> None:
        """Closes one connection, or all, as a WebSocket should."""
        for each in [connection] if connection else list(self.connections):
            await each.socket.close()

    def abort(self, connection: Connection | None = None) -> None:
        """Cuts one connection, or all, without a word."""
        for each in [connection] if connection else list(self.connections):
            if each.request.transport is not None:
                each.request.transport.abort()

    def black_hole(self, connection: Connection | None = None) -> None:
        """One connection, or all, stays open and is dead from now on: nothing goes in or out."""
        for each in [connection] if connection else list(self.connections):
            each.black_holed = True
