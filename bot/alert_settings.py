"""`alerts:` in maint.yaml: where they are shown, how many have a message of their own, how long one stays."""

from typing import Annotated

from pydantic import Field

from runbooks.spec.model import Duration, Name, Spec, Timezone, at_least, parse_duration, up_to


class AlertSettings(Spec):
    """Where alerts go. `storm`: how many of one minute and channel have messages of their own. `timezone`:
    whose morning "until tomorrow" means. `stale`: how long what a runbook without a schedule found is worth
    something. `keep`: how long what is over stays in the database."""

    channel: Name | None = None
    storm: int = Field(default=30, ge=1, le=1000)
    timezone: Timezone = "UTC"
    stale: Annotated[Duration, at_least("1m"), up_to("366d")] = parse_duration("1d")
    keep: Annotated[Duration, at_least("7d")] = parse_duration("180d")
