"""An alert as its card shows it: how bad it is, since when, who has it, and what can be pressed.

Everything here comes from the records: every replica draws the same card. No time of the clock is in it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from commands.reply import (
    Button,
    Buttons,
    ButtonStyle,
    Element,
    Fields,
    Line,
    Lines,
    Mark,
    Menu,
    Note,
    Paragraph,
    Reply,
    Span,
    Text,
    link,
    moment,
    strong,
)
from commands.times import span
from runbooks.records.alerts import RANK, Alert, AlertStatus, AlertView, Change, Severity
from runbooks.spec.head import Remedy
from runbooks.spec.runbook import Runbook
from runbooks.status import Status
from runbooks.steps.units import show
from runbooks.visible import shorten
from runbooks.watch.from_checks import CHECK

ACK, SNOOZE, RESOLVE, REMEDY = "alert-ack", "alert-snooze", "alert-resolve", "alert-remedy"
SILENCE, EXPIRE, CHART = "alert-silence", "alert-expire", "alert-chart"
#: For how long one can put an alert off with its menu.
SNOOZES = (("30 minutes", "30m"), ("2 hours", "2h"), ("until tomorrow", "tomorrow"))
#: For how long whoever sends it can be told to keep it back.
SILENCES = (("2 hours", "2h"), ("8 hours", "8h"), ("1 day", "1d"), ("1 week", "7d"))
#: Sources whose title and labels say all: the labels of others are shown.
_OWN = frozenset({CHECK, "maint"})
#: Characters that a card shows of an address and of labels.
_ADDRESS, _LABELS = 80, 600
#: Characters of an alert's id that people type.
SHORT_ID = 8
#: Changes that a card shows; a list of one alert has all.
MOST_CHANGES = 5
#: Runbooks that a card offers.
MOST_REMEDIES = 5

_STATUS = {
    Severity.CRITICAL: Status.CRITICAL,
    Severity.WARNING: Status.WARNING,
    Severity.INFO: Status.SKIPPED,
}
_MARKS = {
    "opened": Mark.FAILED,
    "reopened": Mark.FAILED,
    "severity": Mark.WARNING,
    "flapping": Mark.WARNING,
    "acknowledged": Mark.RUNNING,
    "snoozed": Mark.WAITING,
    "silenced": Mark.WAITING,
    "unsilenced": Mark.WARNING,
    "woke": Mark.WARNING,
    "stale": Mark.IN_DOUBT,
    "escalated": Mark.WARNING,
    "resolved": Mark.DONE,
}


@dataclass(frozen=True, kw_only=True)
class Help:
    """A runbook that may help, and what it is given."""

    runbook: str
    title: str
    params: Mapping[str, str] = field(default_factory=dict)


#: The runbooks that may help against an alert.
Remedies = Callable[[Alert], tuple[Help, ...]]


def no_remedies(_: Alert) -> tuple[Help, ...]:
    """Where no runbook is known."""
    return ()


def remedies_of(runbooks: Mapping[str, Runbook], alert: Alert) -> tuple[Help, ...]:
    """What the alert's runbook names under `remedies:` for its step, of the runbooks that there are. Of an
    alert from outside that names a runbook, first that one."""
    checked = runbooks.get(alert.runbook)
    remedies = list(checked.remedies) if checked else []
    if checked is not None and alert.source not in _OWN:
        remedies.insert(0, Remedy(runbook=checked.name))
    found = []
    for remedy in remedies:
        runbook = runbooks.get(remedy.runbook)
        if runbook is None or (remedy.steps and alert.step not in remedy.steps):
            continue
        params = dict(remedy.params)
        target = runbook.params.get("target")
        if alert.target and target is not None and target.type == "target":
            params.setdefault("target", alert.target)
        found.append(Help(runbook=runbook.name, title=runbook.name, params=params))
    return tuple(found)


def short_id(alert: str) -> str:
    """The last letters of an alert's id: what people type for it."""
    return alert[-SHORT_ID:]


def status_of(alert: Alert) -> Status:
    """How it is drawn."""
    return Status.OK if not alert.is_open else _STATUS[Severity(alert.severity)]


def is_charted(alert: Alert) -> bool:
    """Whether Maint measures what the alert is about, it is a number, and a chart of it has a place."""
    return alert.source == CHECK and alert.value is not None and bool(alert.channel) and not alert.storm


def state_words(alert: Alert) -> str:
    """Where it stands, for a sentence."""
    if alert.resolved_at is not None:
        return f"resolved after {span(alert.resolved_at - alert.opened_at)}"
    match alert.status:
        case AlertStatus.ACKNOWLEDGED:
            return f"acknowledged by {alert.acked_by_name}"
        case AlertStatus.SNOOZED if alert.snoozed_until is not None:
            return f"snoozed until {moment(alert.snoozed_until).text}"
    return "firing"


def flapping_words(alert: Alert) -> str:
    """`flapping, 7 changes in 20 min`; empty when it is not."""
    if not alert.flapping or not alert.flaps:
        return ""
    return f"flapping, {len(alert.flaps)} changes in {span(alert.flaps[-1] - alert.flaps[0])}"


def alert_card(
    view: AlertView,
    remedies: Remedies = no_remedies,
    *,
    program: str = "/maint",
    silenceable: Collection[str] = (),
    charts: bool = False,
) -> Reply:
    """The card of an alert. `silenceable`: the sources that can be told to keep an alert back. `charts`:
    pictures can be drawn here."""
    alert = view.alert
    return Reply(
        title=f"{alert.title}: {alert.severity}" if alert.is_open else f"{alert.title}: resolved",
        fallback=f"{alert.severity}: {alert.title}, {state_words(alert)}. {alert.summary}",
        status=status_of(alert),
        elements=(
            *_head(view),
            *_members(view),
            *_facts(alert),
            *_history(view.changes[-MOST_CHANGES:]),
            *_controls(view, remedies, program, silenceable, charts),
        ),
        private=False,
        done=not alert.is_open,
        data=as_data(alert),
    )


def as_data(alert: Alert) -> dict[str, object]:
    """The alert for machines. Times in UTC."""
    return {
        "id": alert.id,
        "fingerprint": alert.fingerprint,
        "source": alert.source,
        "severity": str(alert.severity),
        "status": str(alert.status),
        "title": alert.title,
        "summary": alert.summary,
        "value": alert.value,
        "unit": alert.unit,
        "runbook": alert.runbook,
        "step": alert.step,
        "target": alert.target,
        "environment": alert.environment,
        "count": alert.count,
        "flapping": alert.flapping,
        "stale": alert.stale,
        "opened_at": alert.opened_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "acknowledged_by": alert.acked_by_name,
        "snoozed_until": alert.snoozed_until.isoformat() if alert.snoozed_until else None,
        "storm": alert.storm,
    }


def _head(view: AlertView) -> Iterator[Element]:
    alert = view.alert
    state: tuple[Span, ...] = (strong(state_words(alert)),)
    if alert.status == AlertStatus.SNOOZED and alert.snoozed_until is not None:
        state = (strong("silenced until " if view.silence else "snoozed until "), moment(alert.snoozed_until))
    flapping = flapping_words(alert)
    more = (Span("  ·  "), strong(flapping)) if flapping else ()
    yield Paragraph((*state, Span("  ·  since "), moment(alert.opened_at), *more))
    if alert.stale:
        yield Paragraph(
            (strong("Nobody has looked since "), moment(alert.last_at), Span(", though it was time to."))
        )
    if alert.resolve_reason:
        by = f" ({alert.resolved_by})" if alert.resolved_by else ""
        yield Paragraph(f"{alert.resolve_reason}{by}")


def _members(view: AlertView) -> Iterator[Element]:
    """How many a storm stands for, by what they are."""
    if not view.members:
        return
    lines = []
    for status in (AlertStatus.FIRING, AlertStatus.ACKNOWLEDGED, AlertStatus.SNOOZED, AlertStatus.RESOLVED):
        counts = {s: n for (state, s), n in view.members.items() if state == status}
        if counts:
            each = ", ".join(f"{counts[s]} {s}" for s in reversed(RANK) if s in counts)
            lines.append((str(status), f"{sum(counts.values()):,}: {each}"))
    total = sum(view.members.values())
    yield Paragraph((strong(f"{total:,} alerts"), Span(" that have no message of their own.")))
    yield Fields(tuple(lines))


def _facts(alert: Alert) -> Iterator[Element]:
    pairs: list[tuple[str, Text]] = []
    if alert.value is not None:
        pairs.append(("Value", show(alert.value, alert.unit)))
    if alert.summary:
        pairs.append(("Why", alert.summary))
    if alert.target:
        place = f" ({alert.environment})" if alert.environment else ""
        pairs.append(("Target", f"{alert.target}{place}"))
    if alert.step:
        pairs.append(("Check", f"{alert.runbook}/{alert.step}, seen bad {alert.count} times"))
    if alert.owner:
        pairs.append(("Owner", alert.owner))
    if alert.source not in _OWN:
        pairs.append(("From", alert.source))
    if alert.labels and alert.source not in _OWN:
        said = "  ".join(f"{name}={value}" for name, value in alert.labels.items())
        pairs.append(("Labels", shorten(said, _LABELS)))
    if alert.level:
        told: tuple[Span, ...] = (Span(f"level {alert.level} of {alert.policy}"),)
        if alert.is_open and alert.level_at is not None:
            told += (Span(", the next one "), moment(alert.level_at))
        pairs.append(("Told", told))
    for name, url in alert.links.items():
        pairs.append((name, (link(shorten(url, _ADDRESS), url),)))
    if pairs:
        yield Fields(tuple(pairs))


def _history(changes: tuple[Change, ...]) -> Iterator[Element]:
    if changes:
        yield Lines(tuple(history_line(change) for change in changes))


def history_line(change: Change) -> Line:
    """One thing that became of an alert."""
    said = {
        "severity": f"now {change.after}, was {change.before}",
        "opened": f"opened as {change.after}",
        "reopened": "fires again",
        "flapping": f"flapping: {change.after} changes",
        "calm": "does not flap any more",
        "woke": "the snooze is over",
        "silenced": f"silenced until {change.after[:16].replace('T', ' ')} UTC",
        "unsilenced": "the silence was ended",
        "stale": "nobody looks any more: how it is now, nobody knows",
        "seen": "is looked at again",
        "escalated": f"level {change.after} was told",
    }.get(change.what, change.what)
    by = f" by {change.by_name}" if change.by_name else ""
    note = f": {change.note}" if change.note else ""
    return Line(
        mark=_MARKS.get(change.what, Mark.DONE),
        text=(moment(change.at), Span(f"  {said}{by}{note}")),
    )


def _controls(
    view: AlertView, remedies: Remedies, program: str, silenceable: Collection[str], charts: bool
) -> Iterator[Element]:
    alert = view.alert
    id_ = short_id(alert.id)
    if alert.is_open:
        buttons: list[Button | Menu] = []
        if alert.status != AlertStatus.ACKNOWLEDGED:
            buttons.append(
                Button(
                    text="Acknowledge",
                    action=ACK,
                    value=alert.id,
                    style=ButtonStyle.PRIMARY,
                    command=f"{program} alerts ack {id_}",
                )
            )
        buttons.append(
            Menu(
                text="Snooze",
                action=SNOOZE,
                choices=tuple((text, f"{alert.id}.{value}") for text, value in SNOOZES),
                command=f"{program} alerts snooze {id_} 2h",
            )
        )
        if alert.source in silenceable:
            buttons.append(_silence_button(view, f"{program} alerts"))
        for number, help_ in enumerate(tuple(remedies(alert))[:MOST_REMEDIES]):
            typed = " ".join(f"{name}={value}" for name, value in help_.params.items())
            buttons.append(
                Button(
                    text=f"Run {help_.title}",
                    # Of equal action ids in one row Slack takes none.
                    action=f"{REMEDY}-{number}",
                    value=f"{alert.id}.{help_.runbook}",
                    command=f"{program} run {help_.runbook} {typed}".rstrip(),
                )
            )
        if charts and is_charted(alert):
            chart = f"{program} alerts chart {id_}"
            buttons.append(Button(text="Chart", action=CHART, value=alert.id, command=chart))
        buttons.append(
            Button(
                text="Resolve",
                action=RESOLVE,
                value=alert.id,
                command=f'{program} alerts resolve {id_} "why"',
            )
        )
        yield Buttons(tuple(buttons))
    yield Note(f"alert {id_}  ·  {program} alerts {id_}")


def _silence_button(view: AlertView, typed: str) -> Button | Menu:
    alert, id_ = view.alert, short_id(view.alert.id)
    if view.silence is not None:
        return Button(text="Expire silence", action=EXPIRE, value=alert.id, command=f"{typed} expire {id_}")
    return Menu(
        text="Silence",
        action=SILENCE,
        choices=tuple((text, f"{alert.id}.{value}") for text, value in SILENCES),
        command=f'{typed} silence {id_} 2h "why"',
    )
