"""What stands under a step's kind: its fields, what they refer to, and the targets that they name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from runbooks.errors import Fault
from runbooks.nearest import did_you_mean
from runbooks.spec.placeholders import names_in, only_name, texts_in
from runbooks.spec.samples import References, find_references, judge
from runbooks.spec.scope import Scope
from runbooks.spec.source import Document, KeyPath
from runbooks.spec.target_faults import Judging, TargetTypes, needed, reference_faults, target_faults
from runbooks.steps.action import Action
from runbooks.steps.step import Check, Step

Kinds = Mapping[str, type[Step]]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is known while a file's steps are read. `targets`: None when they are not to be judged.

    `lines`: where each step is, by id. `paths`: the ids of the steps read so far that have checks inside,
    by path.
    """

    document: Document
    kinds: Kinds
    targets: TargetTypes | None
    faults: list[Fault] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)

    def fault(self, at: KeyPath, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Notes a fault of what is there."""
        self.faults.append(self.document.fault(at, message, hint, at_key=at_key))

    def references(self, at: KeyPath, scope: Scope) -> References:
        """The references in what stands there; their faults are noted."""
        found = find_references(self.document, at, scope)
        self.faults.extend(found.faults)
        return found

    def shown(self, at: KeyPath, scope: Scope) -> References:
        """The same for what is shown to people or names something: a secret there is a fault."""
        found = self.references(at, scope)
        for name in sorted(found.secrets):
            self.fault(at, f"`{name}` is a secret, and would be shown here")
        return found


def has_checks(kind: type[Step]) -> bool:
    """Whether steps of that kind have checks inside, that others may refer to."""
    return kind.refers_to is not Step.refers_to


def read_fields(
    reading: Reading, at: KeyPath, kind: type[Step], scope: Scope
) -> tuple[Step | None, References]:
    """The model of what stands there, None when it is at fault; and its references. Faults are noted."""
    references = reading.references(at, scope)
    inner = [] if issubclass(kind, Check | Action) else list(_checks_inside(reading, at))
    judged = []
    for path, check in inner:
        _, faults = judge(reading.document, check, path, references)
        reading.faults.extend(faults)
        judged += [path] if faults else []
        _read_targets(reading, path, check, references)
    step, faults = judge(reading.document, kind, at, references, judged)
    reading.faults.extend(faults)
    _read_targets(reading, at, kind, references)
    if step is not None:
        _read_referred(reading, at, step, scope)
    return step if not judged else None, references


def _checks_inside(reading: Reading, at: KeyPath) -> Iterator[tuple[KeyPath, type[Step]]]:
    """The checks that are written out in a step's fields: `{http.probe: {...}}`."""
    value = reading.document.get(at)
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, _ in inner:
        kind = reading.kinds.get(key) if isinstance(key, str) and isinstance(value, dict) else None
        if kind is not None and issubclass(kind, Check):
            yield (*at, key), kind
        else:
            yield from _checks_inside(reading, (*at, key))


def _read_targets(reading: Reading, at: KeyPath, kind: type[Step], references: References) -> None:
    """`target`, and the other fields of the kind that name one."""
    for field_, needs in (("target", needed(kind)), *kind.also_names.items()):
        place = (*at, field_)
        value = reading.document.get(place)
        if reading.targets is None or field_ not in kind.model_fields or not isinstance(value, str):
            continue
        if place in reading.document.broken:
            continue
        judging = Judging(document=reading.document, at=place, kind=kind, needs=needs)
        name = only_name(value)
        if name is not None:
            known = references.known[name]
            reading.faults.extend(reference_faults(judging, name, known))
            for literal in known.literals:
                reading.faults.extend(target_faults(judging, str(literal), reading.targets))
        elif not names_in(value):
            reading.faults.extend(target_faults(judging, value, reading.targets))


def _read_referred(reading: Reading, at: KeyPath, step: Step, scope: Scope) -> None:
    """Whether the steps whose checks it makes have any, and come first."""
    for path in step.refers_to():
        id_ = path.rpartition(".")[2]
        if reading.paths.get(path) == id_ and id_ in scope.outputs:
            continue
        written = next(
            (place for place, text in texts_in(reading.document.get(at), at) if text.startswith(f"{path}.")),
            at,
        )
        there = [known for known, id_ in reading.paths.items() if id_ in scope.outputs]
        if id_ in scope.outputs:
            message = f"the step `{path}` has no checks"
        elif id_ in reading.lines:
            message = f"the step `{path}` (line {reading.lines[id_]}) does not come first"
        else:
            message = f"there is no step `{path}`"
        known = f"with checks there are: {', '.join(there)}" if there else ""
        reading.fault(written, message, did_you_mean(path, there) or known)
