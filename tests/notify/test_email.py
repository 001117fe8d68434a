"""E-mail, by a real SMTP server."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from bot.notify.delivery import Means, NotDelivered
from bot.notify.email import Email, compose
from tests.notify.conftest import NOON, notice


class Mailbox:
    """What arrived, and what the server answers instead."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.encrypted: list[bool] = []
        self.refuse = ""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    @property
    def messages(self) -> list[Message]:
        return [message_from_bytes(bytes(each.content or b""), policy=default) for each in self.envelopes]


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"maint", b"secret"), handled=False)


@pytest.fixture
async def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def server(mailbox: Mailbox, tmp_path: Path) -> AsyncIterator[tuple[int, str]]:
    """A server that demands STARTTLS and a login: its port, and the file of its authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with listening(
        mailbox,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=_authenticate,
    ) as port:
        yield port, str(tmp_path / "ca.pem")


@asynccontextmanager
async def listening(mailbox: Mailbox, **options: Any) -> AsyncIterator[int]:
    """A server on a port of its own."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop, **options), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def service(server: tuple[int, str], **changes: Any) -> Email:
    fields: dict[str, Any] = {
        "type": "email", "host": "127.0.0.1", "port": server[0], "ca_file": server[1], "user": "maint",
        "password": SecretStr("secret"), "from": "maint@example.com",
    }  # fmt: skip
    return Email(**fields | changes)


async def test_it_arrives_encrypted_at_everybody_who_is_named(
    mailbox: Mailbox, server: tuple[int, str], means: Means
) -> None:
    """One message, with an id by which two of them are known as one."""
    await service(server).deliver(notice("email"), means)

    (message,) = mailbox.messages
    assert mailbox.encrypted == [True]
    assert mailbox.envelopes[0].rcpt_tos == ["uann@example.com", "ubob@example.com"]
    assert message["Subject"] == "[Maint] critical: app is down"
    assert message["Message-ID"] == f"<{'a1' * 32}@maint.invalid>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "https://slack.example.com/p1" in str(message.get_content())  # type: ignore[attr-defined]


async def test_a_list_of_its_own_goes_before_whom_the_policy_names(
    mailbox: Mailbox, server: tuple[int, str], means: Means
) -> None:
    """Also when it is over."""
    await service(server, to=("ops@example.com",)).deliver(notice("email", "resolve"), means)

    assert mailbox.envelopes[0].rcpt_tos == ["ops@example.com"]
    assert mailbox.messages[0]["Subject"] == "[Maint] Over: critical: app is down"


async def test_a_wrong_password_stays_wrong_and_is_not_said(server: tuple[int, str], means: Means) -> None:
    """It is not tried again."""
    with pytest.raises(NotDelivered, match="refused the user or the password") as caught:
        await service(server, password=SecretStr("hunter2")).deliver(notice("email"), means)

    assert caught.value.for_good
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


async def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    mailbox: Mailbox, server: tuple[int, str], means: Means
) -> None:
    """Neither the message nor the password."""
    with pytest.raises(NotDelivered, match="certificate"):
        await service(server, ca_file=None).deliver(notice("email"), means)

    assert mailbox.envelopes == []


@pytest.mark.parametrize(("answer", "for_good"), [("450 try later", False), ("550 nobody here", True)])
async def test_a_server_says_whether_it_is_worth_another_try(
    mailbox: Mailbox, server: tuple[int, str], means: Means, answer: str, for_good: bool
) -> None:
    """4xx passes, 5xx does not."""
    mailbox.refuse = answer
    with pytest.raises(NotDelivered) as caught:
        await service(server).deliver(notice("email"), means)

    assert caught.value.for_good is for_good


async def test_a_server_without_tls_gets_nothing(mailbox: Mailbox, means: Means) -> None:
    """Unless maint.yaml says so."""
    plain = {"user": None, "password": None, "ca_file": None}
    async with listening(mailbox) as port:
        with pytest.raises(NotDelivered, match="STARTTLS"):
            await service((port, ""), **plain).deliver(notice("email"), means)
        await service((port, ""), tls="none", **plain).deliver(notice("email"), means)

    assert mailbox.encrypted == [False]


@given(title=st.text(max_size=300), text=st.text(max_size=300))
def test_no_text_becomes_a_header(title: str, text: str) -> None:
    """Whatever an alert is called: no line of it is a header, and no other recipient comes of it."""
    means = Means(session=None, addresses=None, now=lambda: NOON)  # type: ignore[arg-type]
    hostile = f"{title}\r\nBcc: evil@example.com\r\n\r\n{title}"
    message = compose(notice("email", title=hostile, text=text), means, "m@example.com", ["a@example.com"])
    read = message_from_bytes(bytes(message), policy=default)

    assert read["Bcc"] is None
    assert read["To"] == "a@example.com"
    assert sorted(set(read.keys())) == sorted(set(message.keys()))


@pytest.mark.parametrize(
    "address", ["ops", "ops@example.com\nBcc: x@y.z", "a b@example.com", "öps@example.com"]
)
def test_an_address_is_one_address(address: str) -> None:
    """With nothing else in it."""
    with pytest.raises(ValidationError):
        service((25, ""), to=(address,))
