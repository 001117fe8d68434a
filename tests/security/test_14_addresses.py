"""14: no check calls what only serves to steal credentials, however it is written. Also kept by
tests/steps/test_address.py, tests/steps/test_http_down.py (rebinding, proxies),
tests/steps/test_http_redirects.py and tests/slack/test_app.py. Private and loopback addresses may be
called: maint.yaml alone names targets, and with `via:` the machine that calls for Maint."""

import socket

import pytest

from bot.slack.client import SlackClient
from runbooks.errors import SlackError, StepError
from runbooks.steps.address import forbidden, look_up
from tests.hooks.sending import alert, payload, send
from tests.scenario.floor import Floor
from tests.scenario.test_hooks import hooked, rows, start

#: The same service of the cloud, and others that no target has.
HOSTILE = (
    "::ffff:a9fe:a9fe",
    "0:0:0:0:0:ffff:169.254.169.254",
    "::a9fe:a9fe",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe:0:0:0:0:1",
    "fe80::a9fe:a9fe%lo",
    "fd20:ce::254",
    "168.63.129.16",
    "::ffff:100.100.100.200",
    "0.0.0.1",
    "::ffff:0:0",
    "239.255.255.250",
    "ff05::2",
    "255.255.255.255",
    "::ffff:255.255.255.255",
)
#: As a browser or a C library would read them.
DISGUISED = ("2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0xa9.254.0xa9.254")
#: Where an answer might be sent to that is not Slack's.
ANSWERS = (
    "http://169.254.169.254/latest/meta-data",
    "https://hooks.slack.com.evil.example/x",
    "https://evil.example/.slack.com",
    "http://hooks.slack.com/commands/1",
    "https://hooks.slack.com@evil.example/",
    "file:///etc/passwd",
    "",
    "https://evilslack.com/x",
    "//hooks.slack.com/x",
    "https://slack.com.@evil.example/x",
)


@pytest.mark.parametrize("address", HOSTILE)
def test_an_address_of_no_target_is_never_called(address: str) -> None:
    """In whatever notation."""
    assert forbidden(address)


@pytest.mark.parametrize("host", DISGUISED)
async def test_a_disguised_address_is_seen(host: str) -> None:
    """What the system makes of it is what is judged, and what is called."""
    with pytest.raises((StepError, socket.gaierror)):
        await look_up(host, 80)


@pytest.mark.parametrize("url", ANSWERS)
async def test_an_answer_goes_to_slack_and_nowhere_else(url: str) -> None:
    """The address comes with the request, and is looked at before anything is sent there."""
    async with SlackClient("xoxb-1", "https://slack.com/api/") as slack:
        with pytest.raises(SlackError, match="no address of Slack's"):
            slack.webhook(url)


async def test_no_address_in_an_alert_from_outside_is_called(floor: Floor) -> None:
    """Whatever a payload names, nothing is fetched; a silence goes where maint.yaml says, or nowhere."""
    hooked(floor, alertmanager={}, grafana={})
    url, before = floor.site.url, floor.site.hits
    links = {name: f"{url}/{name}" for name in ("generatorURL", "silenceURL", "dashboardURL", "panelURL")}
    notes = {"summary": url, "runbook_url": f"{url}/runbook", "api": url}
    body = payload([alert({"instance": url, "api": url}, start(floor), annotations=notes, **links)])
    async with floor.open() as server:
        for hook in ("alertmanager", "grafana"):
            assert (await send(server, {**body, "externalURL": url, "imageURL": url}, hook))[0] == 200
        await floor.card("Burning", "alerts")
        for row in await rows(floor):
            await floor.type("admin", f"alerts silence {row.id[-8:]} 2h because of this test")
            await floor.told("admin", f"{row.source!r} cannot be told to be silent")

    assert floor.site.hits == before
