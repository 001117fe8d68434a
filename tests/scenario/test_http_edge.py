"""The HTTP edge: what is not signed by Slack, or not a request of Slack's, stops here."""

import hashlib
import hmac
import json
import time
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.http import LARGEST_BODY
from bot.sandbox import Sandbox
from bot.slack.requests import is_signed
from runbooks.records.audit import Filter
from tests.scenario.conftest import Workplace, newest

BODY = b"command=%2Fmaint&text=whoami&team_id=T00SANDBOX&user_id=U0000ADMIN&trigger_id=1"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def by_http(workplace: Workplace) -> Workplace:
    """Maint, to which Slack sends signed HTTP requests."""
    workplace.settings["slack"] = {"mode": "http", "channels": {"ops": "C000000OPS"}}
    workplace.settings["http"] = {"port": 0}
    workplace.settings["grants"] = [{"role": "admin", "commands": ["*"]}]
    return workplace


def sign(secret: str, timestamp: str, body: bytes) -> str:
    signed = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def headers(
    secret: str, body: bytes, timestamp: str | None = None, content_type: str = FORM
) -> dict[str, str]:
    timestamp = timestamp or str(int(time.time()))
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": sign(secret, timestamp, body),
        "Content-Type": content_type,
    }


async def test_what_slack_did_not_sign_is_refused(sandbox: Sandbox, by_http: Workplace) -> None:
    """Every wrong, missing, old or malformed signature or timestamp is a 401, and nothing happens."""
    secret, now = sandbox.signing_secret, int(time.time())
    good = headers(secret, BODY)
    forged = [
        {"Content-Type": FORM},
        {**good, "X-Slack-Signature": ""},
        {**good, "X-Slack-Signature": "v0=" + "0" * 64},
        {**good, "X-Slack-Signature": good["X-Slack-Signature"].upper()},
        {**good, "X-Slack-Signature": "v1" + good["X-Slack-Signature"][2:]},
        {**good, "X-Slack-Signature": "v0=" + "é" * 64},
        headers("another secret", BODY),
        headers(secret, BODY + b"&text=other"),
        headers(secret, BODY, str(now - 301)),
        headers(secret, BODY, str(now + 600)),
        *(
            headers(secret, BODY, odd)
            for odd in ("now", "1e9", f"{now}.0", f"+{now}", "9" * 5000, "-1", "0x10", f"{now},{now}")
        ),
        {**good, "X-Slack-Request-Timestamp": ""},
    ]
    async with by_http.serving():
        statuses = [(await sandbox.request(BODY, each)).status for each in forged]
        events = await by_http.audit()

    assert statuses == [401] * len(forged)
    assert events == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", FORM),
        (b"\xff\xfe=1", FORM),
        (b"payload={", FORM),
        (b"payload=[1]", FORM),
        (b"payload=" + quote_plus("[" * 100_000).encode(), FORM),
        (b"a=%ff", FORM),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"\xff", "application/json"),
        (b"<x/>", "application/xml"),
        (b"&".join(b"a=%d" % n for n in range(1001)), FORM),
        (b"payload={}&payload=[", FORM),
        (b'{"type":"event_callback","event":"x"}', "application/json"),
        (b'{"authorizations":5}', "application/json"),
        (b'{"enterprise":5}', "application/json"),
        (b'{"type":"block_actions","actions":[]}', "application/json"),
        (b"payload=" + quote_plus('{"type":"view_submission","view":5}').encode(), FORM),
    ],
)
async def test_a_malformed_body_is_a_bad_request(
    sandbox: Sandbox, by_http: Workplace, body: bytes, content_type: str
) -> None:
    """A signed body that is no request of Slack's is a 4xx without a trace, never a 500."""
    async with by_http.serving():
        answer = await sandbox.request(body, headers(sandbox.signing_secret, body, content_type=content_type))

    assert answer.status == 400
    assert "Traceback" not in answer.body


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_body_is_read_as_it_came(sandbox: Sandbox, by_http: Workplace, coding: str) -> None:
    """A body is never unpacked, so one that cannot be is no error of ours: its signature is checked first."""
    packed = {**headers(sandbox.signing_secret, BODY), "Content-Encoding": coding}
    async with by_http.serving():
        signed = await sandbox.request(BODY, packed)
        unsigned = await sandbox.request(BODY + b"x", packed)

    assert (signed.status, unsigned.status) == (200, 401)


async def test_a_command_may_have_any_word_in_it(sandbox: Sandbox, by_http: Workplace) -> None:
    """No word of a command, not even `payload`, is taken for a part of the protocol."""
    async with by_http.serving():
        delivery = await sandbox.slash("admin", "ops", "/maint help payload")
        await sandbox.wait_for(lambda: newest(sandbox, "'payload'", as_user="admin"))

    assert delivery.status == 200


@pytest.mark.parametrize(
    ("channel", "name"), [("D0DIRECT", "directmessage"), ("C0SEVERAL", "mpdm-admin--sre1-1")]
)
async def test_every_channel_is_no_direct_message(
    sandbox: Sandbox, by_http: Workplace, channel: str, name: str
) -> None:
    """A grant for every channel allows no direct message, not even one of several people."""
    body = BODY.replace(b"whoami", b"health") + f"&channel_id={channel}&channel_name={name}".encode()
    async with by_http.serving():
        await sandbox.request(body, headers(sandbox.signing_secret, body))
    (event,) = await by_http.audit(Filter(action="command.health"))

    assert (event.event.outcome, event.event.channel) == ("denied", channel)


async def test_a_body_that_is_too_large_is_not_read(sandbox: Sandbox, by_http: Workplace) -> None:
    """More than a megabyte is refused before it is looked at."""
    body = b"text=" + b"x" * (LARGEST_BODY + 1)
    async with by_http.serving():
        answer = await sandbox.request(body, headers(sandbox.signing_secret, body))

    assert answer.status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"ssl_check=1&token=x",
        json.dumps({"type": "url_verification", "challenge": "c3d4"}).encode(),
        json.dumps({"type": "event_callback", "event": {"type": "unheard_of"}, "team_id": "T1"}).encode(),
        b"payload=" + quote_plus(json.dumps({"type": "block_actions", "actions": [{}]})).encode(),
        b"payload=" + quote_plus(json.dumps({"type": "view_submission"})).encode(),
        b"command=%2Funheard&team_id=T00SANDBOX&user_id=U0000ADMIN",
        b"command=%2Fmaint",
    ],
)
async def test_signed_requests_that_nobody_asked_for_do_no_harm(
    sandbox: Sandbox, by_http: Workplace, body: bytes
) -> None:
    """What is signed but unknown, or lacks what it should have, is never a 500."""
    kind = "application/json" if body.startswith(b"{") else FORM
    async with by_http.serving():
        answer = await sandbox.request(body, headers(sandbox.signing_secret, body, content_type=kind))

    assert answer.status in (200, 400, 404)


async def test_a_good_request_is_taken(sandbox: Sandbox, by_http: Workplace) -> None:
    """The fixture's request, rightly signed, is answered: the refusals above are not for another reason."""
    async with by_http.serving():
        delivery = await sandbox.slash("admin", "ops", "/maint whoami")
        await sandbox.wait_for(lambda: newest(sandbox, "Roles: admin", as_user="admin"))

    assert delivery.status == 200


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40), st.text(max_size=80), st.binary(max_size=200))
def test_no_header_makes_the_check_raise(timestamp: str, signature: str, body: bytes) -> None:
    """Whatever stands in the headers, the answer is no, not an exception."""
    assert not is_signed("secret", timestamp, signature, body, time.time())


@given(st.binary(max_size=200), st.integers(-300, 300))
def test_what_is_signed_within_five_minutes_is_taken(body: bytes, skew: int) -> None:
    """The right signature is accepted within the skew that Slack's documentation names."""
    now = 1_700_000_000
    timestamp = str(now + skew)

    assert is_signed("secret", timestamp, sign("secret", timestamp, body), body, now)


async def test_slack_may_make_sure_of_the_address_for_events(sandbox: Sandbox, by_http: Workplace) -> None:
    """Before Slack sends events somewhere it asks for its challenge back; unsigned nobody gets it."""
    body = json.dumps({"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"}).encode()
    signed = headers(sandbox.signing_secret, body, content_type="application/json")
    async with by_http.serving():
        answer = await sandbox.request(body, signed)
        forged = await sandbox.request(body, {**signed, "X-Slack-Signature": "v0=" + "0" * 64})

    assert (answer.status, "3eZbrw1a" in answer.body) == (200, True)
    assert (forged.status, "3eZbrw1a" in forged.body) == (401, False)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "user_change", "user": "U0000ADMIN"},
        {"type": "user_change"},
        {"type": "user_change", "user": {"id": ["U0000ADMIN"]}},
        {"type": "subteam_updated", "subteam": ["S1"]},
        {"type": "subteam_members_changed", "subteam_id": {"a": 1}},
        {"type": "subteam_updated", "subteam": {"id": "S" * 5000}},
    ],
)
async def test_an_event_of_an_odd_shape_does_no_harm(
    sandbox: Sandbox, by_http: Workplace, event: dict[str, object]
) -> None:
    """Signed, but nothing that Slack would send: no 5xx, and who asks next is answered."""
    payload = {"type": "event_callback", "team_id": "T00SANDBOX", "event_id": "Ev1", "event": event}
    body = json.dumps(payload).encode()
    async with by_http.serving():
        signed = headers(sandbox.signing_secret, body, content_type="application/json")
        answer = await sandbox.request(body, signed)
        await sandbox.slash("admin", "ops", "/maint whoami")
        await sandbox.wait_for(lambda: newest(sandbox, "admin", as_user="admin"))

    assert answer.status < 500
