"""The form of a runbook's parameters: opened by `/maint run NAME`, judged by field, sent as a command."""

import asyncio
import html
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.slack.actions import fields_of, open_view
from bot.slack.client import SlackClient
from bot.slack.gateway import Envelope, Gateway
from bot.slack.modals import MOST_OPTIONS, PARAM, RUN, kept_in, options, run_form
from commands.command import Services
from commands.reply import RunForm
from commands.sole_targets import fitting_targets
from runbooks.errors import MaintError, Refused
from runbooks.ids import new_id
from runbooks.spec.params import Param, ParamFaults, parse_params, secret_names
from runbooks.spec.runbook import Runbook
from runbooks.steps.choices import look_up_choices

log = structlog.get_logger()

#: Seconds that looking choices up may take, and that they are good for: people type faster than that.
LOOK_UP, FRESH = 2.0, 20.0
#: The commands that the form can be sent as.
WORDS = ("run", "plan")
#: What stands in the audit log for a secret.
HIDDEN = "•••"


class Forms:
    """Opens the form of a runbook, and takes it when it is sent."""

    def __init__(self, *, slack: SlackClient, services: Services) -> None:
        self._web = slack.unpaced
        self._services = services
        self._gateway: Gateway | None = None
        self._looked_up: dict[tuple[str, str, str | None], tuple[float, tuple[str, ...]]] = {}

    def listen(self, app: AsyncApp, gateway: Gateway) -> None:
        """Registers what the bot answers to; what is sent goes to that gateway."""
        self._gateway = gateway
        app.view(RUN)(self._on_sent)
        app.options(re.compile(f"^{PARAM}"))(self._on_typed)

    async def show(self, envelope: Envelope, form: RunForm) -> bool:
        """Shows the form to whoever typed the command; False when it is too late for that."""
        runbook = self._services.runbooks.get(form.runbook)
        if runbook is None:
            return False
        body = envelope.body
        kept = {"runbook": runbook.name, "word": form.word, "url": envelope.destination.response_url}
        kept |= {"channel": str(body.get("channel_id", "")), "name": str(body.get("channel_name", ""))}
        view = run_form(runbook, form, kept, self._targets)
        return await open_view(self._web, str(body.get("trigger_id", "")), view)

    async def _on_sent(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        kept = kept_in(body["view"])
        name, word = kept.get("runbook", ""), kept.get("word", "")
        runbook = self._services.runbooks.get(name)
        inputs = [block["block_id"] for block in body["view"]["blocks"] if block["type"] == "input"]
        fields = fields_of(body, kept)
        if runbook is None or word not in WORDS:
            gone = "This runbook is not there any more."
            # Of a form whose runbook nobody knows, any value may be a secret's.
            self._record(fields, _escaped(word, name), gone)
            await _complain(ack, inputs, {}, gone)
            return
        given = values_in(body["view"]["state"]["values"])
        fields["text"] = _for_the_log(word, runbook, given)
        try:
            # A pattern may take its second over a hostile text.
            await asyncio.to_thread(parse_params, runbook.params, given, self._services.targets)
        except ParamFaults as error:
            named = ", ".join(error.faults) or "its parameters"
            self._record(fields, fields["text"], f"The form was not taken: {named}")
            await _complain(ack, inputs, error.faults, str(error))
            return
        words = (runbook.name, *(f"{name}={value}" for name, value in given.items()))
        assert self._gateway is not None
        refusal = self._gateway.enqueue(Envelope(fields, new_id(), self._services.commands[word], words))
        await (_complain(ack, inputs, {}, refusal) if refusal else ack())

    async def _on_typed(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """The options for what was typed so far, for whoever may run it. Slack waits three seconds."""
        name = str(body.get("action_id", "")).removeprefix(PARAM)
        kept = kept_in(body.get("view") or {})
        runbook = self._services.runbooks.get(kept.get("runbook", ""))
        fields = fields_of(body, kept)
        param = runbook.params.get(name) if runbook else None
        found: Sequence[str] = ()
        try:
            if runbook is not None and param is not None:
                async with asyncio.timeout(LOOK_UP):
                    await self._check(fields, runbook)
                    found = await self._choices(param)
        except Refused as error:
            log.info("slack.options.refused", error=str(error))
            self._record(fields, _escaped("run", kept.get("runbook", "")), str(error))
        except (MaintError, TimeoutError) as error:
            log.warning("slack.options.failed", param=name, error=str(error) or "no answer in time")
        await ack(options=options(fitting(found, str(body.get("value", "")))))

    async def _check(self, fields: dict[str, Any], runbook: Runbook) -> None:
        """Raises Refused unless the person may run it on something, from where its form was opened."""
        assert self._gateway is not None
        request, refusal = await self._gateway.identify(Envelope(fields, new_id()))
        if refusal or not request.access.may_run_somewhere(runbook.name):
            raise Refused(refusal or f"{request.actor.name} may not run {runbook.name} here.")

    def _record(self, fields: dict[str, Any], text: str, why: str) -> None:
        """What was refused right here stands in the audit log all the same."""
        assert self._gateway is not None
        self._gateway.enqueue(Envelope({**fields, "text": text}, new_id(), refused=why))

    async def _choices(self, param: Param) -> Sequence[str]:
        if param.type == "target":
            return self._targets(param)
        if param.choices_from is None:
            return param.choices
        source = param.choices_from
        key = (source.target, source.path, source.key)
        at, known = self._looked_up.get(key, (0.0, ()))
        if not at or time.monotonic() - at > FRESH:
            known = await look_up_choices(source, self._services.targets, LOOK_UP)
            self._looked_up[key] = (time.monotonic(), known)
        return known

    def _targets(self, param: Param) -> tuple[str, ...]:
        """The names of the targets that such a parameter takes."""
        return fitting_targets(param, self._services.targets)


def fitting(texts: Sequence[str], typed: str) -> list[str]:
    """Those with what was typed in them, the ones that begin with it first; as many as Slack takes."""
    wanted = typed.strip().casefold()
    found = [text for text in texts if wanted in text.casefold()]
    return sorted(found, key=lambda text: not text.casefold().startswith(wanted))[:MOST_OPTIONS]


def values_in(state: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What stands in a form, by parameter, as it would be typed; without what is empty."""
    given: dict[str, str] = {}
    for entries in state.values():
        for action_id, entry in entries.items():
            text = _text(entry)
            if action_id.startswith(PARAM) and text:
                given[action_id.removeprefix(PARAM)] = text
    return given


def _text(entry: Mapping[str, Any]) -> str:
    if option := entry.get("selected_option"):
        return str(option["value"])
    for key in ("value", "selected_date", "selected_user"):
        if entry.get(key) is not None:
            return str(entry[key])
    return ""


def _for_the_log(word: str, runbook: Runbook, given: Mapping[str, str]) -> str:
    """The command as it would have been typed, without its secrets."""
    secret = secret_names(runbook.params)
    pairs = (f"{name}={HIDDEN if name in secret else value}" for name, value in given.items())
    return _escaped(word, runbook.name, *pairs)


def _escaped(*words: str) -> str:
    """The words as Slack would send them: & < > as entities."""
    return html.escape(shlex.join(words), quote=False)


async def _complain(ack: AsyncAck, inputs: Sequence[str], faults: Mapping[str, str], text: str) -> None:
    """Each fault at its field; what has none at the first one."""
    errors = {f"{PARAM}{name}": fault for name, fault in faults.items() if f"{PARAM}{name}" in inputs}
    if not errors and inputs:
        errors = {inputs[0]: text}
    await (ack(response_action="errors", errors=errors) if errors else ack(response_action="clear"))
