"""Lines of the protocol log as the drawer shows them: readable, and without anything secret."""

import json
import re
from typing import Any
from urllib.parse import parse_qs

from bot.sandbox.delivery import Delivery
from bot.sandbox.feed import Change, Kind
from bot.sandbox.payloads import VERIFICATION_TOKEN
from bot.sandbox.workspace import Call, Workspace

HIDDEN = "…"
SECRET_KEYS = frozenset({"token", "authorization", "x-slack-signature"})
SECRETS = re.compile(
    r"xox[a-z]-[\w-]+|xapp-[\w-]+|" + re.escape(VERIFICATION_TOKEN) + r"|(?<=/response/)[0-9a-f]+"
    r"|(?<=[?&]ticket=)[^&]+"
)


def line_of(workspace: Workspace, change: Change) -> dict[str, Any] | None:
    """A change as a line of the drawer, if it is one. `to`: who was spoken to, the app or Slack."""
    found: dict[str, Any]
    if change.kind is Kind.CONNECTION:
        found = {"what": "connection", "to": "slack", "title": str(change.subject), "data": None}
    elif change.kind is Kind.DELIVERED:
        delivery: Delivery = change.subject
        if delivery.acked:
            return None
        data = {"attempts": delivery.attempts, "error": delivery.error, "seconds": round(delivery.seconds, 3)}
        found = {"what": "failed", "to": "app", "title": f"{delivery.kind}: {delivery.error}", "data": data}
    elif change.kind is Kind.PROTOCOL:
        found = _protocol(change.subject.what, change.subject.data)
    else:
        return None
    shown: dict[str, Any] = _without_secrets(found, workspace.signing_secret)
    return {"number": change.number, "time": change.time, **shown}


def _protocol(what: str, data: Any) -> dict[str, Any]:
    if isinstance(data, Call):
        shown = {"arguments": data.arguments, "answer": data.answer, "status": data.status}
        if data.fault:
            shown["fault"] = data.fault
        error = data.answer.get("error") or data.fault or (data.status if data.status != 200 else None)
        title = f"{data.method}: {error}" if error else data.method
        return {"what": what, "to": "slack", "title": title, "data": shown, "failed": bool(error)}
    if what == "envelope":
        return {"what": what, "to": "app", "title": _named(data["type"], data["payload"]), "data": data}
    if what == "request":
        body = _read(data["body"])
        return {"what": what, "to": "app", "title": _named("POST", body), "data": {**data, "body": body}}
    if what == "answer":
        failed = not 200 <= data["status"] < 300
        return {
            "what": what,
            "to": "slack",
            "title": f"HTTP {data['status']}",
            "data": data,
            "failed": failed,
        }
    if what == "acknowledgement":
        said = "with an answer" if data.get("payload") else "empty"
        return {"what": what, "to": "slack", "title": f"{said}, of {data['envelope_id'][:8]}", "data": data}
    return {"what": what, "to": "slack", "title": what.replace("_", " "), "data": data}


def _named(kind: str, payload: Any) -> str:
    """The envelope's type and what is in it: the command, the action, the event."""
    if not isinstance(payload, dict):
        return kind
    inner = payload.get("payload", payload)
    if not isinstance(inner, dict):
        return kind
    if "command" in inner:
        return f"{kind}: {inner['command']} {inner.get('text', '')}".strip()
    event = inner.get("event")
    word = event.get("type") if isinstance(event, dict) else inner.get("type")
    actions = ", ".join(str(action["action_id"]) for action in inner.get("actions", ()))
    return ": ".join(str(part) for part in (kind, word, actions) if part)


def _read(body: str) -> Any:
    """A body as it is meant: JSON, or a form whose `payload` is JSON."""
    try:
        if body.startswith("{"):
            return json.loads(body)
        form: dict[str, Any] = {name: values[0] for name, values in parse_qs(body).items()}
        if "payload" in form:
            form["payload"] = json.loads(form["payload"])
    except ValueError:
        return body
    return form


def _without_secrets(value: Any, signing_secret: str) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if str(name).lower() in SECRET_KEYS else _without_secrets(item, signing_secret)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(item, signing_secret) for item in value]
    if isinstance(value, str):
        return SECRETS.sub(HIDDEN, value).replace(signing_secret, HIDDEN)
    return value if isinstance(value, int | float | bool | None) else str(value)
