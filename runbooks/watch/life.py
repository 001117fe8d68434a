"""How an alert lives: what a signal, a person or the time makes of it. Nothing here touches the world."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from runbooks.records.alerts import RANK, Alert, AlertStatus, Change, Severity
from runbooks.records.person import Person
from runbooks.watch.damping import Damping
from runbooks.watch.signal import Seen, Signal

#: Who ends an alert when what it is about is well again.
BY_ITSELF = ""


class What(StrEnum):
    """What can become of an alert."""

    OPENED = "opened"
    REOPENED = "reopened"
    SEVERITY = "severity"
    FLAPPING = "flapping"
    CALM = "calm"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    SILENCED = "silenced"
    UNSILENCED = "unsilenced"
    WOKE = "woke"
    STALE = "stale"
    SEEN = "seen"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Step:
    """What an alert is now, None if it never was one, and what became of it on the way."""

    alert: Alert | None
    changes: tuple[Change, ...] = ()


def after(alert: Alert | None, signal: Signal) -> Step:
    """What that signal makes of the open alert of its fingerprint, or else of the last one that there was."""
    step = _after(alert, signal)
    if alert is None or not alert.stale or step.alert is None or step.alert.stale:
        return step
    return Step(step.alert, (_change(step.alert, signal.at, What.SEEN), *step.changes))


def _after(alert: Alert | None, signal: Signal) -> Step:
    if alert is not None and _is_late(alert, signal):
        return Step(alert)
    bad = signal.seen in (Seen.BAD, Seen.UNKNOWN)
    if alert is None or (not alert.is_open and not _may_reopen(alert, signal)):
        if bad:
            return _begun(signal)
        # Its end came before its beginning: that is kept, so that the beginning opens nothing.
        return Step(_over_already(signal) if signal.key and signal.seen is Seen.WELL else alert)
    if alert.status == AlertStatus.PENDING:
        return _still_pending(alert, signal) if bad else Step(None)
    if not alert.is_open:
        # The end of a firing that comes before its beginning is kept here too.
        over = replace(alert, pending_since=None, external_key=signal.key or alert.external_key)
        return _again(alert, signal) if bad else Step(over)
    if bad:
        return _still_bad(alert, signal)
    if signal.seen is Seen.HOLD:
        return Step(replace(_noted(alert, signal), clear_since=None))
    return _maybe_over(alert, signal)


def acknowledged(alert: Alert, by: Person, at: datetime, note: str = "") -> Step:
    """Somebody takes it on: nobody else need hear of it."""
    taken = replace(
        alert,
        status=AlertStatus.ACKNOWLEDGED,
        acked_by_id=by.id,
        acked_by_name=by.name,
        acked_at=at,
        snoozed_until=None,
        wake_at=None,
    )
    return _moved(taken, at, What.ACKNOWLEDGED, alert.status, taken.status, by=by, note=note)


def snoozed(alert: Alert, until: datetime, by: Person, at: datetime, note: str = "") -> Step:
    """Nobody hears of it until then."""
    quiet = replace(alert, status=AlertStatus.SNOOZED, snoozed_until=until, wake_at=until)
    return _moved(quiet, at, What.SNOOZED, alert.status, until.isoformat(), by=by, note=note)


def woken(alert: Alert, at: datetime) -> Step:
    """Its snooze is over: it fires again."""
    if alert.status != AlertStatus.SNOOZED or alert.wake_at is None or alert.wake_at > at:
        return Step(alert)
    awake = replace(alert, status=AlertStatus.FIRING, snoozed_until=None, wake_at=None)
    return _moved(awake, at, What.WOKE, alert.status, awake.status)


def silenced(alert: Alert, until: datetime, silence: str, by: Person, at: datetime, note: str) -> Step:
    """Who sends it keeps it back until then, and nobody hears of it here. `silence`: its id there."""
    quiet = replace(alert, status=AlertStatus.SNOOZED, snoozed_until=until, wake_at=until)
    return _moved(quiet, at, What.SILENCED, silence, until.isoformat(), by=by, note=note)


def unsilenced(alert: Alert, by: Person, at: datetime) -> Step:
    """It is not kept back any more: it fires again, unless somebody has taken it on meanwhile."""
    sleeps = alert.status == AlertStatus.SNOOZED
    status = AlertStatus.FIRING if sleeps else alert.status
    loud = replace(alert, status=status, snoozed_until=None, wake_at=None)
    return _moved(loud, at, What.UNSILENCED, alert.status, loud.status, by=by)


def unwatched(alert: Alert, at: datetime) -> Step:
    """Nobody has looked at it although it was time to: how it is now, nobody knows. That is told, also of one
    that was not bad for long enough when somebody looked last: unknown is not well."""
    if not alert.is_open or alert.expected_by is None or alert.expected_by > at:
        return Step(alert)
    stale = replace(alert, stale=True, expected_by=None)
    opening: tuple[Change, ...] = ()
    if alert.status == AlertStatus.PENDING:
        stale = replace(stale, status=AlertStatus.FIRING, pending_since=None, flaps=(at,))
        opening = (_opening(stale, at),)
    step = _moved(stale, at, What.STALE, alert.status, stale.status)
    return Step(step.alert, (*opening, *step.changes))


def resolved(alert: Alert, by: Person | None, at: datetime, reason: str = "") -> Step:
    """It is over: because what it is about is well again, or because a person says so."""
    over = replace(
        alert,
        status=AlertStatus.RESOLVED,
        resolved_at=max(at, alert.opened_at),
        resolved_by=by.name if by else BY_ITSELF,
        resolve_reason=reason,
        snoozed_until=None,
        wake_at=None,
        pending_since=None,
        clear_since=None,
        flapping=False,
        expected_by=None,
        stale=False,
    )
    return _moved(over, at, What.RESOLVED, alert.status, over.status, by=by, note=reason)


def _is_late(alert: Alert, signal: Signal) -> bool:
    """Whether more is known already: two that measured at once, a message that was long on its way."""
    if signal.key and alert.external_key:
        if signal.key == alert.external_key:
            return not alert.is_open  # told again, after its end
        # Two Prometheus servers begin at two moments, and Alertmanager ends both with the earlier one: what
        # ended after this firing began has ended this firing.
        ends_it = signal.seen is Seen.WELL and alert.is_open and signal.at > _began(alert)
        return signal.key < alert.external_key and not ends_it
    seen_at = alert.last_at if alert.is_open else max(alert.last_at, alert.resolved_at or alert.last_at)
    return signal.at <= seen_at


def _says_nothing_new(alert: Alert, signal: Signal) -> bool:
    """Whether another system tells again what it told before: it does so whenever one of a group changes."""
    told = (alert.title, alert.summary, alert.value, alert.severity, alert.annotations, alert.links)
    tells = (signal.title, signal.summary, signal.value, signal.severity, signal.annotations, signal.links)
    same = bool(signal.key) and signal.key == alert.external_key and told == tells
    return same and not alert.flapping and alert.clear_since is None


def _began(alert: Alert) -> datetime:
    """When the firing began that is under way, as its sender says."""
    try:
        return datetime.fromisoformat(alert.external_key)
    except ValueError:
        return alert.last_at


def _may_reopen(alert: Alert, signal: Signal) -> bool:
    """Whether it is the same trouble that comes again. Who said that it was over meant that one."""
    by_itself = alert.resolved_by == BY_ITSELF and alert.resolved_at is not None
    return by_itself and signal.at - (alert.resolved_at or signal.at) < signal.damping.within


def _begun(signal: Signal) -> Step:
    waits = signal.damping.wait > timedelta(0)
    alert = Alert(
        fingerprint=signal.fingerprint,
        source=signal.source,
        external_key=signal.key,
        severity=signal.severity,
        status=AlertStatus.PENDING if waits else AlertStatus.FIRING,
        title=signal.title,
        summary=signal.summary,
        value=signal.value,
        unit=signal.unit,
        runbook=signal.runbook,
        step=signal.step,
        target=signal.target,
        environment=signal.environment,
        owner=signal.owner,
        channel=signal.channel,
        labels=signal.labels,
        annotations=signal.annotations,
        links=signal.links,
        expected_by=signal.expected_by,
        opened_at=signal.at,
        last_at=signal.at,
        changed_at=signal.at,
        pending_since=signal.at if waits else None,
        flaps=() if waits else (signal.at,),
    )
    return Step(alert) if waits else Step(alert, (_opening(alert, signal.at),))


def _over_already(signal: Signal) -> Alert:
    never_seen = _begun(replace(signal, damping=Damping(), channel="")).alert
    assert never_seen is not None
    over = resolved(never_seen, None, signal.at).alert
    assert over is not None
    return over


def _still_pending(alert: Alert, signal: Signal) -> Step:
    seen = _noted(alert, signal, worse=True)
    if signal.at - (alert.pending_since or signal.at) < signal.damping.wait:
        return Step(seen)
    opened = replace(
        seen, status=AlertStatus.FIRING, pending_since=None, changed_at=signal.at, flaps=(signal.at,)
    )
    return Step(opened, (_opening(opened, signal.at),))


def _again(alert: Alert, signal: Signal) -> Step:
    """It comes back soon after its end: the same alert goes on, in the same message."""
    since = alert.pending_since or signal.at
    if signal.at - since < signal.damping.wait:
        return Step(replace(alert, pending_since=since, last_at=signal.at))
    back = replace(
        _noted(alert, signal),
        status=AlertStatus.FIRING,
        severity=signal.severity,
        external_key=signal.key,
        channel=alert.channel or signal.channel,
        resolved_at=None,
        pending_since=None,
        acked_by_id="",
        acked_by_name="",
        acked_at=None,
    )
    back, changes = _flapped(back, signal)
    step = _moved(back, signal.at, What.REOPENED, alert.status, back.status, value=signal.value)
    return Step(step.alert, (*step.changes, *changes))


def _still_bad(alert: Alert, signal: Signal) -> Step:
    if _says_nothing_new(alert, signal):
        return Step(alert)
    turned = alert.clear_since is not None
    seen = replace(_noted(alert, signal), clear_since=None, external_key=signal.key or alert.external_key)
    changes: tuple[Change, ...] = ()
    # That nobody can measure it makes nothing better, and nothing worse.
    level = alert.severity if signal.seen is Seen.UNKNOWN else signal.severity
    if turned or level != alert.severity:
        seen, changes = _flapped(seen, signal)
    else:
        seen, changes = _settled(seen, signal)
    if level == alert.severity:
        return Step(seen, changes)
    worse = RANK.index(Severity(level)) > RANK.index(Severity(alert.severity))
    seen = replace(seen, severity=level)
    if worse and not alert.flapping and alert.status != AlertStatus.FIRING:
        # Who took on a warning has not taken on what it has become.
        seen = replace(seen, status=AlertStatus.FIRING, snoozed_until=None, wake_at=None)
    step = _moved(seen, signal.at, What.SEVERITY, alert.severity, level, value=signal.value)
    return Step(step.alert, (*step.changes, *changes))


def _maybe_over(alert: Alert, signal: Signal) -> Step:
    since = alert.clear_since or signal.at
    newest = max(signal.key, alert.external_key)
    seen = replace(_noted(alert, signal, better=True), clear_since=since, external_key=newest)
    changes: tuple[Change, ...] = ()
    if alert.clear_since is None:
        seen, changes = _flapped(seen, signal)
    # Of what comes and goes only a long rest says that it is over; but another system says that only once.
    restless = seen.flapping and not signal.key
    rest = max(signal.damping.clear, signal.damping.within) if restless else signal.damping.clear
    if signal.at - since < rest:
        return Step(seen, changes)
    over = resolved(seen, None, signal.at)
    return Step(over.alert, (*changes, *over.changes))


def _noted(alert: Alert, signal: Signal, *, worse: bool = False, better: bool = False) -> Alert:
    """The alert with what was seen last. `worse`: with the worst severity so far; `better`: it is well."""
    severity = max(alert.severity, signal.severity, key=_rank) if worse else alert.severity
    return replace(
        alert,
        severity=severity,
        last_at=signal.at,
        title=alert.title if better else signal.title,
        summary=signal.summary or alert.summary,
        value=signal.value,
        unit=signal.unit or alert.unit,
        annotations=signal.annotations or alert.annotations,
        links=signal.links or alert.links,
        count=alert.count + (signal.seen in (Seen.BAD, Seen.UNKNOWN)),
        flaps=signal.damping.recent(alert.flaps, signal.at),
        expected_by=signal.expected_by,
        stale=False,
        version=alert.version + 1,
    )


def _flapped(alert: Alert, signal: Signal) -> tuple[Alert, tuple[Change, ...]]:
    """It changed; too often by now, perhaps."""
    flaps = signal.damping.recent((*alert.flaps, signal.at), signal.at)
    moved = replace(alert, flaps=flaps)
    if alert.flapping or not signal.damping.flaps(flaps):
        return moved, ()
    moved = replace(moved, flapping=True)
    return moved, (_change(moved, signal.at, What.FLAPPING, after=str(len(flaps))),)


def _settled(alert: Alert, signal: Signal) -> tuple[Alert, tuple[Change, ...]]:
    """It did not change; for long enough, perhaps."""
    if not alert.flapping or alert.flaps:
        return alert, ()
    calm = replace(alert, flapping=False)
    return calm, (_change(calm, signal.at, What.CALM),)


def _opening(alert: Alert, at: datetime) -> Change:
    return _change(alert, at, What.OPENED, after=alert.severity, value=alert.value)


def _moved(
    alert: Alert,
    at: datetime,
    what: What,
    before: str,
    now: str,
    *,
    value: float | None = None,
    by: Person | None = None,
    note: str = "",
) -> Step:
    moved = replace(alert, changed_at=at, version=alert.version + 1)
    return Step(moved, (_change(moved, at, what, before, now, value=value, by=by, note=note),))


def _change(
    alert: Alert,
    at: datetime,
    what: What,
    before: str = "",
    after: str = "",
    *,
    value: float | None = None,
    by: Person | None = None,
    note: str = "",
) -> Change:
    return Change(
        alert=alert.id,
        at=at,
        what=what,
        before=str(before),
        after=str(after),
        value=value,
        by_id=by.id if by else "",
        by_name=by.name if by else "",
        note=note,
    )


def _rank(severity: str) -> int:
    return RANK.index(Severity(severity))
