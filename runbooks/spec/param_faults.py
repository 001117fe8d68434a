"""What parameters say about targets, judged against those that there are."""

from collections.abc import Iterator, Mapping

from runbooks.errors import Fault
from runbooks.nearest import did_you_mean
from runbooks.spec.params import Param
from runbooks.spec.source import Document, KeyPath
from runbooks.spec.target_faults import TargetTypes, a_target
from runbooks.targets import TARGET_TYPES, HttpTarget, TargetBase


def param_faults(
    document: Document, params: Mapping[str, Param | None], targets: TargetTypes
) -> Iterator[Fault]:
    """The faults of targets that are a default, or where choices come from."""
    for name, param in params.items():
        if param is None:
            continue
        at: KeyPath = ("params", name)
        if param.choices_from is not None:
            place = (*at, "choices_from", "target")
            yield from _wrong(document, place, param.choices_from.target, HttpTarget, targets)
        if param.type == "target" and isinstance(param.default, str):
            needs = TARGET_TYPES[param.of] if param.of else TargetBase
            yield from _wrong(document, (*at, "default"), param.default, needs, targets)


def _wrong(
    document: Document, at: KeyPath, name: str, needs: type[TargetBase], targets: TargetTypes
) -> Iterator[Fault]:
    fitting = [known for known, type_ in targets.items() if type_ is None or issubclass(type_, needs)]
    if name not in targets:
        hint = did_you_mean(name, fitting) or (f"there are: {', '.join(fitting)}" if fitting else "")
        yield document.fault(at, f"there is no target `{name}`", hint)
    elif name not in fitting:
        yield document.fault(at, f"`{name}` is not {a_target(needs)}")
