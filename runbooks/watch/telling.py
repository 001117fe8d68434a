"""What a move of a ladder puts into the rows: notices to people and services, and what they say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runbooks.records import notices
from runbooks.records.asks import Transaction
from runbooks.records.notices import ACKNOWLEDGE, RESOLVE, TRIGGER
from runbooks.records.subjects import Subject
from runbooks.watch.escalation import Tell
from runbooks.watch.policies import DIRECT, MENTION, PAGE, Level

#: Kinds of services that wake people up: what `page` means.
PAGERS = frozenset({"pagerduty", "opsgenie"})
#: Of what was acknowledged these hear, and these of what is over.
_HEARS = {
    ACKNOWLEDGE: frozenset({"pagerduty", "opsgenie", "webhook"}),
    RESOLVE: frozenset({"pagerduty", "opsgenie", "webhook", "email"}),
}
_PRIORITY = {"critical": 3, "warning": 2}


@dataclass(frozen=True, kw_only=True)
class Called:
    """Whom a level calls: as the policy says it, and who that is at this moment. Only a rotation is looked up
    here; who has a role, or is on call elsewhere, is asked when the notice is sent."""

    entry: str
    person: str


def tell(
    connection: Transaction,
    subject: Subject,
    deed: Tell,
    level: Level,
    called: Sequence[Called],
    *,
    policy: str,
    services: Mapping[str, str],
    channel: str,
    now: datetime,
) -> int:
    """Puts the notices of one level; how many were new. `services`: the kind of each; `channel`: for what is
    told in none of its own."""
    body = {
        **facts(subject),
        "action": TRIGGER,
        "text": _words(subject, deed, level, policy),
        "who": [each.person for each in called],
        "level": deed.level + 1,
    }
    count = 0
    for kind, target, entry in _places(subject, level, called, services, channel):
        key = notices.key_of(
            subject.about, subject.id, deed.turn, deed.round, deed.level, kind, target, entry
        )
        who = [entry] if entry else body["who"]
        count += notices.put(
            connection,
            key,
            about=subject.about,
            subject=subject.id,
            kind=kind,
            target=target,
            body={**body, "who": who},
            at=now,
            priority=_PRIORITY.get(subject.trouble.severity, 1),
        )
    return count


def tell_services(connection: Transaction, subject: Subject, action: str, turn: int, now: datetime) -> int:
    """Services that were told of it are told that somebody has it, or that it is over; how many. What nobody
    began to send is taken back first."""
    notices.withdraw(connection, subject.about, subject.id, now)
    count = 0
    for (kind, target), who in _told(connection, subject, _HEARS[action]).items():
        key = notices.key_of(subject.about, subject.id, turn, action, kind, target)
        body = {**facts(subject), "action": action, "text": _ending(subject, action), "who": who}
        count += notices.put(
            connection,
            key,
            about=subject.about,
            subject=subject.id,
            kind=kind,
            target=target,
            body=body,
            at=now,
        )
    return count


def facts(subject: Subject) -> dict[str, Any]:
    """What every notice says of its subject. `key` is the same from its beginning to its end."""
    trouble = subject.trouble
    return {
        "key": f"maint-{subject.about}-{subject.id}",
        "title": subject.title,
        "summary": subject.summary,
        "severity": trouble.severity,
        "source": trouble.source,
        "runbook": trouble.runbook,
        "step": trouble.step,
        "target": trouble.target,
        "environment": trouble.environment,
        "value": trouble.value,
        "labels": dict(trouble.labels),
        "links": dict(subject.links),
        "opened_at": subject.opened_at.isoformat(),
        "by": subject.taken_by,
        "why": subject.why,
    }


def _places(
    subject: Subject, level: Level, called: Sequence[Called], services: Mapping[str, str], channel: str
) -> Iterator[tuple[str, str, str]]:
    """Kind, target, and for whom alone."""
    for how in level.by:
        if how == MENTION:
            place = subject.channel or channel
            if place:
                yield MENTION, place, ""
        elif how == DIRECT:
            yield from ((DIRECT, each.person, each.person) for each in called)
        else:
            for name in _named(how, services):
                yield services[name], name, ""


def _named(how: str, services: Mapping[str, str]) -> Iterable[str]:
    if how == PAGE:
        return sorted(name for name, kind in services.items() if kind in PAGERS)
    return (how,) if how in services else ()


def _told(
    connection: Transaction, subject: Subject, kinds: frozenset[str]
) -> dict[tuple[str, str], list[str]]:
    """The services that heard of it, or may have, and for whom."""
    told: dict[tuple[str, str], list[str]] = {}
    for row in notices.of_subject(connection, subject.about, subject.id):
        if row.kind in kinds and row.body.get("action") == TRIGGER and row.failed_at is None:
            who = told.setdefault((row.kind, row.target), [])
            who += [each for each in row.body.get("who", ()) if each not in who]
    return told


def _words(subject: Subject, deed: Tell, level: Level, policy: str) -> str:
    again = f", for the {deed.round + 1}. time" if deed.round else ""
    where = f" ({policy}, level {deed.level + 1}{again})"
    if subject.ask is not None:
        return f"{subject.summary} waits for approval, and whoever is called here may approve it{where}."
    said = f": {subject.summary}" if subject.summary and subject.summary != subject.title else ""
    note = f" {level.note.rstrip('.')}." if level.note else ""
    return f"{subject.title}{said}.{note} Nobody has taken it yet{where}."


def _ending(subject: Subject, action: str) -> str:
    by = f" by {subject.taken_by}" if subject.taken_by else ""
    why = f": {subject.why}" if subject.why else ""
    done = "Acknowledged" if action == ACKNOWLEDGE else "Over"
    return f"{done}{by}{why}"
