"""Whom a runbook itself calls: its `escalation:`, as the ladder of the trouble that its checks find."""

from collections.abc import Iterable, Mapping, Sequence

from runbooks.spec.conditions import When
from runbooks.spec.head import Escalation
from runbooks.spec.runbook import Runbook
from runbooks.watch.policies import MENTION, PAGE, Level, Policy, Trouble


def own_policy(rules: Sequence[Escalation], trouble: Trouble) -> Policy | None:
    """The ladder of all those rules that fit that trouble; None when none does."""
    fitting = sorted((each for each in rules if _fits(each, trouble)), key=lambda each: each.after)
    if not fitting:
        return None
    return Policy(levels=tuple(map(_level, fitting)))


def rules_of(runbooks: Iterable[Runbook]) -> Mapping[str, Sequence[Escalation]]:
    """What each runbook says, by its name."""
    return {runbook.name: runbook.escalation for runbook in runbooks if runbook.escalation}


def _level(rule: Escalation) -> Level:
    by = (MENTION, PAGE) if rule.page else (MENTION,)
    return Level(who=(rule.to,), by=by, after=rule.after, note=rule.note)


def _fits(rule: Escalation, trouble: Trouble) -> bool:
    for name, wanted in rule.when.items():
        if name == "status":
            fits = trouble.severity == wanted
        elif name == "step":
            fits = trouble.step == wanted
        else:
            fits = name in trouble.outputs and When.model_validate(wanted).fits(_read(trouble.outputs[name]))
        if not fits:
            return False
    return True


def _read(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
