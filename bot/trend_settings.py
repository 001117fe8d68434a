"""`trends:` in maint.yaml: how long measurements are kept, and how much they may take."""

from typing import Annotated

from pydantic import Field, model_validator

from runbooks.spec.model import Duration, Spec, at_least, parse_duration, up_to
from runbooks.watch.thinning import Keep


class TrendSettings(Spec):
    """Every result for `full`, then the hours, then the days; and no more than `largest_mb` in all."""

    full: Annotated[Duration, at_least("1d"), up_to("366d")] = parse_duration("14d")
    hourly: Annotated[Duration, at_least("1d"), up_to("1100d")] = parse_duration("90d")
    daily: Annotated[Duration, at_least("1d"), up_to("3660d")] = parse_duration("730d")
    largest_mb: int = Field(default=1000, ge=10, le=1_000_000)

    @model_validator(mode="after")
    def _coarser_for_longer(self) -> "TrendSettings":
        if not self.full <= self.hourly <= self.daily:
            raise ValueError("`full` is not longer than `hourly`, nor that than `daily`")
        return self

    def keep(self) -> Keep:
        """The same for whoever thins."""
        return Keep(
            full=self.full, hourly=self.hourly, daily=self.daily, most_bytes=self.largest_mb * 1_000_000
        )
