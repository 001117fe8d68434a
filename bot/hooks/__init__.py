"""What other systems tell of trouble over HTTP. One file for each kind of sender, one line here."""

from typing import Annotated

from pydantic import Field

from bot.hooks.alertmanager import Alertmanager
from bot.hooks.generic import Json
from bot.hooks.grafana import Grafana

#: Every kind of hook that maint.yaml may have, told apart by its `type`.
AnyHook = Annotated[Alertmanager | Grafana | Json, Field(discriminator="type")]
