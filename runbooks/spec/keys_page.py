"""Every key of a runbook as tables in Markdown, made from the models: a part of docs/writing-runbooks.md."""

import json
import types
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from runbooks.spec.conditions import When
from runbooks.spec.head import AlertRules, Escalation, Flapping, Head, Remedy, Schedule
from runbooks.spec.key_words import meaning
from runbooks.spec.lint import RULES
from runbooks.spec.model import show_duration
from runbooks.spec.params import ChoicesFrom, Param
from runbooks.spec.step_reading import RetryFields, StepHead
from runbooks.spec.window import Window
from runbooks.steps import ACTIONS, CHECKS, CONTROLS
from runbooks.steps.action import Action
from runbooks.steps.step import Check, Step
from runbooks.steps.thresholds import Condition

#: The tables, in their order: each model with its heading, and the keys that it has beside its fields.
_PARTS: tuple[tuple[str, type[BaseModel], Mapping[str, bool]], ...] = (
    ("The file", Head, {"steps": True, "rollback": False}),
    ("A parameter, under `params:`", Param, {}),
    ("`choices_from:`", ChoicesFrom, {}),
    ("A step, under `steps:` and `rollback:`", StepHead, {}),
    ("`retry:`", RetryFields, {}),
    ("A condition, under `when:`", When, {}),
    ("A threshold, under `warning:` and `critical:`", Condition, {}),
    ("Every check", Check, {}),
    ("Every step that acts", Action, {"risk": False, "repeatable": False}),
    ("`alerts:`", AlertRules, {}),
    ("`flapping:`", Flapping, {}),
    ("`remedies:`", Remedy, {}),
    ("`schedule:`", Schedule, {}),
    ("`window:`", Window, {}),
    ("`escalation:`", Escalation, {}),
)


def page() -> str:
    """All the tables, with a line break at the end."""
    parts = [*map(_table, _PARTS), *_kinds(), _rules()]
    return "\n\n".join(parts) + "\n"


def _table(part: tuple[str, type[BaseModel], Mapping[str, bool]]) -> str:
    heading, model, more = part
    rows = [f"### {heading}", "", "| key | default | meaning |", "|---|---|---|"]
    fields = {info.alias or name: info for name, info in model.model_fields.items()}
    for key, needed in {**{key: info.is_required() for key, info in fields.items()}, **more}.items():
        default = "needed" if needed else _default(fields[key]) if key in fields else ""
        rows.append(f"| `{key}` | {default} | {_cell(_meaning(model, key, fields.get(key)))} |")
    return "\n".join(rows)


def _meaning(model: type[BaseModel], key: str, info: FieldInfo | None) -> str:
    words = meaning(model, key)
    choices = [f"`{word}`" for word in _words(info.annotation)] if info else []
    if choices and not all(choice in words for choice in choices):
        words += f": {', '.join(choices)}"
    return words


def _words(annotation: Any) -> Iterator[str]:
    """The words that a value may be, if it may only be one of some."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif get_origin(annotation) in (Annotated, Union, types.UnionType):
        for member in get_args(annotation):
            yield from _words(member)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    value = info.get_default(call_default_factory=False)
    if info.default_factory is not None or value in (None, "", ()):
        return ""
    if isinstance(value, timedelta):
        return f"`{show_duration(value)}`"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`"


def _kinds() -> Iterator[str]:
    for heading, kinds in (("Checks", CHECKS), ("Steps that act", ACTIONS), ("People and time", CONTROLS)):
        rows = [f"### {heading}", "", "| kind | what | keys | outputs |", "|---|---|---|---|"]
        rows += [_kind(name, kind) for name, kind in sorted(kinds.items())]
        yield "\n".join(rows)


def _kind(name: str, kind: type[Step]) -> str:
    link = f"[`{name}`](steps/{name.split('.')[0]}.md)"
    common = next((set(base.model_fields) for base in (Check, Action) if issubclass(kind, base)), set())
    keys = [_key(key, info) for key, info in kind.model_fields.items() if key not in common]
    outputs = ", ".join(f"`{output}`" for output in getattr(kind, "outputs", ()))
    return f"| {link} | {_cell(kind.title)} | {', '.join(keys)} | {outputs} |"


def _key(name: str, info: FieldInfo) -> str:
    shown = f"`{info.alias or name}`"
    return f"**{shown}**" if info.is_required() else shown


def _rules() -> str:
    rows = [
        "### What `maint runbooks lint` finds",
        "",
        "| rule | | what happens | do instead |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| `{rule.id}` | {rule.level} | {_cell(rule.happens)} | {_cell(rule.instead)} |"
        for rule in RULES.values()
    ]
    return "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
