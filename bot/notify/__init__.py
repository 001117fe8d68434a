"""Who hears of trouble beside the cards: Slack, pagers, webhooks, e-mail. One file each, one line here."""

from typing import Annotated

from pydantic import Field

from bot.notify.email import Email
from bot.notify.opsgenie import Opsgenie
from bot.notify.pagerduty import PagerDuty
from bot.notify.webhook import Webhook

#: Every kind of service that maint.yaml may name, told apart by its `type`.
AnyService = Annotated[PagerDuty | Opsgenie | Webhook | Email, Field(discriminator="type")]
