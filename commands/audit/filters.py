"""What people ask of the log, in words: `by kim`, `runbook vacuum`, `on db`, `denied`, `since 2d`."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime

from commands.audit.times import UNITS, moment, written
from commands.words import quoted
from runbooks.errors import UsageError
from runbooks.nearest import nearest
from runbooks.records.audit import Outcome

#: Characters of one value, and of all the words together: a button takes 2,000.
LONGEST, LONGEST_LINE = 150, 1900
#: The last place that a log can have (a 64-bit integer).
_LAST = 2**63 - 1

OUTCOMES = tuple(outcome.value for outcome in Outcome)
#: The words that stand before a value, and the field that each fills.
_KEYS = {
    "by": "by",
    "runbook": "runbook",
    "on": "target",
    "run": "run",
    "in": "channel",
    "action": "action",
    "since": "since",
    "until": "until",
    "before": "before",
    "after": "after",
}
KEYS = tuple(_KEYS)
_WORDS = {field: key for key, field in _KEYS.items()}
#: As Slack sends who and what was chosen from a list: `<@U0123|kim>`, `<#C0123|ops>`.
_SENT = re.compile(r"<[@#]([A-Z0-9]{2,})(?:\|[^>]*)?>")


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What was asked for. `since` is the first moment, `until` the first that is too late; `before` and
    `after` are places in the log, from which a page goes on."""

    by: str = ""
    runbook: str = ""
    target: str = ""
    run: str = ""
    channel: str = ""
    action: str = ""
    outcomes: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    before: int = 0
    after: int = 0

    def words(self) -> tuple[str, ...]:
        """The same in words, which are read as the same whenever that is."""
        found: list[str] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "outcomes":
                found += value
            elif value:
                found += [_WORDS[field.name], written(value) if isinstance(value, datetime) else str(value)]
        return tuple(found)

    def line(self) -> str:
        """The words as they are typed."""
        return shlex.join(self.words())


def parse(words: tuple[str, ...], now: datetime) -> Filters:
    """Reads the filters; `--since 2d` is `since 2d`. Raises UsageError for what is none, with the nearest."""
    found = Filters()
    rest = iter(_joined(words))
    for word in rest:
        key = word.removeprefix("--").casefold()
        if key in OUTCOMES:
            found = replace(found, outcomes=tuple(dict.fromkeys((*found.outcomes, key))))
        elif key in _KEYS:
            found = _filled(found, key, next(rest, ""), now)
        else:
            raise UsageError(_unknown(word, key))
    if found.since and found.until and found.since >= found.until:
        raise UsageError("Nothing can be found: `until` is not after `since`.")
    if found.before and found.after:
        raise UsageError("before or after: a page goes on in one direction.")
    if len(found.line()) > LONGEST_LINE:
        raise UsageError("That is too much to look for at once: leave some of it out.")
    return found


def _filled(found: Filters, key: str, value: str, now: datetime) -> Filters:
    field = _KEYS[key]
    if not value:
        raise UsageError(f"What follows {key}? For example: {_EXAMPLES[key]}.")
    if len(value) > LONGEST:
        raise UsageError(f"What follows {key} is longer than {LONGEST} characters.")
    if getattr(found, field):
        raise UsageError(f"{key} is given twice, and only one of them can be meant.")
    read: object = _name(value)
    if key in ("since", "until"):
        read = moment(value, now, end=key == "until")
    elif key in ("before", "after"):
        read = _place(key, value)
    elif key == "action" or key == "runbook":
        read = value.casefold()
    return replace(found, **{field: read})  # type: ignore[arg-type]  # each of the type of its field


_EXAMPLES = {
    "by": "by @kim",
    "runbook": "runbook vacuum",
    "on": "on db",
    "run": "run 3f9kq2ab",
    "in": "in #ops",
    "action": "action gate.approve",
    "since": "since 2d",
    "until": "until yesterday",
    "before": "before 1234",
    "after": "after 1234",
}


def _name(value: str) -> str:
    """A name or an id, without the sign before it; one of signs alone stays as it is."""
    sent = _SENT.fullmatch(value)
    return sent[1] if sent else value.lstrip("@#") or value


def _place(key: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", value) or not 0 < int(value) <= _LAST:
        raise UsageError(f"{key} takes the number of an event, as its first column has it.")
    return int(value)


def _joined(words: tuple[str, ...]) -> Iterator[str]:
    """`since 2 days ago` as `since 2days`."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        yield word
        timed = word.removeprefix("--").casefold() in ("since", "until")
        if timed and rest and rest[0].isdecimal() and rest[1:] and rest[1].casefold() in UNITS:
            yield rest.pop(0) + rest.pop(0)
        elif timed and rest:
            yield rest.pop(0)
        if timed and rest and rest[0].casefold() == "ago":
            rest.pop(0)


def _unknown(word: str, key: str) -> str:
    if key in ("about", "text", "containing", "like"):
        return (
            "The log is not searched by what texts say: that would take a second log. It is searched by who, "
            f"what, where and when: {', '.join(KEYS[:8])}, and how it went: {', '.join(OUTCOMES)}."
        )
    meant = nearest(key, (*KEYS, *OUTCOMES))
    hint = f"Did you mean {meant}? " if meant else ""
    shown = ", ".join(_EXAMPLES[each] for each in KEYS[:8])
    return f"I do not know {quoted(word)}. {hint}There are: {shown}; and how it went: {', '.join(OUTCOMES)}."
