"""How one plan differs from another, in words: what people are told whose approval is void."""

from collections.abc import Iterator, Mapping
from typing import Any

from runbooks.spec.placeholders import as_text

_STEP_WORDS = {
    "title": "its title",
    "kind": "what it is",
    "target": "its target",
    "risk": "its risk",
    "repeatable": "whether it may be repeated",
    "gate": "who decides",
    "when": "on what it depends",
    "skipped": "whether it is skipped",
    "unresolved": "what is known only later",
}
_PLAN_WORDS = {"runbook": "the runbook", "title": "the title", "phase": "which way it leads"}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What changed between two plans, given as their JSON; nothing only when they are equal."""
    found = tuple(_differences(old, new))
    return found or (("the plan is not the same",) if dict(old) != dict(new) else ())


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key, words in _PLAN_WORDS.items():
        if old.get(key) != new.get(key):
            yield f"{words}: {_was(old.get(key), new.get(key))}"
    yield from _in_map("the parameter", old.get("params"), new.get("params"))
    before, after = old.get("secrets") or {}, new.get("secrets") or {}
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"the parameter {name}, a secret, is another"
    yield from _in_map("the target", old.get("targets"), new.get("targets"))
    yield from _in_list("the lock of", old.get("locks"), new.get("locks"))
    yield from _in_steps("the step", old.get("steps"), new.get("steps"))
    yield from _in_steps("on rollback, the step", old.get("rollback"), new.get("rollback"))
    yield from _in_list("the warning", old.get("warnings"), new.get("warnings"))
    if old.get("source") != new.get("source"):
        yield "the text of the runbook was changed"


def _in_map(what: str, old: Any, new: Any) -> Iterator[str]:
    before, after = old or {}, new or {}
    for name in sorted({*before, *after}):
        if name not in before:
            yield f"{what} {name} is new: {_shown(after[name])}"
        elif name not in after:
            yield f"{what} {name} is gone: it was {_shown(before[name])}"
        elif before[name] != after[name]:
            yield f"{what} {name}: {_was(before[name], after[name])}"


def _in_list(what: str, old: Any, new: Any) -> Iterator[str]:
    before, after = old or [], new or []
    yield from (f"{what} {item} is new" for item in after if item not in before)
    yield from (f"{what} {item} is gone" for item in before if item not in after)


def _in_steps(what: str, old: Any, new: Any) -> Iterator[str]:
    before = {step["path"]: step for step in old or []}
    after = {step["path"]: step for step in new or []}
    for path in [*after, *(path for path in before if path not in after)]:
        if path not in before:
            yield f"{what} {path} is new: {'; '.join(after[path]['lines'])}"
        elif path not in after:
            yield f"{what} {path} is gone"
        else:
            yield from _in_step(f"{what} {path}", before[path], after[path])
    if set(before) == set(after) and list(before) != list(after):
        yield f"{what}s come in another order: {', '.join(after)}"


def _in_step(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key, words in _STEP_WORDS.items():
        if before.get(key) != after.get(key):
            yield f"{what}: {words}: {_was(before.get(key), after.get(key))}"
    yield from _lines(what, before.get("lines"), after.get("lines"))
    yield from _lines(f"{what}, to undo it", before.get("undo"), after.get("undo"))


def _lines(what: str, old: Any, new: Any) -> Iterator[str]:
    before, after = old or [], new or []
    if before == after:
        return
    came = [line for line in after if line not in before]
    went = [line for line in before if line not in after]
    if came or went:
        yield f"{what}: {_was('; '.join(went), '; '.join(came))}"
    else:
        yield f"{what}: the same lines in another order, or another number of times"


def _was(old: Any, new: Any) -> str:
    return f"was {_shown(old)}, is {_shown(new)}"


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "", [], ()) else as_text(value)
