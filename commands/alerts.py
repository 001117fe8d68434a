"""`/maint alerts`: what is wrong now, and what people do about it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from commands.alert_card import (
    alert_card,
    as_data,
    flapping_words,
    history_line,
    remedies_of,
    short_id,
    state_words,
    status_of,
)
from commands.alert_chart import chart
from commands.alert_deeds import (
    WORD,
    acknowledge,
    check_may_change,
    expire,
    find_alert,
    may_see,
    resolve,
    silence,
    snooze,
)
from commands.command import Command, Group, Progress, Request, Services
from commands.deciding import reason_in
from commands.needs import Needs
from commands.reply import Element, Lines, Note, Reply, Row, Rows
from commands.times import ago
from commands.words import counted, quoted
from runbooks.errors import UsageError
from runbooks.records.alerts import Alert, AlertStatus, Severity, Wanted
from runbooks.steps.units import show

#: Alerts that one list shows, and that are looked through for them.
MOST, LOOKED_THROUGH = 30, 1000

_DEEDS = ("ack", "snooze", "silence", "expire", "resolve")
_CHART = "chart"
_STATUSES = {
    "firing": (AlertStatus.FIRING,),
    "acknowledged": (AlertStatus.ACKNOWLEDGED,),
    "snoozed": (AlertStatus.SNOOZED,),
    "resolved": (AlertStatus.RESOLVED,),
    "all": (AlertStatus.FIRING, AlertStatus.ACKNOWLEDGED, AlertStatus.SNOOZED, AlertStatus.RESOLVED),
}


class AlertsCommand(Command):
    """Lists alerts, shows one, or changes it."""

    word = WORD
    summary = "What is wrong now, and who has it"
    usage = (
        "[ALERT | FILTER … | ack ALERT [note] | snooze ALERT 2h | silence ALERT 2h reason | expire ALERT | "
        "chart ALERT | resolve ALERT reason]"
    )
    about = (
        "Lists the open alerts that you may see, the worst first. Filters: firing, acknowledged, snoozed, "
        "resolved, all; critical, warning, info; the names of targets and runbooks; storm:ID. With an "
        "alert's id, or its last letters, it shows that one with all that became of it. ack takes it on, "
        "snooze puts it off (30m, 2h, 1d, tomorrow), silence has the Alertmanager that sent it keep it back, "
        "expire ends that, chart draws its last day in the thread of its message, resolve ends it with a "
        "reason. Seeing needs any grant "
        "on the alert's target, changing one that names the word alerts."
    )
    examples = (
        ("alerts", "all that are open"),
        ("alerts critical db", "the critical ones of the target db"),
        ("alerts ack 3f9kq2ab", "takes it on: nobody else is told of it"),
        ("alerts snooze 3f9kq2ab tomorrow", "nobody is told of it until the morning"),
        ("alerts silence 3f9kq2ab 2h because the disk is being replaced", "a silence in Alertmanager"),
        ("alerts expire 3f9kq2ab", "ends the silence"),
        ("alerts chart 3f9kq2ab", "how it went since yesterday, in the thread of its message"),
        ('alerts resolve 3f9kq2ab "disk replaced"', "ends it"),
    )
    needs = Needs.BUSINESS  # what an alert is about says whose business it is
    group = Group.LOOK

    async def answer(
        self, request: Request, words: tuple[str, ...], services: Services, progress: Progress
    ) -> Reply:
        """The list, the one, or what became of what was asked for."""
        first = words[0].casefold() if words else ""
        if first == _CHART and len(words) == 2:
            return await chart(services, await find_alert(request, services, words[1]))
        if first in _DEEDS:
            return await _change(request, services, first, words[1:])
        if len(words) == 1 and not _is_filter(first, services):
            return await _one(request, services, words[0])
        wanted = _wanted(words, services)
        rows = await services.alerts.listed(replace(wanted, limit=LOOKED_THROUGH))
        seen = sorted(
            (alert for alert in rows if may_see(request, alert)),
            key=lambda alert: (alert.severity != Severity.CRITICAL, alert.severity != Severity.WARNING),
        )
        return _listed(seen, services.now())


async def _change(request: Request, services: Services, deed: str, words: Sequence[str]) -> Reply:
    program = request.program
    if not words:
        raise UsageError(f"Name the alert: {program} alerts {deed} ALERT. {program} alerts lists them.")
    alert = await find_alert(request, services, words[0])
    check_may_change(request, alert)
    rest = tuple(words[1:])
    if deed == "ack":
        return await acknowledge(request, services, alert, " ".join(rest))
    if deed == "resolve":
        why = reason_in(rest, f'{program} alerts resolve {words[0]} "reason"')
        return await resolve(request, services, alert, why)
    if deed == "expire":
        return await expire(request, services, alert)
    if not rest:
        raise UsageError(f"Say for how long: {program} alerts {deed} {words[0]} 2h")
    if deed == "silence":
        why = reason_in(rest[1:], f"{program} alerts silence {words[0]} {rest[0]} because …")
        return await silence(request, services, alert, rest[0], why)
    return await snooze(request, services, alert, rest[0], " ".join(rest[1:]))


async def _one(request: Request, services: Services, text: str) -> Reply:
    alert = await find_alert(request, services, text)
    view = await services.alerts.view(alert.id)
    if view is None:
        raise UsageError(f"There is no such alert any more. {request.program} alerts shows what there is.")
    card = alert_card(
        view,
        lambda each: remedies_of(services.runbooks, each),
        program=request.program,
        silenceable=services.silencer.sources,
        charts=services.charts,
    )
    timeline = Lines(tuple(map(history_line, view.changes)))
    elements = [timeline if isinstance(each, Lines) else each for each in card.elements]
    return replace(card, elements=tuple(elements), private=True, done=True)


def _is_filter(word: str, services: Services) -> bool:
    return (
        word in _STATUSES
        or word in tuple(Severity)
        or word in services.targets
        or word in services.runbooks
        or word.startswith("storm:")
    )


def _wanted(words: Sequence[str], services: Services) -> Wanted:
    """What the filters come to. Raises UsageError for one that there is not."""
    wanted = Wanted()
    for word in (each.casefold() for each in words):
        if word in _STATUSES:
            wanted = replace(wanted, statuses=(*wanted.statuses, *_STATUSES[word]))
        elif word in tuple(Severity):
            wanted = replace(wanted, severities=(*wanted.severities, word))
        elif word in services.targets:
            wanted = replace(wanted, targets=(*wanted.targets, word))
        elif word in services.runbooks:
            wanted = replace(wanted, runbooks=(*wanted.runbooks, word))
        elif word.startswith("storm:"):
            wanted = replace(wanted, storm=word.removeprefix("storm:"))
        else:
            raise UsageError(
                f"alerts has no filter {quoted(word)}: there are {', '.join(_STATUSES)}, "
                f"{', '.join(Severity)}, and the names of targets and runbooks."
            )
    return wanted


def _listed(alerts: Sequence[Alert], now: datetime) -> Reply:
    elements: list[Element] = []
    if alerts:
        elements.append(Rows(tuple(_row(alert, now) for alert in alerts[:MOST])))
    if len(alerts) > MOST:
        elements.append(Note(f"… and {len(alerts) - MOST} more: narrow it down with a filter."))
    if not alerts:
        elements.append(Note("No such alert that you may see."))
    worst = status_of(alerts[0]) if alerts else None
    return Reply(
        title="Alerts",
        fallback=f"Alerts: {counted(len(alerts), 'alert')}",
        status=worst,
        elements=tuple(elements),
        data={"alerts": [as_data(alert) for alert in alerts]},
    )


def _row(alert: Alert, now: datetime) -> Row:
    flapping = flapping_words(alert)
    told = [state_words(alert), ago(alert.opened_at, now), flapping, alert.summary]
    return Row(
        status=status_of(alert),
        title=f"{alert.title}  {short_id(alert.id)}",
        value="" if alert.value is None else show(alert.value, alert.unit),
        note="; ".join(part for part in told if part),
    )
