"""The page's endpoints: what a member sees, what is never shown, and who is turned away."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from bot.sandbox.feed import Feed, Kind
from bot.sandbox.payloads import VERIFICATION_TOKEN

OPS = "C000000OPS"


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that speaks to the page as a browser does."""
    base = sandbox.workspace.base_url
    async with aiohttp.ClientSession(base, headers={"Origin": base.rstrip("/")}) as session:
        yield session


async def state(http: aiohttp.ClientSession, who: str) -> dict[str, Any]:
    """All that a member sees."""
    async with http.get("/page/state", params={"as": who}) as answer:
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


async def do(http: aiohttp.ClientSession, what: str, **body: Any) -> dict[str, Any]:
    """Does something as a member."""
    async with http.post(f"/page/{what}", json=body) as answer:
        found: dict[str, Any] = await answer.json()
        return found


@pytest.mark.parametrize(
    ("who", "channels"),
    [
        ("admin", {"ops", "alerts", "random", "leads", "archive", "directmessage"}),
        ("dba", {"ops", "alerts", "random", "archive", "directmessage"}),
        ("guest", {"ops", "alerts", "random", "archive", "directmessage"}),
        ("stranger", {"ops", "directmessage"}),
    ],
)
async def test_everybody_sees_their_channels(
    http: aiohttp.ClientSession, who: str, channels: set[str]
) -> None:
    """Private channels are for those in them, and strangers see only what they were invited to."""
    assert {channel["name"] for channel in (await state(http, who))["channels"]} == channels


async def test_nobody_sees_what_is_for_another(http: aiohttp.ClientSession, client: AsyncWebClient) -> None:
    """Ephemeral messages, direct messages and private channels are not in the state of others."""
    await client.chat_postEphemeral(channel=OPS, user="U00000SRE1", text="for sre1 in ops")
    await client.chat_postMessage(channel="U00000SRE1", text="for sre1 directly")
    await do(http, "send", **{"as": "sre1"}, channel="leads", text="for leads")

    assert {m["text"] for m in (await state(http, "sre1"))["messages"]} == {
        "for sre1 in ops",
        "for sre1 directly",
        "for leads",
    }
    assert {m["text"] for m in (await state(http, "admin"))["messages"]} == {"for leads"}
    assert (await state(http, "dba"))["messages"] == []


async def test_the_stream_tells_a_member_only_what_that_member_sees(
    http: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    """The same rule for changes; the protocol, which is for developers, is left aside."""
    seen = await state(http, "dba")
    query = {"as": "dba", "run": seen["run"], "after": str(seen["number"])}
    async with http.ws_connect("/page/stream", params=query) as stream:
        assert (await stream.receive_json())["kind"] == "hello"
        await client.chat_postEphemeral(channel=OPS, user="U00000SRE1", text="for sre1")
        await do(http, "send", **{"as": "sre1"}, channel="leads", text="for leads")
        await client.chat_postMessage(channel=OPS, text="for all")
        texts = []
        while "for all" not in texts:
            change = await stream.receive_json(timeout=5)
            texts += [change["message"]["text"]] if change["kind"] == "message" else []
    assert texts == ["for all"]


async def test_nothing_is_lost_between_the_state_and_the_stream(
    http: aiohttp.ClientSession, client: AsyncWebClient
) -> None:
    """What happened after the state was read comes first in the stream, once, and with rising numbers."""
    seen = await state(http, "dba")
    for count in range(5):
        await client.chat_postMessage(channel=OPS, text=str(count))
    query = {"as": "dba", "run": seen["run"], "after": str(seen["number"])}
    async with http.ws_connect("/page/stream", params=query) as stream:
        await stream.receive_json()
        changes = [await stream.receive_json(timeout=5) for _ in range(10)]  # a message and a line for each
    numbers = [change["number"] for change in changes]
    assert [c["message"]["text"] for c in changes if c["kind"] == "message"] == list("01234")
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("wrong", [{"run": "another"}, {"after": "999999"}])
async def test_a_page_of_an_earlier_sandbox_is_told_to_begin_anew(
    http: aiohttp.ClientSession, wrong: dict[str, str]
) -> None:
    """Another run, or a number that was not reached yet: the changes between cannot be had."""
    seen = await state(http, "dba")
    query = {"as": "dba", "run": seen["run"], "after": str(seen["number"]), **wrong}
    async with http.ws_connect("/page/stream", params=query) as stream:
        assert await stream.receive_json(timeout=5) == {"kind": "reload"}


def test_the_feed_knows_what_it_has_forgotten() -> None:
    """Changes are numbered without gaps; what is not kept any more is not passed over in silence."""
    feed = Feed()
    for _ in range(5):
        feed.publish(Kind.CHANNEL, None)
    while len(feed.history) > 3:
        feed.history.popleft()
    after_two = feed.since(2)
    assert after_two is not None
    assert [change.number for change in after_two] == [3, 4, 5]
    assert feed.since(5) == []
    assert feed.since(1) is None
    assert feed.since(6) is None


async def test_tokens_are_never_shown(
    http: aiohttp.ClientSession, sandbox: Sandbox, app: AsyncApp, connected: list[AsyncSocketModeHandler]
) -> None:
    """Not in the protocol, the state or the stream: no token, no signature, no address that is a key."""

    @app.command("/maint")
    async def answer(ack: Any, respond: Any) -> None:
        await ack()
        await respond("done")

    seen = await state(http, "admin")
    query = {"as": "admin", "run": seen["run"], "after": str(seen["number"])}
    async with http.ws_connect("/page/stream", params=query) as stream:
        await do(http, "send", **{"as": "admin"}, channel=OPS, text=f"/maint health {sandbox.bot_token}")
        await sandbox.wait_for(lambda: sandbox.messages("ops", "admin"))
        shown = [json.dumps(await state(http, "admin"))]
        while '"kind": "message"' not in shown[-1]:
            shown.append(json.dumps(await stream.receive_json(timeout=5)))
    async with http.get("/page/protocol", params={"as": "admin"}) as answered:
        shown.append(await answered.text())
    everything = "\n".join(shown)

    assert "/maint health" in everything
    assert "response/" in everything
    payload = next(c.subject for c in sandbox.feed.history if c.kind is Kind.DELIVERED).payload
    for secret in (
        sandbox.bot_token,
        sandbox.app_token,
        sandbox.signing_secret,
        VERIFICATION_TOKEN,
        payload["response_url"],
    ):
        assert secret not in everything


async def test_signed_requests_are_shown_readable_and_without_secrets(
    http: aiohttp.ClientSession, sandbox: Sandbox
) -> None:
    """Delivery by HTTP: the form is taken apart, the signature and the token are left out."""
    sandbox.deliver_to("http://127.0.0.1:9/nobody")
    answer = await do(http, "send", **{"as": "admin"}, channel=OPS, text="/maint health app")
    async with http.get("/page/protocol", params={"as": "admin"}) as answered:
        lines = (await answered.json())["lines"]
    assert answer == {
        "ok": False,
        "error": "dispatch_failed",
        "text": '/maint failed with the error "dispatch_failed"',
    }
    request = next(line for line in lines if line["what"] == "request")
    assert request["title"] == "POST: /maint health app"
    assert request["data"]["body"]["token"] == "…"
    assert "X-Slack-Signature" not in request["data"]["headers"]
    assert lines[-1]["title"] == "slash_commands: dispatch_failed"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
@pytest.mark.parametrize("what", ["send", "click", "submit"])
async def test_another_site_can_do_nothing(
    http: aiohttp.ClientSession, sandbox: Sandbox, headers: dict[str, str], status: int, what: str
) -> None:
    """A rebound name, a foreign origin, a form: turned away before anything is done."""
    body = json.dumps({"as": "admin", "channel": OPS, "text": "hello"})
    headers = {"Content-Type": "application/json", **headers}
    async with http.post(f"/page/{what}", data=body, headers=headers) as answer:
        assert answer.status == status
    assert sandbox.messages("ops") == []


@pytest.mark.parametrize(
    "path", ["/", "/page/state?as=admin", "/page/protocol?as=admin", "/page/static/main.js"]
)
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_another_site_reads_nothing(
    http: aiohttp.ClientSession, path: str, headers: dict[str, str]
) -> None:
    """The same for what is only read."""
    async with http.get(path, headers=headers) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_another_site_does_not_listen(http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    """A WebSocket is not bound by the rules of fetch: the server looks at where it comes from."""
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        await http.ws_connect("/page/stream?as=admin&run=&after=0", headers=headers)


async def test_the_page_is_served_with_a_strict_policy(http: aiohttp.ClientSession) -> None:
    """Nothing from other hosts, no inline script or style, no frame around it, no markup from strings."""
    async with http.get("/") as answer:
        policy = answer.headers["Content-Security-Policy"]
        page = await answer.text()
    for rule in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ):
        assert rule in policy
    assert "unsafe" not in policy
    assert "development server" in page
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("send", {}),
        ("send", {"as": "eve", "channel": OPS, "text": "x"}),
        ("send", {"as": "maint", "channel": OPS, "text": "x"}),
        ("send", {"as": "gone", "channel": OPS, "text": "x"}),
        ("send", {"as": "admin", "channel": OPS, "text": 1}),
        ("send", {"as": "admin", "channel": OPS, "text": "x", "thread": "1.1"}),
        ("click", {"as": "admin", "view": "V0", "action_id": "a", "block_id": "b"}),
        ("submit", {"as": "admin", "view": "V0"}),
        ("upload", {"as": "admin", "name": "x", "content": "not base64"}),
        ("read", {"as": "admin", "channel": OPS, "ts": "1.1"}),
    ],
)
async def test_what_the_page_would_not_ask_is_refused(
    http: aiohttp.ClientSession, what: str, body: dict[str, Any]
) -> None:
    """Nobody can be the bot or somebody who left; a missing or wrong field is said."""
    async with http.post(f"/page/{what}", json=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["ok"] is False


async def test_nobody_fills_in_the_form_of_another(
    http: aiohttp.ClientSession, sandbox: Sandbox, client: AsyncWebClient
) -> None:
    """A view belongs to its member: for others it is not there."""
    view = {"type": "modal", "title": {"type": "plain_text", "text": "Mine"}, "blocks": []}
    opened = await client.views_open(trigger_id=sandbox.triggers.give("U00000SRE1"), view=view)
    for what in ("submit", "dismiss", "enter"):
        assert await do(http, what, **{"as": "sre2"}, view=opened["view"]["id"]) == {
            "ok": False,
            "text": "there is no such view",
        }
    assert len(sandbox.views("sre1")) == 1


async def test_an_open_page_does_not_hold_the_server_up(
    sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    """The sandbox stops at once, and tells the pages that it goes."""
    seen = await state(http, "admin")
    query = {"as": "admin", "run": seen["run"], "after": str(seen["number"])}
    async with http.ws_connect("/page/stream", params=query) as stream:
        await stream.receive_json()
        async with asyncio.timeout(0.9):
            stopping = asyncio.create_task(sandbox.server.stop())
            assert (await stream.receive()).data == aiohttp.WSCloseCode.GOING_AWAY
            await stream.close()
            await stopping


async def test_a_permalink_leads_to_the_message(http: aiohttp.ClientSession, client: AsyncWebClient) -> None:
    """chat.getPermalink gives an address that opens the page there."""
    posted = await client.chat_postMessage(channel=OPS, text="here")
    link = (await client.chat_getPermalink(channel=OPS, message_ts=posted["ts"]))["permalink"]
    async with http.get(link, allow_redirects=False) as answer:
        assert answer.status == 302
        assert answer.headers["Location"] == f"/#{OPS}/{posted['ts']}"
