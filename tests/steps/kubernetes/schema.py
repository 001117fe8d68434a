"""Which fields Kubernetes objects have, of which type, and which of them are required.

From the API reference (apps/v1 Deployment and ReplicaSet, gateway.networking.k8s.io/v1 HTTPRoute), as far as
the tests' objects go; a field that is not here is refused.
"""

from collections.abc import Iterator
from typing import Any

TEXT, NUMBER, SWITCH, ANY = "string", "integer", "boolean", "any"
TEXTS = {"*": TEXT}

#: `!` after a name: required. A list is written [schema of its items].
META: dict[str, Any] = {
    "name": TEXT,
    "namespace": TEXT,
    "uid": TEXT,
    "resourceVersion": TEXT,
    "generation": NUMBER,
    "creationTimestamp": ANY,
    "labels": TEXTS,
    "annotations": TEXTS,
    "ownerReferences": [ANY],
}
ENV = {"name!": TEXT, "value": TEXT, "valueFrom": ANY}
CONTAINER = {
    "name!": TEXT,
    "image!": TEXT,
    "env": [ENV],
    "args": [TEXT],
    "command": [TEXT],
    "ports": [ANY],
    "resources": ANY,
}
TEMPLATE = {"metadata": META, "spec!": {"containers!": [CONTAINER]}}
SELECTOR = {"matchLabels": TEXTS, "matchExpressions": [ANY]}
DEPLOYMENT = {
    "replicas": NUMBER,
    "selector!": SELECTOR,
    "template!": TEMPLATE,
    "progressDeadlineSeconds": NUMBER,
    "revisionHistoryLimit": NUMBER,
    "minReadySeconds": NUMBER,
    "paused": SWITCH,
    "strategy": ANY,
}
REPLICA_SET = {"replicas": NUMBER, "selector!": SELECTOR, "template": TEMPLATE}
BACKEND = {"group": TEXT, "kind": TEXT, "name!": TEXT, "port": NUMBER, "weight": NUMBER}
ROUTE = {
    "parentRefs": [{"name!": TEXT, "namespace": TEXT}],
    "hostnames": [TEXT],
    "rules": [{"backendRefs": [BACKEND], "matches": [ANY]}],
}
SPECS = {"Deployment": DEPLOYMENT, "ReplicaSet": REPLICA_SET, "HTTPRoute": ROUTE}

_TYPES = {TEXT: str, NUMBER: int, SWITCH: bool}


def faults_of(kind: str, thing: dict[str, Any]) -> list[str]:
    """What of the object the server refuses."""
    schema = {
        "apiVersion": TEXT,
        "kind": TEXT,
        "metadata!": {**META, "name!": TEXT},
        "spec!": SPECS[kind],
        "status": ANY,
    }
    faults = list(_faults(thing, schema, ""))
    return faults or list(_meaning(kind, thing))


def _faults(value: Any, schema: Any, path: str) -> Iterator[str]:
    if schema == ANY:
        return
    if isinstance(schema, str):
        fits = isinstance(value, _TYPES[schema]) and (schema == SWITCH or not isinstance(value, bool))
        if not fits:
            yield f"{path}: Invalid value: must be of type {schema}"
    elif isinstance(schema, list):
        if not isinstance(value, list):
            yield f"{path}: Invalid value: must be of type array"
            return
        for place, item in enumerate(value):
            yield from _faults(item, schema[0], f"{path}[{place}]")
    elif not isinstance(value, dict):
        yield f"{path}: Invalid value: must be of type object"
    else:
        yield from _of_map(value, schema, path)


def _of_map(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    fields = {name.rstrip("!"): inner for name, inner in schema.items()}
    for name, inner in value.items():
        here = f"{path}.{name}".lstrip(".")
        if name in fields or "*" in fields:
            yield from _faults(inner, fields.get(name, fields.get("*")), here)
        else:
            yield f"{here}: unknown field"
    for name in schema:
        if name.endswith("!") and value.get(name[:-1]) in (None, "", {}, []):
            yield f"{path}.{name[:-1]}: Required value".lstrip(".")


def _meaning(kind: str, thing: dict[str, Any]) -> Iterator[str]:
    if kind == "HTTPRoute":
        for rule in thing["spec"].get("rules", ()):
            for backend in rule.get("backendRefs", ()):
                if not 0 <= backend.get("weight", 1) <= 1_000_000:
                    yield "weight: Invalid value: must be from 0 to 1000000"
        return
    template = thing["spec"].get("template", {})
    labels = template.get("metadata", {}).get("labels", {})
    if any(labels.get(k) != v for k, v in thing["spec"]["selector"].get("matchLabels", {}).items()):
        yield "spec.template.metadata.labels: `selector` does not match template `labels`"
    for container in template.get("spec", {}).get("containers", ()):
        for item in container.get("env", ()):
            if item.get("value") and item.get("valueFrom"):
                yield f"env {item['name']}: valueFrom may not be specified when `value` is not empty"
