"""`logs.archive`: packs old logs, where they are."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from runbooks.steps.action import Risk
from runbooks.steps.log_sweep import Pattern, Sweep
from runbooks.targets import HostTarget, TargetBase

#: What is packed already.
_PACKED: tuple[Pattern, ...] = ("*.gz", "*.bz2", "*.xz", "*.zst", "*.lz4", "*.Z", ".maint-*")


class Archive(Sweep):
    """Packs what was not written to for `older_than` with gzip, and removes it once its copy is proven."""

    kind: ClassVar[str] = "logs.archive"
    title: ClassVar[str] = "Pack old logs"
    does: ClassVar[str] = "packs"
    did: ClassVar[str] = "packed"
    task: ClassVar[str] = "pack"

    @property
    def risk(self) -> Risk:  # type: ignore[override] # a preview only looks
        """Nothing is lost by it."""
        return Risk.READ if self.show_only else Risk.LOW

    def plan_warnings(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:  # noqa: ARG002 - the hook
        """logrotate's own numbers."""
        if any(each[-1:].isdigit() for each in self.match):
            said = (
                f"{', '.join(self.match)}: a file that logrotate numbers and somebody else packs drops out "
                "of its numbers; use its own `compress` and `delaycompress` there, or `dateext`"
            )
            return (said,)
        return ()

    def lines(self, target: HostTarget) -> tuple[str, ...]:
        """As all sweeps, and that the original stays until the copy is proven."""
        proof = "the original goes when its copy is on the disk and unpacks to the same"
        return (*super().lines(target), *(() if self.show_only else (proof,)))

    def asked(self, now: Callable[[], datetime], only: Any) -> dict[str, Any]:
        """The same, but for what is packed already."""
        known = super().asked(now, only)
        return {**known, "exclude": (*known["exclude"], *_PACKED)}
