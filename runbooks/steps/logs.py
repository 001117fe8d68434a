"""`logs.errors`: how many errors a log has in a window of time, and which."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from runbooks.errors import StepError
from runbooks.log_format import LogFormat
from runbooks.spec.model import Duration, parse_duration, show_duration, up_to
from runbooks.status import Status
from runbooks.steps.log_formats import Format, make_format
from runbooks.steps.log_signatures import fold
from runbooks.steps.log_tally import Tally
from runbooks.steps.log_window import MOST_BYTES, Window, read_window
from runbooks.steps.machine import Machine, ThisMachine, find_machine
from runbooks.steps.reach import Reach
from runbooks.steps.step import Check, Measured, Output, Timeout
from runbooks.steps.units import show
from runbooks.targets import HostTarget, LogsTarget
from runbooks.visible import one_line

#: Percent of the window's lines that may be unreadable before somebody should look at `format:`.
MOST_UNREADABLE = 10.0
#: Seconds that a line may be ahead of this clock.
_AHEAD = 300.0
_TOP = 5
_NO_RATE = (
    "there are errors, but lines of this log are no requests, so nobody knows the error rate: judge "
    "`unrated_errors` too"
)


class LogErrors(Check[LogsTarget]):
    """The errors of a window that ends now; rotated and gzipped files inside it are read too."""

    kind = "logs.errors"
    title = "Errors in the log"
    needs = LogsTarget
    outputs: ClassVar[Mapping[str, Output]] = {
        "errors": Output(title="errors"),
        "total": Output(title="lines"),
        "rate_percent": Output(title="error rate", unit="%"),
        "unrated_errors": Output(title="errors"),
        "per_minute": Output(title="errors a minute"),
        "signatures": Output(title="different errors"),
        "unreadable": Output(title="unreadable lines"),
    }
    headline = "errors"

    # A window of MOST_BYTES takes some 20 s of one core.
    timeout: Timeout = parse_duration("60s")
    window: Annotated[Duration, up_to("31d")] = parse_duration("1h")

    async def measure(self, target: LogsTarget, reach: Reach) -> Measured:
        now = reach.now()
        format_ = make_format(target, now)
        machine = await machine_of(target, reach)
        async with machine.files() as files:
            window = await read_window(files, target.path, format_, (now - self.window).timestamp())
        tally = window.tally
        if tally.newest is None and tally.lines:
            name = "its `pattern:`" if isinstance(target.format, LogFormat) else target.format
            raise StepError(
                f"none of the last {tally.lines:,} lines of {target.path} reads as {name}: look at its "
                f"`format:`. One says: {_example(tally, 100)}"
            )
        return self._measured(window, format_, now.timestamp())

    def _measured(self, window: Window, format_: Format, now: float) -> Measured:
        tally = window.tally
        total = tally.records if format_.total else None
        findings = _findings(window, now)
        skipped = ""
        judged = {*self.warning, *self.critical}
        if judged == {"rate_percent"} and total is None and tally.errors:
            findings.append((Status.UNKNOWN, _NO_RATE))
        if judged <= {"rate_percent", "unrated_errors"} and judged and total == 0:
            skipped = "no requests"
        return Measured(
            values={
                "errors": tally.errors,
                "total": total,
                "rate_percent": _rate_percent(tally.errors, total),
                "unrated_errors": tally.errors if total is None else None,
                "per_minute": tally.errors / (self.window.total_seconds() / 60),
                "signatures": len(tally.signatures),
                "unreadable": tally.unreadable,
            },
            summary=", ".join(self._summary(window, total, now)),
            findings=tuple(findings),
            details=tuple(_details(tally)),
            skipped=skipped,
        )

    def _summary(self, window: Window, total: int | None, now: float) -> list[str]:
        tally = window.tally
        parts = [f"in {show_duration(self.window)}"]
        if total is not None:
            parts.append(f"of {total:,} lines")
        if tally.newest is None:
            parts.append("the log is empty")
        elif tally.newest < tally.since:
            parts.append(f"last line {show(now - tally.newest, 's')} ago")
        if tally.unreadable:
            parts.append(f"{tally.unreadable:,} lines unreadable")
        if window.cut:
            parts.append(f"only {MOST_BYTES >> 20} MiB of the window were read")
        return parts


def _rate_percent(errors: int, total: int | None) -> float | None:
    if total:
        return 100 * errors / total
    # Where lines are no requests nobody knows the rate, unless there is no error at all.
    return 0.0 if total is None and not errors else None


async def machine_of(target: LogsTarget, reach: Reach) -> Machine:
    """The machine that the log is on. Raises StepError when it cannot be logged in to."""
    if target.host is None:
        return ThisMachine()
    host = reach.targets.get(target.host)
    if not isinstance(host, HostTarget):
        raise StepError(f"the log is on {target.host!r}, and no target of type host has that name")
    return await find_machine(host, reach)


def _findings(window: Window, now: float) -> list[tuple[Status, str]]:
    tally = window.tally
    found = [
        (Status.WARNING, f"{one_line(path)} lies in the window and was not read: only gzip can be")
        for path in window.unread
    ]
    inside = tally.records + tally.unreadable
    if inside and 100 * tally.unreadable / inside > MOST_UNREADABLE:
        share = show(100 * tally.unreadable / inside, "%")
        found.append((Status.WARNING, f"{share} of the lines could not be read: is its `format:` right?"))
    if tally.newest is not None and tally.newest > now + _AHEAD:
        ahead = show(tally.newest - now, "s")
        found.append((Status.WARNING, f"the newest line is {ahead} in the future: is its `timezone:` right?"))
    return found


def _details(tally: Tally) -> list[str]:
    lines = [f"{count:,} x {one_line(signature)}" for signature, count in tally.signatures.most_common(_TOP)]
    rest = len(tally.signatures) - _TOP
    if rest > 0:
        lines.append(f"and {rest:,} other kinds of error")
    if tally.unreadable:
        lines.append(f"{tally.unreadable:,} lines unreadable, such as: {_example(tally, 200)}")
    return lines


def _example(tally: Tally, most: int) -> str:
    return one_line(fold(tally.unread_example), most)
