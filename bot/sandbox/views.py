"""views.*: modals and the Home tab."""

from typing import Any

from bot.sandbox import forms, validate
from bot.sandbox.errors import SlackError
from bot.sandbox.feed import Kind
from bot.sandbox.method import Request
from bot.sandbox.model import View
from bot.sandbox.workspace import Workspace

STACK = 3  # views on top of each other


def definition_of(value: Any, kind: str | None = None) -> dict[str, Any]:
    """A view as it is kept. Raises SlackError."""
    found = validate.view(value, kind)
    return {**found, "blocks": forms.with_ids(found["blocks"])}


def push_onto(workspace: Workspace, user: str, definition: dict[str, Any]) -> View:
    """One more view for that member. Raises SlackError when there are three, or none to push onto."""
    stack = workspace.stack(user)
    if not stack:
        raise SlackError("not_found")
    if len(stack) >= STACK:
        raise SlackError("push_limit_reached")
    return workspace.show_view(user, definition, above=stack[-1])


def _allowed(request: Request, definition: dict[str, Any]) -> dict[str, Any]:
    """Who lets people attach files must be able to read them. Raises SlackError."""
    elements = [block.get("element", {}) for block in definition["blocks"] if block["type"] == "input"]
    if any(element.get("type") == "file_input" for element in elements):
        request.need("files:read")
    return definition


def open_view(request: Request) -> dict[str, Any]:
    """views.open"""
    definition = _allowed(request, definition_of(request.arguments.get("view"), "modal"))
    trigger = request.triggers.take(request.text("trigger_id"))
    for view in request.workspace.stack(trigger.user):
        request.workspace.close_view(view)
    return {"view": request.workspace.show_view(trigger.user, definition).to_dict()}


def push(request: Request) -> dict[str, Any]:
    """views.push"""
    definition = _allowed(request, definition_of(request.arguments.get("view"), "modal"))
    trigger = request.triggers.take(request.text("trigger_id"))
    return {"view": push_onto(request.workspace, trigger.user, definition).to_dict()}


def update(request: Request) -> dict[str, Any]:
    """views.update"""
    workspace = request.workspace
    external_id = request.text("external_id")
    found = [
        v for v in workspace.views.values() if external_id and v.definition.get("external_id") == external_id
    ]
    view = found[-1] if found else workspace.views.get(request.text("view_id"))
    if view is None or view.closed:
        raise SlackError("not_found")
    definition = _allowed(request, definition_of(request.arguments.get("view"), view.definition["type"]))
    if request.text("hash", view.hash) != view.hash:
        raise SlackError("hash_conflict")
    workspace.change_view(view, definition)
    return {"view": view.to_dict()}


def publish(request: Request) -> dict[str, Any]:
    """views.publish"""
    workspace = request.workspace
    if not workspace.home_tab:
        raise SlackError("not_enabled")
    member = workspace.members.get(request.text("user_id"))
    if member is None or member.is_bot or member.deleted:
        raise SlackError("invalid_arguments")
    definition = definition_of(request.arguments.get("view"), "home")
    home = workspace.homes.get(member.id)
    if home is None:
        workspace.claim_external_id(definition, None)
        home = View(workspace.new_id("V"), member.id, definition, workspace.new_hash())
        workspace.homes[member.id] = home
        workspace.feed.publish(Kind.VIEW, home)
        return {"view": home.to_dict()}
    if request.text("hash", home.hash) != home.hash:
        raise SlackError("hash_conflict")
    workspace.change_view(home, definition)
    return {"view": home.to_dict()}
