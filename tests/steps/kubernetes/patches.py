"""The three kinds of patches that a Kubernetes API server takes."""

from typing import Any

#: Lists of these fields are merged by the value of that key; every other list is replaced.
MERGE_KEYS = {"containers": "name", "initContainers": "name", "env": "name", "volumes": "name"}


class JsonPatchFailed(Exception):
    """An operation does not fit, or a test fails."""


def merge_patch(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merge_patch(new.get(key), value)
    return new


def strategic_patch(old: Any, patch: Any, field: str = "") -> Any:
    """A merge patch that merges some lists by the names of their items."""
    if isinstance(patch, list) and field in MERGE_KEYS:
        key, new = MERGE_KEYS[field], [dict(item) for item in old or []]
        for item in patch:
            place = next((at for at, there in enumerate(new) if there[key] == item[key]), None)
            if place is None:
                new.append(strategic_patch({}, item))
            else:
                new[place] = strategic_patch(new[place], item)
        return new
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = strategic_patch(result.get(name), value, name)
    return result


def json_patch(thing: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902, without move and copy."""
    whole = {"": thing}
    for operation in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")]
        try:
            holder: Any = whole
            for part in way:
                holder = holder[int(part)] if isinstance(holder, list) else holder[part]
            _apply(holder, last, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise JsonPatchFailed(f"{operation['op']} {operation['path']}") from error
    return whole[""]


def _apply(holder: Any, last: str, operation: dict[str, Any]) -> None:
    key: Any = int(last) if isinstance(holder, list) and last != "-" else last
    match operation["op"]:
        case "test":
            if holder[key] != operation["value"]:
                raise JsonPatchFailed(f"test {operation['path']}")
        case "replace":
            _ = holder[key]
            holder[key] = operation["value"]
        case "remove":
            del holder[key]
        case "add" if isinstance(holder, list):
            holder.insert(len(holder) if key == "-" else key, operation["value"])
        case "add":
            if not isinstance(holder, dict):
                raise KeyError(last)
            holder[key] = operation["value"]
        case other:
            raise ValueError(other)
