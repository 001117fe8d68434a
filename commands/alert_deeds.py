"""What people do to an alert, typed or pressed: they take it on, put it off, end it, run what may help."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from commands.alert_card import ACK, REMEDY, RESOLVE, SNOOZE, remedies_of, short_id, state_words
from commands.command import Progress, Request, Services
from commands.reply import Paragraph, Reply
from commands.run import Run
from commands.words import quoted
from runbooks.engine.decided import Verdict
from runbooks.errors import Refused, UsageError
from runbooks.records.alerts import Alert
from runbooks.spec.model import parse_duration
from runbooks.status import Status
from runbooks.watch.alerts import Answer, Became

WORD = "alerts"
#: When the morning is that "until tomorrow" means.
MORNING = time(9)
LONGEST_SNOOZE = timedelta(days=31)

_ID = re.compile(r"[0-9a-z]{4,26}")


def is_alert_button(choice: str) -> bool:
    """Whether a button is one of an alert's card."""
    return choice in (ACK, SNOOZE, RESOLVE) or choice.startswith(f"{REMEDY}-")


async def press_alert(
    request: Request, services: Services, choice: str, value: str, text: str, progress: Progress
) -> Reply:
    """Does what a button of an alert's card stands for, as the right to it is at this moment."""
    id_, _, more = value.partition(".")
    alert = await find_alert(request, services, id_)
    if choice.startswith(REMEDY):
        return await _help(request, services, alert, more, progress)
    check_may_change(request, alert)
    match choice:
        case "alert-ack":
            return await acknowledge(request, services, alert)
        case "alert-snooze":
            return await snooze(request, services, alert, more)
    if not text and alert.is_open:
        return _why_needed(alert)
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
        raise Refused(f"{request.actor.name} may not change alerts here: {denial.place} denies it.")
    if not verdict_for:
        where = alert.target or "every environment, as it is about no target of its own"
        raise Refused(
            f"{request.actor.name} may not change alerts of {where} here: that needs a grant with "
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


def _why_needed(alert: Alert) -> Reply:
    return Reply(
        title="Say why",
        fallback="Say why it is over.",
        elements=(Paragraph("Say why it is over."),),
        data={
            "outcome": Verdict.REASON_NEEDED.value,
            "form": {"title": "Resolve alert", "about": alert.title, "label": "Why is it over?"},
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
