"""A signed webhook: JSON to an address of yours, signed as https://www.standardwebhooks.com has it."""

import base64
import hmac
import json
from hashlib import sha256
from typing import Literal

from pydantic import Field, SecretStr

from bot.notify.addresses import ServiceUrl
from bot.notify.delivery import Means, post
from runbooks.records.notices import NoticeRow
from runbooks.spec.model import Spec


class Webhook(Spec):
    """Where it is sent, and the secret that both sides know."""

    type: Literal["webhook"]
    url: ServiceUrl
    secret: SecretStr = Field(min_length=16)

    def secrets(self) -> tuple[str, ...]:
        """The shared secret."""
        return (self.secret.get_secret_value(),)

    async def deliver(self, notice: NoticeRow, means: Means) -> None:
        """Sends it. `webhook-id` is the same however often it is sent. Raises NotDelivered."""
        content = {**notice.body, "link": means.link}
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        moment = str(int(means.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Maint",
            "webhook-id": notice.id,
            "webhook-timestamp": moment,
            "webhook-signature": signature(self.secret.get_secret_value(), notice.id, moment, data),
        }
        await post(means, f"the webhook {notice.target}", self.url, data=data, headers=headers)


def signature(secret: str, id_: str, moment: str, data: bytes) -> str:
    """`v1,…` of `ID.MOMENT.DATA`, an HMAC-SHA256 with the secret's bytes."""
    signed = b".".join([id_.encode(), moment.encode(), data])
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), signed, sha256)).decode()
