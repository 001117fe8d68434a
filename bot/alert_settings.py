"""`alerts:` in maint.yaml: where alerts are shown, and how many have a message of their own."""

from pydantic import Field

from runbooks.spec.model import Name, Spec, Timezone


class AlertSettings(Spec):
    """Where alerts go. `storm`: how many of one minute and channel have messages of their own. `timezone`:
    whose morning "until tomorrow" means."""

    channel: Name | None = None
    storm: int = Field(default=30, ge=1, le=1000)
    timezone: Timezone = "UTC"
