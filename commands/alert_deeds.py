"""What people do to an alert, typed or pressed: they take it on, put it off, end it, run what may help."""

import re
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from commands.alert_card import (
    ACK,
    CHART,
    EXPIRE,
    MOST_REMEDIES,
    REMEDY,
    RESOLVE,
    SILENCE,
    SNOOZE,
    remedies_of,
    short_id,
    state_words,
)
from commands.alert_chart import chart
from commands.command import Progress, Request, Services
from commands.needs import Needs
from commands.reply import Paragraph, Reply
from commands.run import Run
from commands.words import quoted
from runbooks.engine.decided import Verdict
from runbooks.errors import RecordsError, Refused, UsageError
from runbooks.records.alerts import Alert
from runbooks.spec.model import parse_duration
from runbooks.status import Status
from runbooks.watch.alerts import Answer, Became

WORD = "alerts"
#: When the morning is that "until tomorrow" means.
MORNING = time(9)
LONGEST_SNOOZE = timedelta(days=31)

#: The buttons of an alert's card, and what each asks for: the alert says whose business it is.
ALERT_BUTTONS: Mapping[str, Needs] = {
    ACK: Needs.BUSINESS,
    SNOOZE: Needs.BUSINESS,
    RESOLVE: Needs.BUSINESS,
    SILENCE: Needs.BUSINESS,
    EXPIRE: Needs.BUSINESS,
    CHART: Needs.BUSINESS,
    **dict.fromkeys((f"{REMEDY}-{number}" for number in range(MOST_REMEDIES)), Needs.RUNBOOK),
}

_ID = re.compile(r"[0-9a-z]{4,26}")


async def press_alert(
    request: Request, services: Services, choice: str, value: str, text: str, progress: Progress
) -> Reply:
    """Does what a button of an alert's card stands for, as the right to it is at this moment."""
    id_, _, more = value.partition(".")
    view = await services.alerts.view(id_)
    if view is None:
        raise UsageError(f"There is no such alert any more. {request.program} alerts shows what there is.")
    alert = view.alert  # whoever presses sees its card: what they may do with it is told below
    if choice.startswith(REMEDY):
        return await _help(request, services, alert, more, progress)
    if choice == CHART:
        if not may_see(request, alert):
            raise Refused(f"You may not see alerts of {alert.target} here: that needs a grant on it.")
        return await chart(services, alert)
    check_may_change(request, alert)
    match choice:
        case "alert-ack":
            return await acknowledge(request, services, alert)
        case "alert-snooze":
            return await snooze(request, services, alert, more)
        case "alert-expire":
            return await expire(request, services, alert)
        case "alert-silence":
            if not text and alert.is_open:
                return _why_needed(alert, "Silence alert", "Why is it to be silent?")
            return await silence(request, services, alert, more, text)
    if not text and alert.is_open:
        return _why_needed(alert, "Resolve alert", "Why is it over?")
    return await resolve(request, services, alert, text)


async def find_alert(request: Request, services: Services, text: str) -> Alert:
    """The alert of that id, or of its last letters. Raises UsageError, also for who may not see it."""
    found = await services.alerts.find(text.casefold()) if _ID.fullmatch(text.casefold()) else ()
    seen = [alert for alert in found if may_see(request, alert)]
    if len(seen) > 1:
        raise UsageError(f"Several alerts end in {quoted(text)}: type more of it.")
    if not seen:
        raise UsageError(
            f"There is no alert {quoted(text)} that you may see. {request.program} alerts lists what you may."
        )
    return seen[0]


def may_see(request: Request, alert: Alert) -> bool:
    """Whether something is granted to the person here on what the alert is about."""
    return request.access.sees(alert.environment, alert.target)


def check_may_change(request: Request, alert: Alert) -> None:
    """Raises Refused unless the word `alerts` is granted here on what the alert is about."""
    verdict_for = request.access.may_touch(WORD, alert.environment, alert.target)
    if denial := request.access.denial(WORD):
        raise Refused(f"You may not change alerts here: {denial.place} denies it.")
    if not verdict_for:
        where = alert.target or "every environment, as it is about no target of its own"
        raise Refused(
            f"You may not change alerts of {where} here: that needs a grant with "
            f"`commands: [{WORD}]`. {request.program} whoami shows yours."
        )


async def acknowledge(request: Request, services: Services, alert: Alert, note: str = "") -> Reply:
    """Takes it on."""
    answer = await services.alerts.acknowledge(alert.id, request.by, note)
    return _said(answer, "You have it: nobody else is told of it meanwhile.")


async def snooze(request: Request, services: Services, alert: Alert, length: str, note: str = "") -> Reply:
    """Puts it off."""
    until = until_when(length, services.now(), services.timezone)
    answer = await services.alerts.snooze(alert.id, until, request.by, note)
    return _said(
        answer, f"Nobody is told of it until {until.astimezone(ZoneInfo(services.timezone)):%a %H:%M %Z}."
    )


async def silence(request: Request, services: Services, alert: Alert, length: str, reason: str) -> Reply:
    """Tells whoever sends it to keep it back."""
    if alert.source not in services.silencer.sources:
        return _not_silenced(
            f"{quoted(alert.source)} cannot be told to be silent: that needs an Alertmanager with its `api:` "
            f"under `hooks:` in maint.yaml. {request.program} alerts snooze {short_id(alert.id)} {length} "
            "puts the alert off here."
        )
    until = until_when(length, services.now(), services.timezone)
    view = await services.alerts.view(alert.id)
    if not alert.is_open or view is None:
        return _said(Answer(became=Became.OVER, alert=alert), "")
    if view.silence is not None:
        return _said(Answer(became=Became.ALREADY, alert=alert), "")
    by = f"{request.by.name} ({request.by.id})"
    where = request.permalink or f"alert {short_id(alert.id)}"
    made = await services.silencer.silence(alert, until, by, f"{reason} (Maint: {where})")
    try:
        answer = await services.alerts.silence(alert.id, until, made, request.by, reason)
    except RecordsError:
        await services.silencer.expire(alert, made)  # nobody would know of it
        raise
    if answer.became is not Became.DONE:
        await services.silencer.expire(alert, made)
    here = until.astimezone(ZoneInfo(services.timezone))
    return _said(answer, f"{alert.source} keeps it back until {here:%a %H:%M %Z}.")


async def expire(request: Request, services: Services, alert: Alert) -> Reply:
    """Ends its silence."""
    view = await services.alerts.view(alert.id)
    if view is None or view.silence is None:
        return _not_silenced(f"Nothing keeps {alert.title} ({short_id(alert.id)}) back.")
    await services.silencer.expire(alert, view.silence.before)
    answer = await services.alerts.unsilence(alert.id, request.by)
    return _said(answer, f"{alert.source} tells it again.")


async def resolve(request: Request, services: Services, alert: Alert, reason: str) -> Reply:
    """Ends it."""
    answer = await services.alerts.resolve(alert.id, request.by, reason)
    return _said(
        answer, "It is over. If what it is about is still bad, it opens anew when that is next seen."
    )


def until_when(length: str, now: datetime, timezone: str) -> datetime:
    """When `30m`, `2h` or `tomorrow` is over. Raises UsageError."""
    if length.casefold() == "tomorrow":
        here = now.astimezone(ZoneInfo(timezone))
        return datetime.combine(here.date() + timedelta(days=1), MORNING, here.tzinfo)
    try:
        found = parse_duration(length)
    except ValueError:
        raise UsageError(f"Say for how long: 30m, 2h, 1d or tomorrow, not {quoted(length)}.") from None
    if not timedelta(0) < found <= LONGEST_SNOOZE:
        raise UsageError(f"A snooze is longer than nothing and at most {LONGEST_SNOOZE.days}d.")
    return now + timedelta(seconds=found.total_seconds())


async def _help(
    request: Request, services: Services, alert: Alert, runbook: str, progress: Progress
) -> Reply:
    """Runs what may help: as if it had been typed, with its own rights, form and gates."""
    helps = remedies_of(services.runbooks, alert)
    help_ = next((each for each in helps if each.runbook == runbook), None)
    if help_ is None:
        raise UsageError(f"The runbook {alert.runbook} does not name {quoted(runbook)} as a remedy any more.")
    words = (help_.runbook, *(f"{name}={value}" for name, value in help_.params.items()))
    return await Run().answer(request, words, services, progress)


def _not_silenced(text: str) -> Reply:
    return Reply(
        title="Not silenced",
        fallback=text,
        status=Status.WARNING,
        elements=(Paragraph(text),),
        data={"outcome": Verdict.UNKNOWN.value, "text": text},
    )


def _why_needed(alert: Alert, title: str, label: str) -> Reply:
    return Reply(
        title="Say why",
        fallback=label,
        elements=(Paragraph(label),),
        data={
            "outcome": Verdict.REASON_NEEDED.value,
            "form": {"title": title, "about": alert.title, "label": label},
        },
    )


def _said(answer: Answer, done: str) -> Reply:
    alert = answer.alert
    name = f"{alert.title} ({short_id(alert.id)})" if alert else "The alert"
    match answer.became:
        case Became.DONE:
            title, text, outcome = "Noted", done, Verdict.COUNTED.value
        case Became.ALREADY if alert is not None:
            title, text, outcome = "Already so", f"It is {state_words(alert)}.", Verdict.DUPLICATE.value
        case Became.OVER if alert is not None:
            by = f" by {alert.resolved_by}" if alert.resolved_by else ""
            title, text, outcome = "Too late", f"It is over: {state_words(alert)}{by}.", Verdict.LATE.value
        case _:
            title, text, outcome = "Nothing there", "There is no such alert any more.", Verdict.UNKNOWN.value
    return Reply(
        title=title,
        fallback=f"{name}: {text}",
        status=Status.OK if answer.became in (Became.DONE, Became.ALREADY) else Status.WARNING,
        elements=(Paragraph(f"{name}: {text}"),),
        data={"outcome": outcome, "text": text, "alert": alert.id if alert else ""},
    )
