"""`hooks:` in maint.yaml: which systems may tell Maint of trouble, and whether that can work."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from bot.hooks import AnyHook
from runbooks.errors import Fault
from runbooks.nearest import did_you_mean
from runbooks.spec.model import Name
from runbooks.spec.source import Document
from runbooks.watch.from_checks import CHECK
from runbooks.watch.settle import MAINT

#: Sources of alerts that are no hook's.
_TAKEN = frozenset({CHECK, MAINT})
#: Characters that the database has for the source of an alert.
_LONGEST_NAME = 20


def _typed(value: Any) -> Any:
    """Each with its `type`: that of its name, if there is one, and else `json`."""
    if not isinstance(value, dict):
        return value
    named = {"alertmanager": "alertmanager", "grafana": "grafana"}
    return {
        name: {"type": named.get(name, "json"), **hook} if isinstance(hook, dict) else hook
        for name, hook in value.items()
    }


#: The hooks, by the last part of their addresses: `/hooks/NAME`.
Hooks = Annotated[dict[Name, AnyHook], BeforeValidator(_typed)]


def hook_faults(
    document: Document, hooks: Mapping[str, AnyHook], channels: Collection[str], *, listens: bool
) -> Iterable[Fault]:
    """Names that nothing has, tokens that anybody can read, and hooks to which nobody listens."""
    if hooks and not listens:
        message = "nobody listens for these: Maint has no HTTP server in Socket Mode without `http:`"
        yield document.fault(("hooks",), message, "add `http: {host: 127.0.0.1, port: 3000}`", at_key=True)
    for name, hook in hooks.items():
        if name in _TAKEN or len(name) > _LONGEST_NAME:
            why = (
                "is a source of Maint's own"
                if name in _TAKEN
                else f"is longer than {_LONGEST_NAME} characters"
            )
            yield document.fault(("hooks", name), f"`{name}` {why}", "call it otherwise", at_key=True)
        if hook.channel is not None and hook.channel not in channels:
            hint = did_you_mean(hook.channel, channels) or "name it under `slack: channels:`"
            yield document.fault(("hooks", name, "channel"), f"there is no channel `{hook.channel}`", hint)
        for index in range(len(hook.token)):
            places = (("hooks", name, "token"), ("hooks", name, "token", index))
            if not any(place in document.references for place in places):
                message = "a token is not written here: whoever reads this file could send alerts"
                yield document.fault(places[1], message, "use a reference: '${ALERTS_TOKEN}' or file:…")
