"""Digests, changes, the weekly form and the line of a day, as their cards show them.

Everything here comes from the records: every replica draws the same card.
"""

from collections.abc import Iterator
from datetime import timedelta

from commands.health import row_of
from commands.reply import (
    Element,
    Fields,
    Line,
    Lines,
    Mark,
    Note,
    Paragraph,
    Reply,
    Rows,
    Span,
    moment,
    strong,
)
from commands.times import span
from commands.words import counted
from runbooks.records.reports import Kind, ReportRow
from runbooks.status import Status
from runbooks.steps.units import show
from runbooks.watch import digest as facts
from runbooks.watch.digest import Around, Changed, Digest, OpenAlert, Question, read_digest, read_line
from runbooks.watch.found import seconds
from runbooks.watch.weekly import CheckWeek, Percentiles, Weekly, read_weekly

#: Checks of a weekly form that are drawn; the rest is counted.
MOST_CHECKS = 25
#: A percentile that moved by so much is said with by how much.
MOVED = 0.1
#: Targets that a weekly form names of those that were not always up.
MOST_TARGETS = 10

_MARKS = {
    Status.OK: Mark.DONE,
    Status.WARNING: Mark.WARNING,
    Status.CRITICAL: Mark.FAILED,
    Status.UNKNOWN: Mark.IN_DOUBT,
    Status.SKIPPED: Mark.SKIPPED,
}
_SEVERITY = {"critical": Mark.FAILED, "warning": Mark.WARNING, "info": Mark.TO_DO}


def report_card(row: ReportRow) -> Reply:
    """The card of a report."""
    match row.kind:
        case Kind.WEEKLY:
            return weekly_card(read_weekly(row.body))
        case Kind.LINE:
            return line_card(read_line(row.body))
        case Kind.CHANGES:
            return changes_card(read_digest(row.body))
    return digest_card(read_digest(row.body))


def digest_card(digest: Digest) -> Reply:
    """The whole digest: what is not fine first, what changed, what is well in one line, and what there is
    beside the checks."""
    status = Status(digest.status)
    elements: list[Element] = []
    if digest.late_for is not None:
        late = (strong("Late: "), Span("it was to come "), moment(digest.late_for), Span("."))
        elements.append(Paragraph(late))
    if digest.troubles:
        elements.append(Rows(tuple(map(row_of, digest.troubles))))
    elements += _changes(digest)
    if digest.fine_count:
        fine = (strong(f"{digest.fine_count} fine: "), *_fine(digest))
        elements.append(Paragraph(fine))
    if digest.quiet:
        line = "  ·  ".join(f"{each.name}: {each.note}" if each.note else each.name for each in digest.quiet)
        elements.append(Paragraph((strong("Nothing to judge: "), Span(line))))
    elements += _around(digest.around)
    elements.append(Note(_checked(digest)))
    return Reply(
        title=f"{digest.title}: {status}",
        fallback=f"{digest.title}: {status}. {_short(digest)}",
        status=status,
        elements=tuple(elements),
        private=False,
        data=facts.digest_body(digest),
    )


def changes_card(digest: Digest) -> Reply:
    """Only what is otherwise than at the look before."""
    status = Status(digest.status)
    lines = tuple(map(_change, digest.changes))
    first = digest.changes[0]
    more = f", and {len(digest.changes) - 1} more" if len(digest.changes) > 1 else ""
    said = f"{first.name} {_became(first)}{more}"
    elements: list[Element] = [Lines(lines)]
    if digest.troubles:
        elements.append(Rows(tuple(map(row_of, digest.troubles))))
    elements.append(Note(_checked(digest)))
    return Reply(
        title=f"{digest.title}: {counted(len(digest.changes), 'change')}, now {status}",
        fallback=f"{digest.title}: {said}",
        status=status,
        elements=tuple(elements),
        private=False,
    )


def line_card(line: facts.Line) -> Reply:
    """That it was looked, and how often, so that silence says something."""
    status = Status(line.status)
    well = f"all {counted(line.ran, 'check')} fine" if status is Status.OK else str(status)
    looks = counted(line.looks, "look")
    ran = f"{line.ran} of {counted(line.checks, 'check')} ran"
    text = [strong(f"{looks} on {line.day}"), Span(", the last "), moment(line.at, ago=True)]
    text.append(Span(f": {ran}. "))
    if line.changed_at is not None:
        text += [Span(f"{counted(line.changes, 'change')}, the last "), moment(line.changed_at), Span(".")]
    else:
        text.append(Span("Nothing changed."))
    if line.bad:
        text.append(Span(f" Not fine: {', '.join(line.bad)}."))
    return Reply(
        title=f"{line.title}: {well}",
        fallback=f"{line.title}: {well}, {looks} on {line.day}",
        status=status,
        elements=(Paragraph(tuple(text)),),
        private=False,
    )


def weekly_card(weekly: Weekly) -> Reply:
    """Percentiles against last week and the baseline, uptime, and how alerts went."""
    elements: list[Element] = [
        Paragraph((strong("From "), moment(weekly.since), strong(" to "), moment(weekly.until)))
    ]
    if weekly.checks:
        shown = weekly.checks[:MOST_CHECKS]
        elements.append(Fields(tuple((each.name, _week(each)) for each in shown)))
        if len(weekly.checks) > len(shown):
            elements.append(Note(f"… and {counted(len(weekly.checks) - len(shown), 'check')} more."))
    else:
        elements.append(Paragraph("Nothing was measured in that week."))
    elements += _uptime(weekly)
    elements.append(Fields(tuple(_alert_figures(weekly))))
    if weekly.noisiest:
        loud = ", ".join(f"{title} ({count})" for title, count in weekly.noisiest)
        elements.append(Paragraph((strong("Noisiest: "), Span(loud))))
    if any(each.baseline for each in weekly.checks):
        about = "Percentiles of what is kept by the hour are means of the hours'."
        elements.append(Note(f"baseline: the four weeks before. {about}"))
    return Reply(
        title=f"{weekly.title}: the week",
        fallback=f"{weekly.title}: the week to {weekly.until:%Y-%m-%d}, {counted(weekly.opened, 'alert')}",
        status=weekly.status,
        elements=tuple(elements),
        private=False,
    )


def _changes(digest: Digest) -> Iterator[Element]:
    if digest.previous is None:
        return
    since = (strong("Since "), moment(digest.previous))
    if not digest.changes:
        yield Paragraph((*since, Span(": nothing changed.")))
        return
    yield Paragraph((*since, Span(f": {counted(len(digest.changes), 'change')}.")))
    yield Lines(tuple(map(_change, digest.changes)))


def _change(change: Changed) -> Line:
    mark = _MARKS[Status(change.after)] if change.after else Mark.CANCELLED
    words = f"  {change.words}" if change.words else ""
    return Line(mark=mark, text=(strong(change.name), Span(f"  {_became(change)}{words}")))


def _became(change: Changed) -> str:
    if not change.after:
        return "is not checked any more"
    if not change.before:
        return f"is {change.after}"
    if change.before == change.after:
        return f"is {change.after} as before"
    return f"is {change.after}, was {change.before}"


def _fine(digest: Digest) -> Iterator[Span]:
    for number, (target, values) in enumerate(digest.fine):
        yield Span("  ·  " if number else "")
        yield strong(target)
        yield Span(f" {values}")


def _around(around: Around) -> Iterator[Element]:
    if around.alerts:
        more = f", and {around.more_alerts} more" if around.more_alerts else ""
        yield Paragraph((strong(f"{counted(len(around.alerts), 'open alert')}{more}"),))
        yield Lines(tuple(map(_alert, around.alerts)))
    if around.questions:
        yield Paragraph((strong(f"{counted(len(around.questions), 'approval')} waiting"),))
        yield Lines(tuple(map(_question, around.questions)))
    for section in around.sections:
        yield Paragraph((strong(section.title),))
        yield Lines(tuple(Line(mark=Mark.WARNING, text=line) for line in section.lines))
    if around.today:
        parts: list[Span] = [strong("Today: ")]
        for number, coming in enumerate(around.today):
            parts += [Span(", " if number else ""), moment(coming.at), Span(f" {coming.title}")]
        yield Paragraph(tuple(parts))
    if around.on_call:
        parts = [strong("On call: ")]
        for number, shift in enumerate(around.on_call):
            parts += [Span(", " if number else ""), Span(f"{shift.person} ({shift.rotation})")]
        yield Paragraph(tuple(parts))


def _alert(alert: OpenAlert) -> Line:
    said = Span(f"  {alert.severity}, {alert.state}, since ")
    mark = _SEVERITY.get(alert.severity, Mark.TO_DO)
    return Line(mark=mark, text=(strong(alert.title), said, moment(alert.since)))


def _question(question: Question) -> Line:
    said = Span(f"  asked is {question.asked}, since " if question.asked else "  since ")
    return Line(mark=Mark.WAITING, text=(strong(question.title), said, moment(question.since)))


def _checked(digest: Digest) -> str:
    """How many checks ran, and the oldest that did not."""
    ran = f"{digest.ran} of {counted(digest.checks, 'check')} ran, in {seconds(digest.duration_ms)}"
    if digest.oldest is None:
        return ran
    since = digest.oldest.since
    last = f"last measured {moment(since).text}" if since else "never measured anything"
    return f"{ran}  ·  longest silent: {digest.oldest.name}, {last}"


def _short(digest: Digest) -> str:
    if not digest.troubles:
        return f"{counted(digest.fine_count, 'check')} fine"
    named = ", ".join(each.name for each in digest.troubles[:3])
    more = len(digest.troubles) - 3
    return f"{named}{f' and {more} more' if more > 0 else ''}"


def _week(check: CheckWeek) -> str:
    shown = _percentiles(check.week, check.unit)
    parts = [shown]
    for words, other in (("last week", check.last_week), ("baseline", check.baseline)):
        if other is not None:
            parts.append(f"{words} p95 {show(other.p95, check.unit)}{_moved(check.week.p95, other.p95)}")
    return "  ·  ".join(parts)


def _percentiles(found: Percentiles, unit: str) -> str:
    each = (("p50", found.p50), ("p95", found.p95), ("p99", found.p99))
    return ", ".join(f"{name} {show(value, unit)}" for name, value in each)


def _moved(now: float, before: float) -> str:
    if not before or abs(now / before - 1) < MOVED:
        return ""
    return f" ({now / before - 1:+.0%})"


def _uptime(weekly: Weekly) -> Iterator[Element]:
    if not weekly.uptime:
        return
    always = [each for each in weekly.uptime if each.up == 1]
    others = [each for each in weekly.uptime if each.up < 1]
    if always:
        yield Paragraph((strong("Always up: "), Span(", ".join(each.target for each in always))))
    if others:
        pairs = []
        for each in others[:MOST_TARGETS]:
            unknown = f", {each.unknown:.2%} unknown" if each.unknown else ""
            pairs.append((each.target, f"{_share(each.up)} up of {each.looks:,} looks{unknown}"))
        yield Fields(tuple(pairs))
        if len(others) > MOST_TARGETS:
            yield Note(f"… and {counted(len(others) - MOST_TARGETS, 'target')} more that were not always up.")


def _share(up: float) -> str:
    # Rounding must not say that it was always up.
    return f"{min(up, 0.9999):.2%}"


def _alert_figures(weekly: Weekly) -> Iterator[tuple[str, str]]:
    yield "Alerts opened", str(weekly.opened)
    if weekly.to_acknowledge_s is not None:
        mean = span(timedelta(seconds=weekly.to_acknowledge_s))
        yield "Mean time to acknowledge", f"{mean}, of {weekly.acknowledged}"
    if weekly.to_resolve_s is not None:
        mean = span(timedelta(seconds=weekly.to_resolve_s))
        yield "Mean time to resolve", f"{mean}, of {weekly.resolved}"
