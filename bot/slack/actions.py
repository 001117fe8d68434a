"""Buttons, and the forms that they open. A listener acknowledges and hands over, as with commands.

Nothing is taken from a button but its ids: the run, the question and what the person may do are looked up
at the moment of the click, and every answer that is not seen on the card goes to that person alone.
"""

import asyncio
import html
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.errors import SlackApiError

from bot.slack.client import SlackClient
from bot.slack.gateway import Envelope, Gateway, ShowForm
from bot.slack.modals import ANSWER, FILES, PERSON, SAID, View, answer_form, kept_in
from bot.slack.publisher import Destination, Publisher
from bot.slack.render import ACTION
from bot.slack.trouble import CONNECTION_ERRORS, as_slack_error
from commands.command import Services
from commands.dispatch import message
from commands.press import (
    CANCEL,
    SEEN,
    UNDO,
    WORDS_NEEDED,
    Press,
    form_of,
    found_ask,
    ids_in,
    outcome_of,
)
from commands.questions import HAND_OVER, choice_text, takes_evidence
from commands.reply import Reply
from runbooks.errors import MaintError
from runbooks.ids import new_id
from runbooks.records.runs import RunView

log = structlog.get_logger()

_RUN_BUTTONS = {CANCEL: "Cancel run", UNDO: "Roll back"}


class Actions:
    """Takes clicks and sent forms from Bolt."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        publisher: Publisher,
        slack: SlackClient,
        services: Services,
        show_form: ShowForm | None = None,
    ) -> None:
        self._show_form = show_form
        self._gateway = gateway
        self._publisher = publisher
        self._web = slack.unpaced
        self._services = services
        self._press = Press()
        self._telling: set[asyncio.Task[None]] = set()

    def listen(self, app: AsyncApp) -> None:
        """Registers what the bot answers to."""
        app.action(re.compile(f"^{ACTION}"))(self._on_click)
        app.view(ANSWER)(self._on_answer)

    async def _on_click(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        action = body["actions"][0]
        choice = str(action.get("action_id", "")).removeprefix(ACTION)
        chosen = action.get("selected_option") or action
        words = (choice, str(chosen.get("value", "")))
        self._take(Envelope(_recorded(fields_of(body), words), new_id(), self._press, words, self._react))

    async def _on_answer(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        kept, values = kept_in(body["view"]), body["view"]["state"]["values"]
        text = _said(values)
        if not text:
            wanted = kept.get("evidence")
            if PERSON in values or wanted != "optional":
                where = PERSON if PERSON in values else SAID
                await ack(response_action="errors", errors={where: _missing(wanted, where)})
                return
        await ack()
        words = (kept.get("choice", ""), kept.get("value", ""), text or "-")
        fields = _recorded(fields_of(body, kept), words)
        self._take(Envelope(fields, new_id(), self._press, words, self._react))

    def _take(self, envelope: Envelope) -> None:
        if refusal := self._gateway.enqueue(envelope):
            telling = asyncio.create_task(self._tell(envelope.destination, message("Not now", refusal)))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _react(self, envelope: Envelope, reply: Reply) -> None:
        """What the person gets to see: nothing where the card shows it, a form where words are needed."""
        outcome = outcome_of(reply)
        if outcome in SEEN:
            return
        if outcome == WORDS_NEEDED and len(envelope.words) == 2 and await self._open_form(envelope, reply):
            return
        if reply.form and self._show_form and await self._show_form(envelope, reply.form):
            return
        await self._tell(envelope.destination, reply)

    async def _open_form(self, envelope: Envelope, reply: Reply) -> bool:
        """False when it is too late for a form, or there is nothing to ask about."""
        choice, value = envelope.words[:2]
        body = envelope.body
        kept = {"choice": choice, "value": value, "url": envelope.destination.response_url}
        kept |= {"channel": str(body.get("channel_id", "")), "name": str(body.get("channel_name", ""))}
        kept |= {"message": str(body.get("message_ts", "")), "thread": str(body.get("thread_ts", ""))}
        trigger = str(body.get("trigger_id", ""))
        if told := form_of(reply):
            return await open_view(self._web, trigger, _told_form(told, kept))
        run, ask = ids_in(value)
        view = await self._services.runs.view(run)
        return view is not None and await open_view(self._web, trigger, _form(view, ask, choice, kept))

    async def _tell(self, destination: Destination, reply: Reply) -> None:
        try:
            await self._publisher.answer_privately(destination, reply)
        except MaintError as error:
            log.warning("slack.answer.failed", error=str(error))


def _recorded(fields: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The fields with what the audit log says of the click: which button of what, not what was written."""
    return {**fields, "text": html.escape(shlex.join([Press.word, *words[:2]]), quote=False)}


async def open_view(web: Any, trigger: str, view: View) -> bool:
    """Opens a form for whoever the trigger is of; False when Slack does not take it any more."""
    try:
        await web.views_open(trigger_id=trigger, view=view)
    except (SlackApiError, *CONNECTION_ERRORS) as error:
        log.warning("slack.form.not_opened", form=view["callback_id"], error=str(as_slack_error(error)))
        return False
    return True


def fields_of(body: Mapping[str, Any], kept: Mapping[str, str] | None = None) -> dict[str, Any]:
    """An interaction in the fields of a slash command. `kept`: where a form was opened from."""
    user, team, channel = (body.get(name) or {} for name in ("user", "team", "channel"))
    found = {
        "user_id": user.get("id", ""),
        "user_name": user.get("name") or user.get("username") or "",
        "team_id": user.get("team_id") or team.get("id", ""),
        "channel_id": channel.get("id", ""),
        "channel_name": channel.get("name", ""),
        "response_url": body.get("response_url", ""),
        "trigger_id": body.get("trigger_id", ""),
        **_message_of(body),
    }
    if kept is not None:
        where = {"channel_id": "channel", "channel_name": "name", "response_url": "url"}
        where |= {"message_ts": "message", "thread_ts": "thread"}
        found |= {name: kept.get(key, "") for name, key in where.items()}
    return found


def _message_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The message that was clicked in, unless it is one that only this person sees: that has no address."""
    container = body.get("container")
    if not isinstance(container, Mapping) or container.get("is_ephemeral"):
        return {}
    return {"message_ts": container.get("message_ts", ""), "thread_ts": container.get("thread_ts", "")}


def _told_form(told: Mapping[str, str], kept: dict[str, str]) -> View:
    return answer_form(title=told["title"], about=told["about"], label=told["label"], kept=kept)


def _form(view: RunView, ask_id: str, choice: str, kept: dict[str, str]) -> View:
    ask = found_ask(view, ask_id)
    if ask is None:
        title = _RUN_BUTTONS.get(choice, choice)
        return answer_form(title=title, about=view.run.title, label="Why?", kept=kept)
    evidence = takes_evidence(ask, choice)
    label = "Whom?" if choice == HAND_OVER else "What was done?" if evidence else "Why?"
    return answer_form(
        title=choice_text(ask, choice),
        about=f"{view.run.title}: {ask.title}",
        label=label,
        kept={**kept, "evidence": evidence},
        evidence=evidence,
        person=choice == HAND_OVER,
    )


def _said(values: Mapping[str, Any]) -> str:
    """What was written, chosen or attached."""
    if person := values.get(PERSON, {}).get(PERSON, {}).get("selected_user"):
        return f"<@{person}>"
    text = str(values.get(SAID, {}).get(SAID, {}).get("value") or "").strip()
    files = values.get(FILES, {}).get(FILES, {}).get("files") or []
    named = [f"{file.get('name', 'file')} {file.get('permalink', '')}".strip() for file in files]
    return "\n".join(filter(None, [text, *named]))


def _missing(evidence: str | None, where: str) -> str:
    if where == PERSON:
        return "Say who is to do it."
    return "Say what shows that it is done, or attach it." if evidence else "Say why."
