"""Whether a step names a target that there is, and of the type that it needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from runbooks.errors import Fault
from runbooks.nearest import nearest
from runbooks.spec.scope import Known
from runbooks.spec.source import Document, KeyPath
from runbooks.steps.step import EVERY, Check, Step
from runbooks.targets import TARGET_TYPES, TargetBase

#: The types of the targets that there are, by name; None for one whose own type is at fault.
TargetTypes = Mapping[str, type[TargetBase] | None]


@dataclass(frozen=True, kw_only=True)
class Judging:
    """Where a target is named, by a step of which kind, and which type it must have."""

    document: Document
    at: KeyPath
    kind: type[Step]
    needs: type[TargetBase]

    def fault(self, message: str, hint: str = "") -> Fault:
        """What is wrong with it there."""
        return self.document.fault(self.at, message, hint)

    @property
    def wants(self) -> str:
        """`postgres.backup needs a backups target`."""
        return f"{self.kind.kind} needs {a_target(self.needs)}"


def target_faults(judging: Judging, name: str, targets: TargetTypes) -> Iterable[Fault]:
    """What is wrong with that name of a target there, which a step of that kind acts on or looks at."""
    if name == EVERY:
        if not issubclass(judging.kind, Check):
            message = f"`{EVERY}` is for checks; {judging.kind.kind} acts on one target"
            yield judging.fault(message, "name it, or use `for_each:`")
        return
    fitting = [known for known, type_ in targets.items() if type_ is None or issubclass(type_, judging.needs)]
    if name not in targets:
        yield judging.fault(f"there is no target `{name}`", _hint(judging, name, fitting, targets))
    elif name not in fitting:
        actual = targets[name]
        assert actual is not None  # an unknown type fits everything
        there = (
            f"there is {', '.join(sorted(fitting))}" if fitting else f"no target is {a_target(judging.needs)}"
        )
        yield judging.fault(f"`{name}` is {a_target(actual)}; {judging.wants}", there)


def reference_faults(judging: Judging, name: str, known: Known) -> Iterable[Fault]:
    """What is wrong with a reference there, in the place of a target. Outputs are not judged."""
    param = known.param
    if param is None:
        return
    if param.type != "target":
        message = f"`{name}` is {known.words}, where the name of a target is needed"
        yield judging.fault(message, "declare it with `type: target`")
    elif param.of is None and judging.needs is not TargetBase:
        yield judging.fault(f"`{name}` may be any target; {judging.wants}", "declare its `of:`")
    elif param.of is not None and not issubclass(TARGET_TYPES[param.of], judging.needs):
        yield judging.fault(f"`{name}` is {a_target(TARGET_TYPES[param.of])}; {judging.wants}")


def _hint(judging: Judging, name: str, fitting: list[str], targets: TargetTypes) -> str:
    meant = nearest(name, fitting) or nearest(name, targets)
    if meant in fitting:
        return f"did you mean `{meant}`?"
    if meant is not None and (actual := targets[meant]):
        return f"did you mean `{meant}`? it is {a_target(actual)}; {judging.wants}"
    return f"{judging.wants}: {', '.join(sorted(fitting))}" if fitting else judging.wants


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
