"""33: whoever answers proves who they are, and has a limited time. Also kept by tests/test_libpq.py
(PostgreSQL), tests/steps/test_http_tls.py, tests/steps/test_ssh.py (host keys),
tests/steps/test_redis_ping.py, tests/steps/test_via_postgres.py and tests/steps/test_via_redis.py (through
another machine), tests/steps/kubernetes/test_client.py, tests/slack/test_board.py; pools and limits:
docs/database.md. Where a target's TLS is not verified, `verify_tls: false` in maint.yaml says so."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from bot.slack.app import who_are_we
from bot.slack.client import TIMEOUT, SlackClient
from runbooks.errors import SlackError
from tests.security.files import code_faults, program_faults, read
from tests.steps.serving import says, serve

NOW = datetime.now(UTC)
#: What a program would say that asks nobody who they are.
CODE = (
    "httpx.get(url, verify=False)",
    "session.get(url, ssl=False)",
    "context.verify_mode = ssl.CERT_NONE",
    "boto3.client('s3', verify=False)",
    "asyncssh.connect(host, known_hosts=None)",
    "ssl._create_unverified_context()",
    "context(check_hostname=False)",
)
#: Certificates that are not Slack's: the name in each, and its last day.
HOSTILE = {
    "by nobody that is known": ("127.0.0.1", NOW + timedelta(days=9)),
    "for another name": ("slack.com.evil.example", NOW + timedelta(days=9)),
    "that has expired": ("127.0.0.1", NOW - timedelta(days=1)),
}
#: Where verification is switched off, and what for.
ALLOWED = {"runbooks/steps/web.py"}


@pytest.mark.parametrize("certificate", HOSTILE.values(), ids=HOSTILE)
async def test_nobody_passes_for_slack(
    certificate: tuple[str, datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is not sent to whom no certificate vouches for."""
    monkeypatch.setattr("bot.slack.client.ATTEMPTS", 0)  # it would only ask again
    name, ends = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(name, not_before=NOW - timedelta(days=9), not_after=ends).configure_cert(context)
    async with serve(tls=context, root=says("{}")) as url, SlackClient("xoxb-1", f"{url}/api/") as slack:
        with pytest.raises(SlackError):
            await who_are_we(slack.web)


@pytest.mark.parametrize("code", CODE)
def test_code_that_asks_nobody_would_be_seen(code: str) -> None:
    """The look below finds what it looks for."""
    assert code_faults(code)


def test_nothing_is_called_without_asking_who_answers() -> None:
    """Nowhere in the program, but where maint.yaml says so of one target."""
    of_tls = {"TLS is not verified", "any host is the right one"}
    found = {name for name, faults in program_faults().items() if faults & of_tls}

    assert found <= ALLOWED
    assert all("verify_tls" in read(name) for name in found)


def test_no_call_of_slack_waits_for_ever() -> None:
    """In all, and to connect."""
    assert TIMEOUT.total is not None
    assert TIMEOUT.total <= 30
    assert TIMEOUT.connect is not None
