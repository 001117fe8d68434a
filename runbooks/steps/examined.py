"""What a kind of step finds where it is to work: for `maint doctor TARGET`, before it is needed at night."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runbooks.status import Status
from runbooks.steps.reach import Reach
from runbooks.targets import TargetBase


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One thing that was looked at, what was found, and what to do about it. No secret in any of them."""

    what: str
    status: Status
    found: str
    do: str = ""


#: Looks at a target; may raise StepError when it cannot be reached at all.
Examine = Callable[[Any, Reach], Awaitable[tuple[Examined, ...]]]
#: By the type of the target: what to look at there. One line registers what a kind needs.
Examiners = Mapping[type[TargetBase], tuple[Examine, ...]]
