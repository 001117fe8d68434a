"""Steps that do not fail well: nothing to go back to, nothing locked, a watch that does not watch."""

from collections.abc import Iterator

from runbooks.spec.lint.finding import Found, Level, Rule, StepAt
from runbooks.steps.action import Action, Risk
from runbooks.steps.gate import Gate
from runbooks.steps.manual import Manual
from runbooks.steps.rollout import Rollout


def _risky(at: StepAt) -> bool:
    return getattr(at.step.sample, "risk", Risk.READ) == Risk.HIGH


def _unlocked(at: StepAt) -> Iterator[Found]:
    target = at.step.fields.get("target")
    # What is undone was locked when it was done.
    if not at.undoes and _risky(at) and isinstance(target, str) and target not in at.runbook.locks:
        yield at.mark("target"), f"`{target}`"


def _no_way_back(at: StepAt) -> Iterator[Found]:
    step = at.step
    if at.undoes or not _risky(at) or not issubclass(step.model, Action):
        return
    if not (step.model.reversible or step.rollback or at.runbook.rollback):
        yield at.mark(), f"`{step.id}`"


def _unsoaked(at: StepAt) -> Iterator[Found]:
    if isinstance(at.step.sample, Rollout) and not at.step.fields.get("soak"):
        yield at.mark(), f"`{at.step.id}`"


def _bypass(at: StepAt) -> Iterator[Found]:
    if at.step.model is Gate:
        if at.step.skippable:
            yield at.head_mark("skippable"), "`skippable`"
        if at.step.on_failure == "continue":
            yield at.head_mark("on_failure"), "`on_failure: continue`"


def _no_end(at: StepAt) -> Iterator[Found]:
    if at.step.model in (Gate, Manual) and "expires" not in at.step.fields:
        yield at.mark(), f"`{at.step.id}`"


def _goes_on_blindly(at: StepAt) -> Iterator[Found]:
    if not at.undoes and at.step.on_failure == "continue" and _risky(at):
        yield at.head_mark("on_failure"), f"`{at.step.id}`"


def _nobodys(at: StepAt) -> Iterator[Found]:
    if at.at == ("steps", 0):
        missing = [key for key in ("purpose", "owner") if not getattr(at.runbook, key)]
        if missing:
            yield at.document.mark(("name",)), f"no {' and no '.join(missing)}"


STEP_RULES = (
    Rule(
        id="unlocked",
        level=Level.WARNING,
        happens="another run may act on it at the same time",
        instead="name it in `locks:`",
        look=_unlocked,
    ),
    Rule(
        id="no-way-back",
        level=Level.WARNING,
        happens="its risk is high, and a rollback leaves it as it is",
        instead="a `rollback:` of the step, or of the runbook; or `risk: low` if that is true",
        look=_no_way_back,
    ),
    Rule(
        id="rollout-unsoaked",
        level=Level.WARNING,
        happens="every stage is measured once, at its first moment",
        instead="`soak: 1h`",
        look=_unsoaked,
    ),
    Rule(
        id="gate-bypass",
        level=Level.ERROR,
        happens="nothing leads past people who said no, so this has no effect",
        instead="take it away; `when:` says when a gate is needed",
        look=_bypass,
    ),
    Rule(
        id="no-expiry",
        level=Level.WARNING,
        happens="a gate is denied after a day, and a manual step waits for ever",
        instead="`expires:`, and `remind:` before that",
        look=_no_end,
    ),
    Rule(
        id="blind-continue",
        level=Level.WARNING,
        happens="its risk is high, and when it fails, or half of it, the run goes on",
        instead="`on_failure: ask` or `rollback`",
        look=_goes_on_blindly,
    ),
    Rule(
        id="nobodys",
        level=Level.WARNING,
        happens="who is tired reads why a runbook exists, and whom to ask",
        instead="`purpose:` and `owner:`",
        look=_nobodys,
    ),
)
