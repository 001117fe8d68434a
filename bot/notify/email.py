"""E-mail by SMTP, with TLS unless maint.yaml says otherwise."""

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from bot.notify.delivery import Means, NotDelivered
from runbooks.records.notices import RESOLVE, NoticeRow
from runbooks.spec.model import Spec
from runbooks.steps.holders import is_person
from runbooks.visible import one_line

#: Seconds that the server has for each of its answers.
_TIMEOUT = 15.0
_SUBJECT = 200


def _address(value: str) -> str:
    if "@" not in value or not is_person(value) or not value.isascii():
        raise ValueError("an e-mail address looks like ops@example.com")
    return value


Address = Annotated[str, AfterValidator(_address)]


class Email(Spec):
    """A mail server. Without `to` it goes to whom the policy names."""

    type: Literal["email"]
    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str | None = None
    user: str | None = None
    password: SecretStr | None = None
    from_: Address = Field(alias="from")
    to: tuple[Address, ...] = Field(default=(), strict=False)

    def secrets(self) -> tuple[str, ...]:
        """The password."""
        return (self.password.get_secret_value(),) if self.password is not None else ()

    async def deliver(self, notice: NoticeRow, means: Means) -> None:
        """Sends one message to everybody. Raises NotDelivered."""
        to = self.to or await means.addresses(notice.body.get("who") or ())
        if not to:
            raise NotDelivered("nobody who is named there has an e-mail address", for_good=True)
        message = compose(notice, means, self.from_, to)
        # smtplib blocks, and gives up after its timeout: a thread of its own cannot be stopped before.
        await asyncio.to_thread(self._send, message)

    def _send(self, message: EmailMessage) -> None:
        try:
            with self._connect() as server:
                if self.user is not None:
                    server.login(self.user, self.password.get_secret_value() if self.password else "")
                server.send_message(message)
        except smtplib.SMTPAuthenticationError as error:
            raise NotDelivered(f"{self.host} refused the user or the password", for_good=True) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            raise NotDelivered(
                f"{self.host} refused every recipient", for_good=min(codes, default=500) >= 500
            ) from error
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(
                f"{self.host} answered {error.smtp_code}", for_good=error.smtp_code >= 500
            ) from error
        except smtplib.SMTPNotSupportedError as error:
            raise NotDelivered(
                f"{self.host} offers no STARTTLS or no login: see `tls`", for_good=True
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise NotDelivered(f"the certificate of {self.host} is not right: see `ca_file`") from error
        except (smtplib.SMTPException, OSError) as error:
            raise NotDelivered(f"{self.host} cannot be reached: {type(error).__name__}") from error

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self.ca_file) if self.tls != "none" else None
        if self.tls == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=_TIMEOUT, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT)
        if self.tls == "starttls":
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server


def compose(notice: NoticeRow, means: Means, from_: str, to: Sequence[str]) -> EmailMessage:
    """The message. Its id is that of the notice: who gets it twice sees it once."""
    body = notice.body
    over = "Over: " if body["action"] == RESOLVE else ""
    message = EmailMessage(policy=SMTP)
    # one_line: a header that went on in another line would be another header.
    subject = one_line(f"[Maint] {over}{body['severity']}: {body['title']}", _SUBJECT)
    message["Subject"] = subject
    message["From"] = from_
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(means.now())
    message["Message-ID"] = f"<{notice.id}@maint.invalid>"
    message["Auto-Submitted"] = "auto-generated"
    lines = [str(body["text"]), "", *_facts(body), *([means.link] if means.link else [])]
    message.set_content("\n".join(lines))
    return message


def _facts(body: object) -> list[str]:
    assert isinstance(body, dict)
    named = ("summary", "severity", "target", "environment", "runbook", "step", "value", "opened_at")
    return [f"{name}: {body[name]}" for name in named if body.get(name) not in (None, "")]
