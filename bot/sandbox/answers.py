"""What Slack does with what the app said in its acknowledgement."""

from typing import Any

from bot.sandbox import response_urls, views
from bot.sandbox.delivery import Delivery
from bot.sandbox.errors import SlackError
from bot.sandbox.model import Channel, View
from bot.sandbox.people import Member
from bot.sandbox.workspace import Workspace


def after_slash(workspace: Workspace, member: Member, channel: Channel, delivery: Delivery) -> None:
    """Shows the answer to a slash command, to that member alone unless it says otherwise."""
    if not delivery.acked or not delivery.answer:
        return
    try:
        delivery.message = response_urls.post(workspace, channel.id, member.id, delivery.answer)
    except SlackError as error:
        delivery.error = error.code


def after_submission(workspace: Workspace, view: View, delivery: Delivery) -> None:
    """Closes the modal, or does what `response_action` says. A wrong answer is `trouble_connecting`."""
    if not delivery.acked:
        return
    answer = delivery.answer
    action = answer.get("response_action")
    try:
        if action is None and not answer:
            workspace.close_view(view)
        elif action == "clear":
            for each in workspace.stack(view.user):
                workspace.close_view(each)
        elif action == "update":
            workspace.change_view(view, views.definition_of(answer.get("view"), "modal"))
        elif action == "push":
            views.push_onto(workspace, view.user, views.definition_of(answer.get("view"), "modal"))
        elif action == "errors":
            _check_errors(view, answer.get("errors"))
        else:
            raise SlackError("invalid_response_action")
    except SlackError as error:
        delivery.answer = {**answer, "sandbox": error.answer}
        delivery.error = "trouble_connecting"


def _check_errors(view: View, errors: Any) -> None:
    """Errors stand at input blocks only. Raises SlackError."""
    inputs = {block["block_id"] for block in view.definition["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
        raise SlackError("invalid_errors")


def check_options(delivery: Delivery) -> None:
    """The options that an external select got. A wrong answer is `trouble_connecting`."""
    if not delivery.acked:
        return
    options = delivery.answer.get("options", delivery.answer.get("option_groups"))
    if not isinstance(options, list) or len(options) > 100:
        delivery.error = "trouble_connecting"
