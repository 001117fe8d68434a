"""What each key of a runbook means, in a few words: for the page on writing runbooks, and for editors."""

from collections.abc import Mapping

from pydantic import BaseModel

from runbooks.spec.conditions import When
from runbooks.spec.head import AlertRules, Escalation, Flapping, Head, Remedy, Schedule
from runbooks.spec.params import ChoicesFrom, Param
from runbooks.spec.step_reading import RetryFields, StepHead
from runbooks.spec.window import Window
from runbooks.steps.action import Action
from runbooks.steps.step import Check
from runbooks.steps.thresholds import Condition

_OPERATORS = {
    "above": "more than this number",
    "at_least": "this number or more",
    "below": "less than this number",
    "at_most": "this number or less",
    "equals": "just this",
    "differs_from": "anything but this",
}

#: By model and key, as the key is written. A subclass has those of its bases.
MEANINGS: Mapping[type[BaseModel], Mapping[str, str]] = {
    Head: {
        "name": "what people type; it replaces a shipped runbook of that name",
        "title": "a few words for people; parameters may stand in it",
        "purpose": "why it is there",
        "owner": "whose it is",
        "prerequisites": "sentences: what must be so before it is run",
        "success_criteria": "sentences: how one sees that it worked",
        "params": "what it asks for before it starts, by name",
        "locks": "the targets that no other run may act on meanwhile",
        "steps": "what it does, in order",
        "rollback": "steps that are done, when all is undone, after what undoes the steps themselves",
        "channel": "a name from maint.yaml: where the run's card goes by default",
        "alerts": "when its checks open alerts, and where these are shown",
        "remedies": "runbooks that may help: buttons on its alerts",
        "timeout": "for all of it, at most 7d (kept, not acted on yet)",
        "schedule": "when it runs by itself: [schedules](schedules.md)",
        "window": "when its risky steps may begin: [schedules](schedules.md#maintenance-windows)",
        "escalation": "who hears of alerts of its checks: [escalation](escalation.md#of-a-runbook)",
    },
    Schedule: {
        "cron": "five fields: minute, hour, day of month, month, day of week by name",
        "on": "days in words and a time: `first Monday of the month 10:00`",
        "every": "so often, from 1s to 366d, counted from 1970-01-01 00:00 UTC",
        "timezone": "whose clock `cron` and `on` go by: a name like Europe/Berlin",
        "report": "of checks: `digest`: everything that was looked at; `changes`: what is otherwise than "
        "last time, and a line a day; `weekly`: how the week was; `none`: the card of a run",
        "grace": "of a digest: so much later it is late, and an alert says so; from 1m to 24h",
        "channel": "a name from maint.yaml: where the card goes, in place of the runbook's `channel`",
        "params": "what the runbook asks for, by name",
        "missed": "what is made up for after Maint was down: nothing (`skip`), the `latest` time, or `all`",
        "overlap": "when the last one is not over: `skip` this one, or `queue` it",
        "jitter": "up to so much later, by chance, at most 1h",
    },
    AlertRules: {
        "for": "bad for so long before an alert opens, at most 24h; a check's own `for` comes first",
        "clear": "well for so long before it is over, at most 24h",
        "flapping": "from how many changes within which time it is told as flapping",
        "channel": "a name from maint.yaml; `alerts: channel:` there, when it is not given",
    },
    Flapping: {"changes": "so many, 3 to 50", "within": "within that time, at most 24h"},
    Remedy: {
        "runbook": "its name",
        "params": "what it is given; a parameter `target` that is not given is the alert's",
        "steps": "the ids of the checks against whose alerts it helps; all when there are none",
    },
    Window: {
        "on": "days and hours: `Sat,Sun 22:00-06:00`",
        "timezone": "whose clock that is: a name like Europe/Berlin",
        "leave": "what a run does at the first risky step after it closes: `finish` all the same, `hold` "
        "until it opens again, or `cancel`, which asks whether to roll back",
    },
    Escalation: {
        "when": "all of these: `status` (`critical`, `warning`), `step`, conditions on outputs of that step: "
        "`{step: errors, rate_percent: {above: 5}}`",
        "to": "who hears of it: a rotation or role of maint.yaml, a person, or a usergroup",
        "after": "so long after it began, at most 30d",
        "page": "whether they are woken up: every service of the types `pagerduty` and `opsgenie`",
        "note": "a sentence for them",
    },
    Param: {
        "type": "what it is",
        "prompt": "what people are asked",
        "help": "a sentence more",
        "default": "what it is when it is not given; without one it must be given",
        "required": "`false`: it may be left out",
        "secret": "of a `string`: never shown, not in a plan, a card or the log; it has no default",
        "pattern": "of a `string`: a regular expression for all of it",
        "min": "of a number, date or duration; of a `string` its characters, of a `list` its items",
        "max": "likewise",
        "choices": "of a `choice`: what it may be",
        "choices_from": "of a `choice`: an http target that lists what it may be",
        "of": "of a `target`: the type that it must have",
        "environment": "of a `target`: the environments that it may be in, one or a list",
        "items": "of a `list`: what each item must be, with the keys above; texts when nothing is said",
    },
    ChoicesFrom: {
        "target": "an http target",
        "path": "answers with a JSON list of texts, or of maps",
        "key": "of maps: the key that is taken",
    },
    StepHead: {
        "id": "a name, once in the runbook",
        "title": "a few words for people; the kind's own when there is none",
        "when": "conditions by what they are on, as in `params.environment`: all must hold, or it is skipped",
        "for_each": "a list, or a reference to one: done for each item, which is `{{ item }}`",
        "at_once": "with `for_each`: for how many items at the same time",
        "skippable": "a person may skip it after it failed, with a reason",
        "on_failure": "when it fails: `ask` people, `continue` with a warning, or `rollback`",
        "retry": "of a check, or an action that may be repeated: it is tried again by itself",
        "rollback": "of an action: what undoes it: `{command: {…}}`, with a `title` if need be",
        "parallel": "in place of a kind: steps that are done at the same time",
        "steps": "in place of a kind, with `for_each`: steps, one after the other, for each item",
    },
    RetryFields: {"attempts": "how often at most, the first time included", "wait": "how long in between"},
    When: {**_OPERATORS, "in": "one of a list"},
    Condition: _OPERATORS,
    Check: {
        "target": "a target of the type that the kind needs; `*` is every one of that type",
        "timeout": "at most 10m; what takes longer is `unknown`",
        "warning": "thresholds: `{used_percent: {above: 80}}`, or `{above: 80}` for the kind's headline",
        "critical": "likewise; as a step of a run, what is critical fails it",
        "for": "bad for so long before an alert opens, at most 24h",
        "clear": "thresholds that must hold before an alert is over: `{used_percent: {below: 70}}`",
    },
    Action: {
        "timeout": "how long it may take, at most 24h",
        "grace": "how long it has to end when it is cancelled, before it is killed",
        "risk": "of `command`, `script` and `http.request`: `read`, `low`, `medium` or `high`",
        "repeatable": "likewise: doing it twice is the same as doing it once, so a crash in it asks nobody",
    },
}


def meaning(model: type[BaseModel], key: str) -> str:
    """What that key of the model means; empty when it is the kind's own, whose page tells it."""
    for base in model.__mro__:
        if words := MEANINGS.get(base, {}).get(key):
            return words
    return ""
