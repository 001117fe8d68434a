"""The steps of a runbook file: each with its kind, what it depends on, and what is to happen if it fails."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from runbooks.nearest import did_you_mean
from runbooks.spec.conditions import When
from runbooks.spec.kind_reading import Reading, has_checks, read_fields
from runbooks.spec.model import Duration, Name, Spec, parse_duration, up_to
from runbooks.spec.runbook_step import Retry, RunbookStep
from runbooks.spec.scope import Scope
from runbooks.spec.source import KeyPath
from runbooks.spec.validate import validate
from runbooks.spec.when_reading import read_items, read_when
from runbooks.steps.action import Action
from runbooks.steps.group import Each, Parallel
from runbooks.steps.step import Check, Output, Step

#: The keys of a step that hold steps.
GROUPS: Mapping[str, type[Step]] = {"parallel": Parallel, "steps": Each}
Outputs = Mapping[str, Mapping[str, Output] | None]


class RetryFields(Spec):
    """`retry: {attempts: 3, wait: 10s}`: a step that failed is tried again by itself."""

    attempts: int = Field(default=3, ge=2, le=20)
    wait: Annotated[Duration, up_to("1h")] = parse_duration("10s")


class StepHead(Spec):
    """Everything in a step but its kind."""

    id: Name
    title: str | None = None
    when: dict[str, When] = Field(default_factory=dict)
    for_each: str | Annotated[tuple[str | int | float, ...], Field(strict=False)] | None = None
    at_once: int = Field(default=1, ge=1, le=50)
    skippable: bool = False
    on_failure: Literal["ask", "continue", "rollback"] = "ask"
    retry: RetryFields | None = None
    rollback: dict[str, Any] | None = None
    parallel: tuple[dict[str, Any], ...] | None = Field(default=None, strict=False, min_length=1)
    steps: tuple[dict[str, Any], ...] | None = Field(default=None, strict=False, min_length=1)


class StepReader:
    """Reads lists of steps; what is wrong with them is noted in `reading`."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._document = reading.document

    def note_ids(self, at: KeyPath) -> None:
        """Notes where the steps of a list are, and those in their groups; an id stands only once."""
        for index, fields in enumerate(self._list(at)):
            place: KeyPath = (*at, index)
            id_ = fields.get("id") if isinstance(fields, dict) else None
            if isinstance(id_, str):
                line = self._document.mark((*place, "id")).line
                if id_ in self._reading.lines:
                    first = self._reading.lines[id_]
                    self._reading.fault((*place, "id"), f"there is a step `{id_}` in line {first} already")
                else:
                    self._reading.lines[id_] = line
            for key in GROUPS:
                self.note_ids((*place, key))

    def read(
        self, at: KeyPath, scope: Scope, *, path: str = "", group: str = ""
    ) -> tuple[tuple[RunbookStep, ...], Scope]:
        """The steps of a list, and what may be referred to after them. `group`: the key of the one it is."""
        steps: list[RunbookStep] = []
        after = scope
        if group == "parallel":
            scope = scope.without(
                {
                    id_: f"`{id_}` is in the same `parallel:`, where no step comes first"
                    for id_ in self._ids(at)
                }
            )
        for index, fields in enumerate(self._list(at)):
            if not isinstance(fields, dict):
                continue  # the file's model has said so
            before = scope if group == "parallel" else after
            step, outputs, reasons = self._step((*at, index), before, path, group)
            after = after.after(outputs).without(reasons)
            if step is not None:
                steps.append(step)
        return tuple(steps), after

    def _step(
        self, at: KeyPath, scope: Scope, path: str, group: str
    ) -> tuple[RunbookStep | None, Outputs, Mapping[str, str]]:
        """The step, the outputs that are there after it, and why others are not."""
        fields = self._document.get(at)
        own = set(StepHead.model_fields)
        head, faults = validate(self._document, StepHead, at, only=own)
        self._reading.faults.extend(faults)
        kind = self._kind(at, fields, group)
        items = read_items(self._reading, (*at, "for_each"), scope) if "for_each" in fields else None
        inside = replace(scope, item=items) if items else scope
        read_when(self._reading, (*at, "when"), scope if kind in GROUPS else inside)
        self._reading.shown((*at, "title"), inside)
        id_ = str(fields.get("id"))
        if kind is None:
            return None, {id_: None}, {}
        line = self._document.mark((*at, "id")).line
        if kind in GROUPS:
            steps, after = self.read((*at, kind), inside, path=f"{path}{id_}.", group=kind)
            model, sample, secrets = GROUPS[kind], GROUPS[kind](), frozenset[str]()
            outputs: Outputs = {
                name: outs for name, outs in after.outputs.items() if name not in scope.outputs
            }
        else:
            steps, model = (), self._reading.kinds[kind]
            sample_or_none, references = read_fields(self._reading, (*at, kind), model, inside)
            outputs = {id_: sample_or_none.declared() if sample_or_none else None}
            if sample_or_none is None:
                return None, outputs, {}
            sample, secrets = sample_or_none, references.secrets
            if has_checks(model) and not items:
                self._reading.paths[f"{path}{id_}"] = id_
        self._options(at, fields, model, sample)
        rollback = self._rollback(at, id_, inside.after(outputs)) if head and head.rollback else None
        reasons: dict[str, str] = {}
        if items:
            reasons = {name: f"`{name}` is done for each item, and has no single output" for name in outputs}
            outputs = {}
        if head is None:
            return None, outputs, reasons
        step = RunbookStep(
            id=head.id,
            title=head.title or sample.title,
            kind=sample.kind,
            line=line,
            fields={} if kind in GROUPS else fields[kind] or {},
            model=model,
            sample=sample,
            when=fields.get("when") or {},
            for_each=fields.get("for_each"),
            at_once=head.at_once,
            skippable=head.skippable,
            on_failure=head.on_failure,
            retry=Retry(attempts=head.retry.attempts, wait=head.retry.wait) if head.retry else None,
            rollback=rollback,
            steps=steps,
            secrets=secrets,
        )
        return step, outputs, reasons

    def _kind(self, at: KeyPath, fields: Mapping[str, Any], group: str) -> str | None:
        """The one key that says what the step is; None when that cannot be told."""
        kinds, groups = self._reading.kinds, [key for key in GROUPS if fields.get(key) is not None]
        named = [key for key in fields if key not in StepHead.model_fields]
        for key in named:
            if key not in kinds:
                hint = did_you_mean(str(key), [*kinds, *StepHead.model_fields])
                there = f"there are: {', '.join(sorted(kinds))}"
                self._reading.fault((*at, key), f"there is no step kind `{key}`", hint or there, at_key=True)
        if not named and not groups:
            self._reading.fault(at, "a step has a kind", f"as in `{next(iter(kinds), 'http.probe')}: {{}}`")
        known = [*(key for key in named if key in kinds), *groups]
        if len(known) > 1:
            message = f"one kind in a step; this one has {' and '.join(known)}"
            self._reading.fault((*at, known[1]), message, at_key=True)
        if len(known) != 1:
            return None
        if known[0] in GROUPS and not self._is_group(at, known[0], "for_each" in fields, group):
            return None
        if group and "for_each" in fields and known[0] not in GROUPS:
            self._reading.fault((*at, "for_each"), "`for_each:` cannot stand inside a group", at_key=True)
        return known[0]

    def _is_group(self, at: KeyPath, key: str, for_each: bool, group: str) -> bool:
        if group:
            self._reading.fault((*at, key), "a group cannot stand inside a group", at_key=True)
        elif key == "steps" and not for_each:
            hint = "or `parallel:` for several at the same time"
            self._reading.fault((*at, key), "`steps:` inside a step needs `for_each:`", hint, at_key=True)
        elif key == "parallel" and for_each:
            hint = "`for_each:` has `steps:`, and `at_once:` says for how many items at a time"
            self._reading.fault((*at, key), "`parallel:` cannot be done for each item", hint, at_key=True)
        else:
            return True
        return False

    def _options(self, at: KeyPath, fields: Mapping[str, Any], model: type[Step], sample: Step) -> None:
        if "at_once" in fields and "for_each" not in fields:
            message = "`at_once:` has a meaning only with `for_each:`"
            self._reading.fault((*at, "at_once"), message, at_key=True)
        if fields.get("retry") is not None:
            if not issubclass(model, Action | Check):
                message = f"a {sample.kind} step is not tried again by itself"
                self._reading.fault((*at, "retry"), message, at_key=True)
            elif isinstance(sample, Action) and not sample.repeatable:
                message = f"this {sample.kind} step may not be done twice, so `retry:` cannot stand here"
                self._reading.fault((*at, "retry"), message, at_key=True)
        if fields.get("rollback") is not None and not issubclass(model, Action):
            message = f"a {sample.kind} step has nothing that `rollback:` could undo"
            self._reading.fault((*at, "rollback"), message, at_key=True)

    def _rollback(self, at: KeyPath, id_: str, scope: Scope) -> RunbookStep | None:
        """What undoes a step: `rollback: {kind: {...}}`, with a title if need be."""
        place, fields = (*at, "rollback"), self._document.get((*at, "rollback"))
        named = [key for key in fields if key != "title"]
        kinds = self._reading.kinds
        if len(named) != 1 or named[0] not in kinds:
            wrong = next((key for key in named if key not in kinds), None)
            hint = did_you_mean(str(wrong), kinds) if wrong is not None else ""
            message = "`rollback:` has one step kind, as in `rollback: {manual: {instructions: …}}`"
            if wrong is not None:
                message = f"there is no step kind `{wrong}`"
            self._reading.fault(place if wrong is None else (*place, wrong), message, hint, at_key=True)
            return None
        model = kinds[named[0]]
        sample, references = read_fields(self._reading, (*place, named[0]), model, scope)
        title = fields.get("title")
        if title is not None and not isinstance(title, str):
            self._reading.fault((*place, "title"), "`title`: expected text", "put quotes around it")
        self._reading.shown((*place, "title"), scope)
        if sample is None:
            return None
        return RunbookStep(
            id=id_,
            title=title or sample.title,
            kind=sample.kind,
            line=self._document.mark((*place, named[0])).line,
            fields=fields[named[0]] or {},
            model=model,
            sample=sample,
            secrets=references.secrets,
        )

    def _list(self, at: KeyPath) -> list[Any]:
        written = self._document.get(at)
        return written if isinstance(written, list) else []

    def _ids(self, at: KeyPath) -> list[str]:
        return [
            fields["id"]
            for fields in self._list(at)
            if isinstance(fields, dict) and isinstance(fields.get("id"), str)
        ]
