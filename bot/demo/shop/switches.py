"""How the shop is told to behave: slow, failing, leaking, and how much of the traffic version 2 gets."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

#: A release of version 2 that cannot serve anybody: for seeing how a rollout finds that out.
BROKEN_RELEASE = "2.0.1"

Percent = Annotated[int, Field(ge=0, le=100)]


class Switches(BaseModel):
    """Every switch, as it stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Milliseconds that every answer comes later.
    slow_ms: Annotated[int, Field(ge=0, le=10_000)] = 0
    #: Percent of the pages that are answered with 500.
    failing_percent: Percent = 0
    #: Whether connections to the database are kept, each in an open transaction, instead of given back.
    leaking: bool = False
    #: Percent of the requests that version 2 answers; version 1 has the rest.
    weight_percent: Percent = 0
    #: How many requests are answered at the same time.
    workers: Annotated[int, Field(ge=1, le=50)] = 8
    #: The release that version 2 is.
    release: Annotated[str, Field(pattern=r"^\d{1,4}\.\d{1,4}\.\d{1,4}$")] = "2.0.0"


class Switchboard:
    """The switches of one shop. A shop without a database has nothing to leak."""

    def __init__(self, *, can_leak: bool) -> None:
        self.can_leak = can_leak
        self.now = Switches()

    def turn(self, changes: Mapping[str, str]) -> None:
        """Sets those switches and leaves the others. Raises ValueError that says what is wrong."""
        try:
            wanted = Switches.model_validate({**self.now.model_dump(), **changes})
        except ValidationError as error:
            faults = (f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
            raise ValueError("; ".join(faults)) from error
        if wanted.leaking and not self.can_leak:
            raise ValueError("leaking: the shop has no database; start it with `maint demo --with-services`")
        self.now = wanted
