"""Whether a step names a target that there is, and of the type that it needs."""

from collections.abc import Iterable, Mapping
from typing import get_args

from runbooks.errors import Fault
from runbooks.nearest import nearest
from runbooks.spec.scope import Known
from runbooks.spec.source import Document, KeyPath
from runbooks.steps.step import EVERY, Check, Step
from runbooks.targets import TARGET_TYPES, TargetBase

#: The types of the targets that there are, by name; None for one whose own type is at fault.
TargetTypes = Mapping[str, type[TargetBase] | None]


def target_faults(
    document: Document, at: KeyPath, name: str, kind: type[Step], targets: TargetTypes
) -> Iterable[Fault]:
    """What is wrong with that name of a target there, which a step of that kind acts on or looks at."""
    if name == EVERY:
        if not issubclass(kind, Check):
            message = f"`{EVERY}` is for checks; {kind.kind} acts on one target"
            yield document.fault(at, message, "name it, or use `for_each:`")
        return
    needs = needed(kind)
    fitting = [known for known, type_ in targets.items() if type_ is None or issubclass(type_, needs)]
    if name not in targets:
        yield document.fault(at, f"there is no target `{name}`", _hint(name, kind, fitting, targets))
    elif name not in fitting:
        actual = targets[name]
        assert actual is not None  # an unknown type fits everything
        wanted = a_target(needs)
        there = f"there is {', '.join(sorted(fitting))}" if fitting else f"no target is {wanted}"
        yield document.fault(at, f"`{name}` is {a_target(actual)}; {kind.kind} needs {wanted}", there)


def reference_faults(
    document: Document, at: KeyPath, name: str, known: Known, kind: type[Step]
) -> Iterable[Fault]:
    """What is wrong with a reference there, in the place of a target. Outputs are not judged."""
    param, wanted = known.param, a_target(needed(kind))
    if param is None:
        return
    if param.type != "target":
        message = f"`{name}` is {known.words}, where the name of a target is needed"
        yield document.fault(at, message, "declare it with `type: target`")
    elif param.of is None and needed(kind) is not TargetBase:
        yield document.fault(
            at, f"`{name}` may be any target; {kind.kind} needs {wanted}", "declare its `of:`"
        )
    elif param.of is not None and not issubclass(TARGET_TYPES[param.of], needed(kind)):
        message = f"`{name}` is {a_target(TARGET_TYPES[param.of])}; {kind.kind} needs {wanted}"
        yield document.fault(at, message)


def _hint(name: str, kind: type[Step], fitting: list[str], targets: TargetTypes) -> str:
    meant = nearest(name, fitting) or nearest(name, targets)
    hint = f"{kind.kind} needs {a_target(needed(kind))}"
    if meant in fitting:
        return f"did you mean `{meant}`?"
    if meant is not None and (actual := targets[meant]):
        return f"did you mean `{meant}`? it is {a_target(actual)}; {hint}"
    return f"{hint}: {', '.join(sorted(fitting))}" if fitting else hint


def needed(kind: type[Step]) -> type[TargetBase]:
    """The type that its `target:` has; TargetBase when it may have any."""
    needs: type[TargetBase] | None = getattr(kind, "needs", None)
    return needs or TargetBase


def a_target(type_: type[TargetBase]) -> str:
    """`an http target`, in words."""
    field = type_.model_fields.get("type")
    if field is None:
        return "a target"
    word = str(get_args(field.annotation)[0])
    return f"an {word} target" if word.startswith(("http", "a", "e", "i", "o")) else f"a {word} target"
