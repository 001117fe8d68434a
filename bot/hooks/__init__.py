"""What other systems tell of trouble over HTTP. One file for each kind of sender, one line here."""

from typing import Annotated, Any

from pydantic import Field

from bot.hooks.alertmanager import Alertmanager
from bot.hooks.generic import Json
from bot.hooks.grafana import Grafana


def _without_a_type(schema: dict[str, Any]) -> None:
    """For editors: the type may be left out, and then several kinds may fit."""
    schema.pop("discriminator", None)
    schema["anyOf"] = schema.pop("oneOf")


#: Every kind of hook that maint.yaml may have, told apart by its `type`.
AnyHook = Annotated[
    Alertmanager | Grafana | Json, Field(discriminator="type", json_schema_extra=_without_a_type)
]
