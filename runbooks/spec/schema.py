"""JSON Schemas of the files that people write, made from the models: editors complete and underline by them.

A schema says less than the loader does: not what a reference names, nor what fits together over two keys.
What it refuses, the loader refuses.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from runbooks.spec.head import Head
from runbooks.spec.key_words import meaning
from runbooks.spec.kind_reading import Kinds
from runbooks.spec.model import Spec, show_duration
from runbooks.spec.step_reading import GROUPS, StepHead
from runbooks.steps import KINDS
from runbooks.steps.inline_checks import CHECK_SCHEMA
from runbooks.steps.step import Check, Step

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {
    "type": "string",
    "pattern": r"\{\{[^{}]*\}\}",
    "description": "A reference: {{ params.NAME }}, {{ steps.ID.OUTPUT }}, {{ item }}, {{ run.id }}",
}
_VARIABLE = {
    "type": "string",
    "pattern": r"\$\{|^file:",
    "description": "From the environment, ${NAME} or ${NAME:-default}, or from a file, file:/run/secrets/x",
}


class _Generator(GenerateJsonSchema):
    """Defaults as people write them; no key that whoever loads the file fills in; no titles of keys."""

    def encode_default(self, dft: Any) -> Any:
        return show_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def model_schema(self, schema: Any) -> Schema:
        made = super().model_schema(schema)
        model = schema["cls"]
        for name in model.filled if issubclass(model, Spec) else ():
            made.get("properties", {}).pop(name, None)
        for name, field in made.get("properties", {}).items():
            if words := meaning(model, name):
                field["description"] = words
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the hook
        return False


def runbook_schema(kinds: Kinds = KINDS) -> Schema:
    """The schema of a runbook file."""
    _, defs = _models([Head, StepHead], lambda field: field)
    fields, inner = _models(kinds.values(), _or_reference, literal=_literal(kinds))
    defs |= inner
    for name, kind in kinds.items():
        if issubclass(kind, Check):
            defs[kind.__name__]["properties"] |= _thresholds(kind)
        if not defs[kind.__name__].get("required"):
            fields[kind] = {"anyOf": [fields[kind], {"type": "null"}]}
        told = {"title": kind.title, "description": _page(name, kind)}
        fields[kind] = {**told, **fields[kind]}
    by_kind = {name: fields[kind] for name, kind in kinds.items()}
    steps = defs.pop(StepHead.__name__)["properties"]
    defs["step"] = _step(steps, by_kind, grouped=False)
    defs["grouped_step"] = _step(steps, by_kind, grouped=True)
    defs["undoing"] = _one_of(by_kind, {"title": {"type": "string"}})
    checks = {name: field for name, field in by_kind.items() if issubclass(kinds[name], Check)}
    defs["check"] = _one_of(checks, {"as": {"type": "string", "minLength": 1, "maxLength": 60}})
    defs["reference"] = _REFERENCE
    head = defs.pop(Head.__name__)
    listed = {"type": "array", "items": {"$ref": "#/$defs/step"}}
    head["properties"]["steps"] = {**listed, "minItems": 1, "description": meaning(Head, "steps")}
    head["properties"]["rollback"] = {**listed, "description": meaning(Head, "rollback")}
    head["required"] = [*head["required"], "steps"]
    made = {**head, "$schema": DIALECT, "title": "A runbook of Maint", "$defs": defs}
    return _with_checks(made)  # type: ignore[no-any-return]


def model_schema(model: type[BaseModel], title: str) -> Schema:
    """The schema of a file that is that model, and no more."""
    _, defs = _models([model], lambda field: field)
    return {**defs.pop(model.__name__), "$schema": DIALECT, "title": title, "$defs": defs}


def settings_schema(model: type[BaseModel]) -> Schema:
    """The schema of maint.yaml, whose model that is: every value may come from the environment."""
    _, defs = _models([model], _or_variable)
    made = defs.pop(model.__name__)
    return {**made, "$schema": DIALECT, "title": "The settings of Maint", "$defs": defs}


def _models(
    models: Iterable[type[BaseModel]],
    field: Callable[[Schema], Schema],
    literal: Mapping[str, frozenset[str]] | None = None,
) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """A schema for each of the models, and those that they refer to; every value is as `field` makes it."""
    made, whole = models_json_schema(
        [(model, "validation") for model in models], by_alias=True, schema_generator=_Generator
    )
    defs: dict[str, Schema] = whole["$defs"]
    for name, each in defs.items():
        kept = (literal or {}).get(name, frozenset())
        for key, value in each.get("properties", {}).items():
            if key not in kept:
                each["properties"][key] = _deep(value, field)
    return {model: schema for (model, _), schema in made.items()}, defs


def _deep(schema: Schema, field: Callable[[Schema], Schema]) -> Schema:
    """The schema of a value, `field` applied to it and to every value inside it."""
    inner = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(inner.get(key), dict):
            inner[key] = _deep(inner[key], field)
    if "patternProperties" in inner:
        inner["patternProperties"] = {
            name: _deep(value, field) for name, value in inner["patternProperties"].items()
        }
        inner["additionalProperties"] = False
    if "anyOf" in inner:
        inner["anyOf"] = [_deep(value, field) if _is_nested(value) else value for value in inner["anyOf"]]
    return field(inner)


def _is_nested(schema: Schema) -> bool:
    return schema.get("type") in ("array", "object") and schema.get("description") is None


def _or_reference(schema: Schema) -> Schema:
    return _or(schema, {"$ref": "#/$defs/reference"})


def _or_variable(schema: Schema) -> Schema:
    return _or(schema, _VARIABLE)


def _or(schema: Schema, other: Schema) -> Schema:
    """That, or the other; where any text fits anyway, that."""
    told: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    plain = {key: value for key, value in schema.items() if key not in told}
    if plain in ({"type": "string"}, {}):
        return schema
    members = plain["anyOf"] if set(plain) == {"anyOf"} else [plain]
    if {"type": "string"} in members:
        return schema
    return {"anyOf": [*members, other], **told}


def _literal(kinds: Kinds) -> dict[str, frozenset[str]]:
    return {kind.__name__: kind.literal for kind in kinds.values()}


def _page(name: str, kind: type[Step]) -> str:
    words = (kind.__doc__ or "").split("\n\n")[0]
    return f"{' '.join(words.split())} (docs/steps/{name.split('.')[0]}.md)"


def _thresholds(kind: type[Check[Any]]) -> dict[str, Schema]:
    """`warning` and `critical`: a condition on the headline, or one for each of some outputs."""
    condition: Schema = {"$ref": "#/$defs/Condition"}
    outputs: Schema = {
        name: {**condition, "description": f"{output.title} {output.unit}".strip()}
        for name, output in kind.outputs.items()
    }
    named = {"type": "object", "properties": outputs, "additionalProperties": False}
    members = [condition, named, {"$ref": "#/$defs/reference"}]
    return {word: {"description": meaning(kind, word), "anyOf": members} for word in ("warning", "critical")}


def _step(head: Mapping[str, Schema], by_kind: Mapping[str, Schema], *, grouped: bool) -> Schema:
    """A step: what every step may say, and one kind, or one group of steps."""
    own = {key: field for key, field in head.items() if key not in GROUPS}
    own["rollback"] = {"$ref": "#/$defs/undoing", "description": meaning(StepHead, "rollback")}
    if grouped:
        return {**_one_of(by_kind, {key: own[key] for key in own if key != "for_each"}), "required": ["id"]}
    inside = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/grouped_step"}}
    groups = {key: {**inside, "description": meaning(StepHead, key)} for key in GROUPS}
    return {
        **_one_of({**by_kind, **groups}, own),
        "required": ["id"],
        "dependentRequired": {"steps": ["for_each"], "at_once": ["for_each"]},
        "dependentSchemas": {"parallel": {"properties": {"for_each": False}}},
    }


def _one_of(choices: Mapping[str, Schema], others: Mapping[str, Schema]) -> Schema:
    """A map with exactly one of the choices as a key, and any of the others."""
    return {
        "type": "object",
        "properties": {**others, **choices},
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in choices],
    }


def _with_checks(schema: Any) -> Any:
    """The same with what a check is in place of what stands for one."""
    if isinstance(schema, list):
        return [_with_checks(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    if all(schema.get(key) == value for key, value in CHECK_SCHEMA.items()):
        return {"$ref": "#/$defs/check"}
    return {key: _with_checks(value) for key, value in schema.items()}
