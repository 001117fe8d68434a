"""`/maint health [target …]`: is everything all right?"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from commands.command import Command, Progress, Request, Services
from commands.needs import Needs
from commands.reply import Element, Listing, Note, Paragraph, Reply, Row, Rows, Span, strong
from commands.words import counted, find_target
from runbooks.engine.checks import Item, Report, Result, expand, unconfigured
from runbooks.errors import Refused, UsageError
from runbooks.spec.runbook import Runbook
from runbooks.status import SEVERITY, Status
from runbooks.targets import TargetBase
from runbooks.watch.found import Found, found_of, in_brief, in_full, name_of, seconds, together

RUNBOOK = "health"
#: Rows on a card that is still being worked on; it is drawn often, and the final one has them all.
MOST_UNDER_WAY = 10


class Health(Command):
    """Runs the checks of the health runbook and reports, worst first."""

    word = "health"
    summary = "Check that everything is all right"
    usage = "[target …]"
    about = (
        "Runs every check of the runbook `health` at the same time and reports: the overall status, then "
        "what is not fine, worst first, with its value, its threshold and its 7-day median; what is fine in "
        "one line. A check that could not measure is `unknown`, never fine. Name targets to check only those."
    )
    examples = (
        ("health", "everything that you may see"),
        ("health db cache", "only the targets db and cache"),
    )
    needs = Needs.WORD

    def named_targets(self, words: tuple[str, ...], services: Services) -> tuple[TargetBase, ...]:
        """The targets named; each once."""
        for word in words:
            if word.startswith("-"):
                raise UsageError(f"health takes names of targets, no options: {word!r} is none.")
        found = {target.name: target for word in words if (target := find_target(word, services.targets))}
        return tuple(found.values())

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """Runs the checks; `progress` gets a card at the start and after every result."""
        runbook = services.runbooks[RUNBOOK]
        named = self.named_targets(words, services)
        seen = {
            target.name: target
            for target in named or services.targets.values()
            if request.access.may_touch(self.word, target.environment, target.name)
        }
        if not seen and services.targets:
            raise Refused("There is no target that you may check from here.")
        items = expand(RUNBOOK, runbook.steps, services.targets, frozenset(seen))
        if not items:
            which = ", ".join(target.name for target in named) or "any target in maint.yaml"
            raise UsageError(f"The runbook health has no check for {which}.")
        results: list[Result] = []

        def on_result(result: Result) -> None:
            results.append(result)
            progress(under_way(runbook, items, results))

        progress(under_way(runbook, items, results))
        report = await services.checks.run(RUNBOOK, items, request.correlation, on_result)
        left_out = () if named else unconfigured(runbook.steps, services.targets)
        hidden = 0 if named else len(services.targets) - len(seen)
        return finished(runbook, report, left_out, hidden)


def under_way(runbook: Runbook, items: list[Item], results: list[Result]) -> Reply:
    """The card while checks run: what is being checked, how far it is, and what was found so far."""
    targets = sorted({item.target.name for item in items})
    names = _some(targets, 8)
    count = f"{len(results)} of {counted(len(items), 'check')} done"
    elements: list[Element] = [Paragraph((Span("Checking "), strong(names), Span(f" … {count}")))]
    troubles = sorted(
        (result for result in results if result.status is not Status.OK),
        key=lambda result: -SEVERITY.index(result.status),
    )
    if troubles:
        elements.append(Rows(tuple(_rows(troubles)[:MOST_UNDER_WAY])))
    return Reply(
        title=f"{runbook.title}: checking",
        fallback=f"{runbook.title}: checking {names}, {count}",
        elements=tuple(elements),
        private=False,
        done=False,
    )


def finished(runbook: Runbook, report: Report, left_out: tuple[str, ...], hidden: int) -> Reply:
    """The final card."""
    counts = Counter(result.status for result in report.results)
    tally = ", ".join(f"{counts[status]} {status}" for status in reversed(SEVERITY) if counts[status])
    troubles = [r for r in report.results if r.status not in (Status.OK, Status.SKIPPED)]
    quiet = [r for r in report.results if r.status is Status.SKIPPED]
    fine = [r for r in report.results if r.status is Status.OK]
    elements: list[Element] = []
    if troubles:
        elements.append(Rows(tuple(_rows(troubles))))
    if fine:
        elements.append(Paragraph((strong(f"{len(fine)} fine: "), *_by_target(fine))))
    if quiet:
        line = "  ·  ".join(f"{name_of(result)}: {'; '.join(result.reasons)}" for result in quiet)
        elements.append(Paragraph((strong("Nothing to judge: "), Span(line))))
    notes = [f"{counted(len(report.results), 'check')} in {_seconds(report.duration)}: {tally}"]
    if left_out:
        notes.append(f"no target of type {', '.join(left_out)}")
    if hidden:
        notes.append(f"{counted(hidden, 'target')} that you may not see")
    notes.append(f"reference {report.correlation[-8:]}")
    elements.append(Note("  ·  ".join(notes)))
    if report.unkept:
        elements.append(Note(f"Careful: these results are not kept. {report.unkept}"))
    worst_names = _some([name_of(result) for result in troubles], 3)
    return Reply(
        title=f"{runbook.title}: {report.status}",
        fallback=f"{runbook.title}: {report.status}"
        + (f". {worst_names}" if troubles else f", {counted(len(fine), 'check')} fine"),
        status=report.status,
        elements=tuple(elements),
        details=(Listing("health.txt", "\n\n".join(in_full(result) for result in report.results)),),
        private=False,
        data=as_data(report),
    )


def _rows(results: list[Result]) -> list[Row]:
    """One row for each check; those that one cause took from a target share theirs."""
    return [row_of(found) for found in together(results)]


def row(result: Result) -> Row:
    """A check as one row of a card."""
    return row_of(found_of(result))


def row_of(found: Found) -> Row:
    """The same of what was put into words before."""
    return Row(
        status=Status(found.status),
        title=found.name,
        value=found.value,
        bound=found.bound,
        trend=found.trend,
        note=found.note,
    )


def as_data(report: Report) -> dict[str, object]:
    """The report for machines: `maint health --json`. Durations in milliseconds, times in UTC."""
    return {
        "runbook": report.runbook,
        "correlation": report.correlation,
        "status": report.status.value,
        "started": report.started.isoformat(),
        "duration_ms": _milliseconds(report.duration),
        "results": [
            {
                "step": result.key.step,
                "target": result.key.target,
                "kind": result.key.kind,
                "environment": result.environment,
                "status": result.status.value,
                "value": result.value,
                "unit": result.headline.unit,
                "bound": result.bound,
                "median_7d": result.median,
                "reasons": list(result.reasons),
                "summary": result.summary,
                "values": dict(result.values),
                "details": list(result.details),
                "at": result.at.isoformat(),
                "duration_ms": _milliseconds(result.duration),
            }
            for result in report.results
        ],
    }


def _by_target(results: list[Result]) -> Iterator[Span]:
    """`web-1 disk 24 %, load 0.7  ·  db connections 12 %`: one line for all that is fine."""
    for number, (target, values) in enumerate(in_brief(results)):
        yield Span("  ·  " if number else "")
        yield strong(target)
        yield Span(f" {values}")


def _some(names: list[str], most: int) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _milliseconds(duration: timedelta) -> float:
    return round(duration.total_seconds() * 1000, 1)


def _seconds(duration: timedelta) -> str:
    return seconds(_milliseconds(duration))
