"""Socket Mode with the unmodified AsyncSocketModeHandler: envelopes, reconnects and broken connections."""

import asyncio
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Kind, Sandbox
from tests.sandbox.conftest import connect

Handlers = list[AsyncSocketModeHandler]


@pytest.fixture
def heard(app: AsyncApp) -> list[dict[str, Any]]:
    """Every slash command that the app heard and acknowledged."""
    bodies: list[dict[str, Any]] = []

    @app.command("/maint")
    async def maint(ack: Any, body: dict[str, Any]) -> None:
        bodies.append(body)
        await ack()

    return bodies


async def open_socket(sandbox: Sandbox, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
    """A WebSocket as the SDK opens it, but read by the test."""
    client = AsyncWebClient(base_url=sandbox.api_url)
    url = (await client.apps_connections_open(app_token=sandbox.app_token))["url"]
    return await session.ws_connect(url)


async def test_hello_counts_the_connections(sandbox: Sandbox) -> None:
    """And names the app."""
    async with aiohttp.ClientSession() as session:
        first, second = await open_socket(sandbox, session), await open_socket(sandbox, session)
        hellos = [await first.receive_json(), await second.receive_json()]
        await first.close()
        await second.close()

    assert [hello["num_connections"] for hello in hellos] == [1, 2]
    assert hellos[0]["connection_info"] == {"app_id": "A00SANDBOX"}
    assert hellos[0]["debug_info"]["approximate_connection_time"] > 0


async def test_the_server_pings(sandbox: Sandbox) -> None:
    """As Slack does, now and then."""
    sandbox.sockets.ping_every = 0.01
    client = AsyncWebClient(base_url=sandbox.api_url)
    url = (await client.apps_connections_open(app_token=sandbox.app_token))["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url, autoping=False) as socket:
        await socket.receive_json()
        assert (await socket.receive()).type is aiohttp.WSMsgType.PING


async def test_a_ticket_opens_one_connection(sandbox: Sandbox) -> None:
    """The address from apps.connections.open is good once."""
    url = (await AsyncWebClient(base_url=sandbox.api_url).apps_connections_open(app_token=sandbox.app_token))[
        "url"
    ]
    async with aiohttp.ClientSession() as session:
        await (await session.ws_connect(url)).close()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)


async def test_the_eleventh_connection_is_too_many(sandbox: Sandbox) -> None:
    """It is told so, and closed."""
    async with aiohttp.ClientSession() as session:
        sockets = [await open_socket(sandbox, session) for _ in range(11)]
        assert (await sockets[10].receive_json())["reason"] == "too_many_websockets"
        for socket in sockets:
            await socket.close()


async def test_an_envelope_says_whether_it_takes_an_answer(sandbox: Sandbox) -> None:
    """A slash command does, an event does not."""
    async with aiohttp.ClientSession() as session:
        socket = await open_socket(sandbox, session)
        await socket.receive_json()
        sending = [asyncio.create_task(sandbox.slash("sre1", "ops", "/maint"))]
        slash = await socket.receive_json()
        sending.append(asyncio.create_task(sandbox.mention("sre1", "ops", "hello")))
        event = await socket.receive_json()
        for envelope in (slash, event):
            await socket.send_json({"envelope_id": envelope["envelope_id"]})
        await asyncio.gather(*sending)
        await socket.close()

    assert [slash["type"], slash["accepts_response_payload"]] == ["slash_commands", True]
    assert [event["type"], event["accepts_response_payload"], event["retry_attempt"]] == [
        "events_api",
        False,
        0,
    ]


async def test_envelopes_go_to_all_connections_in_turn(
    sandbox: Sandbox, connected: Handlers, heard: list[Any]
) -> None:
    """Each to one of them only."""
    for _ in range(4):
        assert (await sandbox.slash("sre1", "ops", "/maint")).acked

    lines = [change.subject for change in sandbox.feed.history if change.kind is Kind.PROTOCOL]
    used = [line.data["connection"] for line in lines if line.what == "envelope"]
    assert (sorted(used), len(heard)) == ([1, 1, 2, 2], 4)


async def test_an_app_that_is_slow_to_acknowledge_times_out(
    sandbox: Sandbox, app: AsyncApp, connected: Handlers
) -> None:
    """After three seconds the member is told operation_timeout."""
    asleep = asyncio.Event()

    @app.command("/maint")
    async def maint() -> None:
        await asleep.wait()

    delivery = await sandbox.slash("sre1", "ops", "/maint")
    asleep.set()

    assert delivery.error == "operation_timeout"
    assert 2.9 < delivery.seconds < 3.5


async def test_an_app_that_is_not_connected_cannot_be_dispatched_to(sandbox: Sandbox) -> None:
    """The member is told at once."""
    delivery = await sandbox.slash("sre1", "ops", "/maint")

    assert (delivery.error, delivery.seconds < 0.5) == ("dispatch_failed", True)


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_nothing_is_lost_when_a_connection_is_refreshed(
    sandbox: Sandbox, app: AsyncApp, heard: list[Any], reason: str
) -> None:
    """Even with only one: commands wait for the new connection."""
    async with connect(sandbox, app, 1):
        await sandbox.sockets.disconnect(reason)
        deliveries = [await sandbox.slash("sre1", "ops", "/maint") for _ in range(5)]

    assert [delivery.error for delivery in deliveries] == [None] * 5
    assert len(heard) == 5


async def test_a_connection_that_is_to_go_gets_no_new_envelopes(sandbox: Sandbox) -> None:
    """They go to the one that stays."""
    async with aiohttp.ClientSession() as session:
        first, second = await open_socket(sandbox, session), await open_socket(sandbox, session)
        await sandbox.wait_for(lambda: len(sandbox.sockets.connections) == 2)
        await sandbox.sockets.disconnect("warning", sandbox.sockets.connections[0])
        sending = [asyncio.create_task(sandbox.slash("sre1", "ops", "/maint")) for _ in range(2)]
        await second.receive_json()
        for _ in range(2):
            await second.send_json({"envelope_id": (await second.receive_json())["envelope_id"]})
        deliveries = await asyncio.gather(*sending)
        told = [await first.receive_json(), await first.receive_json()]
        await first.close()
        await second.close()

    assert [delivery.error for delivery in deliveries] == [None, None]
    assert [message["type"] for message in told] == ["hello", "disconnect"]
    assert told[1]["reason"] == "warning"


async def test_a_refreshed_connection_is_replaced(sandbox: Sandbox, app: AsyncApp) -> None:
    """The old one goes, a new one comes."""
    async with connect(sandbox, app, 1):
        await sandbox.sockets.disconnect()
        await sandbox.wait_for(
            lambda: [c for c in sandbox.sockets.connections if c.number == 2 and not c.retiring]
        )

        await sandbox.wait_for(lambda: len(sandbox.sockets.connections) == 1)


async def test_a_closed_connection_is_opened_again(
    sandbox: Sandbox, connected: Handlers, heard: list[Any]
) -> None:
    """While the other one carries on."""
    await sandbox.sockets.close(sandbox.sockets.connections[0])
    assert (await sandbox.slash("sre1", "ops", "/maint")).acked

    await sandbox.wait_for(lambda: {c.number for c in sandbox.sockets.connections} == {2, 3})


async def test_a_reset_connection_is_opened_again(
    sandbox: Sandbox, connected: Handlers, heard: list[Any]
) -> None:
    """The SDK sees it at its next ping."""
    sandbox.sockets.abort(sandbox.sockets.connections[0])
    await sandbox.wait_for(lambda: len(sandbox.sockets.connections) == 1)
    assert (await sandbox.slash("sre1", "ops", "/maint")).acked

    await sandbox.wait_for(lambda: len(sandbox.sockets.connections) == 2)


async def test_a_black_holed_connection_swallows_envelopes(
    sandbox: Sandbox, app: AsyncApp, heard: list[Any]
) -> None:
    """It looks open; the member waits in vain."""
    sandbox.deliverer.ack_seconds = 0.2
    async with connect(sandbox, app, 1, ping_interval=10):
        sandbox.sockets.black_hole()
        delivery = await sandbox.slash("sre1", "ops", "/maint")

    assert (delivery.error, heard) == ("operation_timeout", [])


async def test_a_refused_connection_is_tried_again(sandbox: Sandbox, app: AsyncApp) -> None:
    """After the SDK's ping interval."""
    sandbox.sockets.refuse = 1
    async with connect(sandbox, app, 1, ping_interval=0.05):
        (connection,) = sandbox.sockets.connections

    assert connection.number == 1


async def test_a_late_envelope_costs_its_delay(
    sandbox: Sandbox, connected: Handlers, heard: list[Any]
) -> None:
    """The three seconds run from the member's key press."""
    sandbox.sockets.delay = 0.2
    delivery = await sandbox.slash("sre1", "ops", "/maint")

    assert delivery.acked
    assert delivery.seconds >= 0.2


async def test_an_event_can_come_twice(sandbox: Sandbox, app: AsyncApp, connected: Handlers) -> None:
    """The same event_id under a new envelope_id, marked as a retry as Bolt shows it."""
    seen: list[tuple[str, str | None]] = []

    @app.event("app_mention")
    async def mentioned(body: dict[str, Any], request: Any) -> None:
        seen.append((body["event_id"], request.headers.get("x-slack-retry-num", ["0"])[0]))

    sandbox.sockets.duplicate = 1
    await sandbox.mention("sre1", "ops", "hello")
    await asyncio.sleep(0.05)  # nobody waits for the acknowledgement of the second one

    (first, _), (second, _) = seen
    assert (first == second, sorted(number for _, number in seen)) == (True, ["0", "1"])


async def test_an_event_that_is_not_acknowledged_comes_again(sandbox: Sandbox) -> None:
    """With the number of the retry and its reason."""
    sandbox.deliverer.retries, sandbox.deliverer.ack_seconds = (0.0,), 0.2
    async with aiohttp.ClientSession() as session:
        socket = await open_socket(sandbox, session)
        await socket.receive_json()
        sending = asyncio.create_task(sandbox.mention("sre1", "ops", "hello"))
        first = await socket.receive_json()
        second = await socket.receive_json()
        await socket.send_json({"envelope_id": second["envelope_id"]})
        delivery = await sending
        await socket.close()

    assert first["payload"]["event_id"] == second["payload"]["event_id"]
    assert (second["retry_attempt"], second["retry_reason"]) == (1, "timeout")
    assert (delivery.acked, delivery.attempts) == (True, 2)
