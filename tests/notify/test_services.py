"""What services get, held against what their vendors document."""

import base64
import hmac
from hashlib import sha256

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from bot.notify.delivery import Means, NotDelivered
from bot.notify.opsgenie import Opsgenie
from bot.notify.pagerduty import PagerDuty
from bot.notify.webhook import Webhook
from tests.notify.conftest import NOON, Vendor, notice

KEY = "r" * 32


def pagerduty(them: Vendor, key: str = KEY) -> PagerDuty:
    return PagerDuty(
        type="pagerduty",
        routing_key=SecretStr(key),
        api_key=SecretStr("restkey"),
        url=them.url,
        api_url=them.url,
    )


def opsgenie(them: Vendor, key: str = "ogkey") -> Opsgenie:
    return Opsgenie(type="opsgenie", api_key=SecretStr(key), url=them.url)


async def test_an_incident_of_pagerduty_lives_as_long_as_its_alert(them: Vendor, means: Means) -> None:
    """Triggered twice it is one; acknowledged and resolved by its key."""
    service = pagerduty(them)
    for action in ("trigger", "trigger", "acknowledge", "resolve"):
        await service.deliver(notice(action=action), means)

    assert them.incidents == {"maint-alert-01jd": "resolved"}
    first = them.calls[0][3]
    assert first["payload"]["summary"] == "app is down"
    assert first["payload"]["timestamp"] == NOON.isoformat()
    assert first["links"] == [{"href": "https://slack.example.com/p1", "text": "The card in Slack"}]
    assert set(them.calls[3][3]) == {"routing_key", "event_action", "dedup_key"}


async def test_an_alert_of_opsgenie_lives_as_long_as_its_alert(them: Vendor, means: Means) -> None:
    """By its alias; the key travels in a header only."""
    service = opsgenie(them)
    for action in ("trigger", "acknowledge", "resolve"):
        await service.deliver(notice("opsgenie", action), means)

    assert them.incidents == {"maint-alert-01jd": "closed"}
    assert them.calls[0][3]["priority"] == "P1"
    assert them.calls[1][3]["user"] == "ann"
    assert "ogkey" not in str([call[3] for call in them.calls])


async def test_a_title_of_any_length_is_taken(them: Vendor, means: Means) -> None:
    """It is cut to what each takes."""
    await pagerduty(them).deliver(notice(title="x" * 5000), means)
    await opsgenie(them).deliver(notice("opsgenie", title="x" * 5000, text="y" * 50_000), means)

    assert set(them.incidents.values()) == {"triggered"}


async def test_who_is_on_call_elsewhere_is_asked_at_that_moment(them: Vendor, means: Means) -> None:
    """The first level of PagerDuty's schedule, and everybody in Opsgenie's."""
    assert await pagerduty(them).on_call("PABC123", means) == ("sre1@example.com",)
    assert await opsgenie(them).on_call("ops schedule", means) == ("sre2@example.com",)
    assert them.calls[0][1].startswith("/oncalls?schedule_ids")
    assert them.calls[1][1].startswith("/v2/schedules/ops%20schedule/on-calls")


@pytest.mark.parametrize(
    ("answer", "for_good", "seconds"),
    [
        (web.Response(status=429, headers={"Retry-After": "30"}), False, 30.0),
        (web.Response(status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), False, None),
        (web.Response(status=500), False, None),
        (web.Response(status=403, text="no"), True, None),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), True, None),
    ],
)
async def test_an_answer_says_whether_it_is_worth_another_try(
    them: Vendor, means: Means, answer: web.Response, for_good: bool, seconds: float | None
) -> None:
    """Their trouble passes; ours does not. A redirect is not followed: the key would go along."""
    them.trouble = [answer]
    with pytest.raises(NotDelivered) as caught:
        await pagerduty(them).deliver(notice(), means)

    assert (caught.value.for_good, caught.value.seconds) == (for_good, seconds)
    assert len(them.calls) == 1


async def test_a_refusal_is_told_without_the_key(them: Vendor, means: Means) -> None:
    """PagerDuty says what is wrong, and that is said."""
    with pytest.raises(NotDelivered, match="Length of 'routing_key' is incorrect") as caught:
        await pagerduty(them, "hunter2").deliver(notice(), means)

    assert caught.value.for_good
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(pagerduty(them, "hunter2"))


async def test_nobody_there_is_worth_another_try(means: Means) -> None:
    """The network is down: it is tried again."""
    service = Opsgenie(type="opsgenie", api_key=SecretStr("k"), url="http://127.0.0.1:1")
    with pytest.raises(NotDelivered, match="cannot be reached") as caught:
        await service.deliver(notice("opsgenie"), means)

    assert not caught.value.for_good


async def test_a_webhook_is_signed_as_standard_webhooks_are(them: Vendor, means: Means) -> None:
    """Whoever knows the secret can tell that it is ours, that it is whole, when it was made, and whether it
    came before."""
    secret = "a-shared-secret-of-32-characters"
    service = Webhook(type="webhook", url=f"{them.url}/hook", secret=SecretStr(secret))
    await service.deliver(notice("webhook"), means)

    headers, said = them.calls[0][2], them.calls[0][3]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + them.raw
    expected = base64.b64encode(hmac.digest(secret.encode(), signed, sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == "a1" * 32
    assert headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert (said["action"], said["link"]) == ("trigger", "https://slack.example.com/p1")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.example.com",
        "https://",
        "https://u:p@x.example.com",
        "http://x.example.com",
        "https://a b",
        "",
    ],
)
def test_an_address_that_would_give_things_away_is_refused(url: str) -> None:
    """No password in it, and no plain http to another machine."""
    with pytest.raises(ValidationError):
        Webhook(type="webhook", url=url, secret=SecretStr("s" * 16))
