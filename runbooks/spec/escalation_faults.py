"""What nobody would notice before there is trouble: conditions of an `escalation:` that never hold."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from runbooks.errors import Fault
from runbooks.nearest import did_you_mean
from runbooks.spec.conditions import When
from runbooks.spec.runbook_step import RunbookStep
from runbooks.spec.source import Document, KeyPath
from runbooks.steps.step import Check

#: What an alert of a check can be.
STATUSES = ("critical", "warning")


def escalation_faults(document: Document, steps: Iterable[RunbookStep]) -> Iterator[Fault]:
    """Statuses that no alert has, steps that are no checks of this runbook, outputs that these have not."""
    checks = {step.id: step.sample for step in steps if isinstance(step.sample, Check)}
    rules = document.get(("escalation",))
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        when = rule.get("when") if isinstance(rule, dict) else None
        place: KeyPath = ("escalation", index, "when")
        if isinstance(when, dict) and place not in document.broken:
            yield from _faults(document, place, when, checks)


def _faults(
    document: Document, place: KeyPath, when: Mapping[str, Any], checks: Mapping[str, Check[Any]]
) -> Iterator[Fault]:
    step = when.get("step")
    for name, wanted in when.items():
        at = (*place, name)
        if name == "status":
            if wanted not in STATUSES:
                yield document.fault(at, f"no alert is `{wanted}`", f"it is {' or '.join(STATUSES)}")
        elif name == "step":
            if wanted not in checks:
                hint = did_you_mean(str(wanted), checks) or f"there are: {', '.join(checks) or 'none'}"
                yield document.fault(at, f"there is no check `{wanted}`", hint)
        elif step is None:
            message = f"nobody knows which step's `{name}` that is"
            yield document.fault(at, message, f"say it: {{step: …, {name}: …}}", at_key=True)
        else:
            check = checks.get(str(step))
            if check is not None and name not in type(check).outputs:
                outputs = type(check).outputs
                hint = did_you_mean(str(name), outputs) or f"it has: {', '.join(outputs)}"
                yield document.fault(at, f"`{step}` has no output `{name}`", hint, at_key=True)
            try:
                When.model_validate(wanted)
            except ValidationError:
                hint = "for example {above: 5} or {equals: no}"
                yield document.fault(at, f"`{name}` is compared with nothing", hint)
