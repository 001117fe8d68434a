"""Everything that somebody can ask of Maint in Slack, from the registries: words, buttons and forms."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.slack.forms import WORDS
from bot.slack.modals import ANSWER, RUN, SAID
from bot.slack.render import ACTION
from commands import COMMANDS
from commands.audit import SUB_WORDS
from commands.audit.search import OF_RUN
from commands.needs import Needs
from commands.press import BUTTONS, CANCEL, DETAILS, UNDO
from commands.questions import CHOICES

#: What is typed after a word; `{run}` is a run, `{name}` a target or a runbook. A new word gets the first.
LINE = "{run} mischief"
LINES: Mapping[str, str] = {
    "health": "{name}",
    "targets": "{name}",
    "stop": "everything mischief",
    "resume": "everything mischief",
    "unlock": "{name} mischief",
    "runbooks": "{name}",
    "plan": "{name} host=here",
    "run": "{name} host=here",
    "runs": "{run}",
    "audit": "run {run}",
    "approve": "{run}",
    "answer": "{run} retry",
    "whoami": "",
    "help": "",
    "access": "explain run {name}",
}
#: The same after `audit`.
AUDIT_LINES: Mapping[str, str] = {
    "evidence": "{run}",
    "verify": "",
    "anchor": "",
    "prune": "",
    "hold": "on mischief",
}


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One of them. `kind`: `word`, `button`, `answer` (the form of a button), `form` (of a runbook)."""

    kind: str
    name: str
    needs: Needs
    line: str = ""  # of a word: all that is typed
    choice: str = ""  # of a button that answers a question, or of its form

    @property
    def of_run(self) -> bool:
        """Whether it is used on a run."""
        return self.kind in ("button", "answer") or "{run}" in self.line

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def things() -> Iterator[Thing]:
    """All there are."""
    for word, command in COMMANDS.items():
        yield Thing(
            kind="word", name=word, needs=command.needs, line=f"{word} {LINES.get(word, LINE)}".strip()
        )
    for sub in SUB_WORDS:
        line = f"audit {sub.word} {AUDIT_LINES.get(sub.word, LINE)}".strip()
        yield Thing(kind="word", name=f"audit {sub.word}", needs=sub.needs, line=line)
    for name, needs in BUTTONS.items():
        choice = name if name in CHOICES else ""
        yield Thing(kind="button", name=name, needs=needs, choice=choice)
        if choice or name in (CANCEL, UNDO):
            yield Thing(kind="answer", name=name, needs=needs, choice=choice)
    for word in WORDS:
        yield Thing(kind="form", name=word, needs=COMMANDS[word].needs)


def button(base: Mapping[str, Any], choice: str, value: str) -> dict[str, Any]:
    """A press on a button of a message."""
    action = {"action_id": ACTION + choice, "block_id": "b", "type": "button", "value": value}
    container = {"type": "message", "message_ts": "1700000000.000100", "is_ephemeral": False}
    container["channel_id"] = base["channel_id"]
    return {
        **_interaction(base, "block_actions"),
        "container": container,
        "channel": {"id": base["channel_id"], "name": base["channel_name"]},
        "response_url": base["response_url"],
        "actions": [{**action, "action_ts": "1700000000.000200"}],
        "state": {"values": {}},
    }


def answer(base: Mapping[str, Any], kept: str) -> dict[str, Any]:
    """The form of a button, with a reason in it. `kept`: its private_metadata."""
    said = {SAID: {SAID: {"type": "plain_text_input", "value": "mischief"}}}
    return {**_interaction(base, "view_submission"), "view": _view(ANSWER, kept, said), "response_urls": []}


def form(base: Mapping[str, Any], kept: str) -> dict[str, Any]:
    """The form of a runbook, filled in."""
    value = {"type": "static_select", "selected_option": {"value": "here"}}
    said = {"maint-param:host": {"maint-param:host": value}}
    return {**_interaction(base, "view_submission"), "view": _view(RUN, kept, said), "response_urls": []}


def typed(base: Mapping[str, Any], kept: str) -> dict[str, Any]:
    """Somebody types into a select of a runbook's form."""
    return {
        **_interaction(base, "block_suggestion"),
        "action_id": "maint-param:host",
        "block_id": "maint-param:host",
        "value": "",
        "container": {"type": "view", "view_id": "V1"},
        "view": _view(RUN, kept, {}),
    }


def kept_with(base: Mapping[str, Any], **more: str) -> dict[str, str]:
    """What is kept with a form that was opened there."""
    where = {"channel": "channel_id", "name": "channel_name", "url": "response_url"}
    return {**{key: str(base[name]) for key, name in where.items()}, **more}


def _interaction(base: Mapping[str, Any], kind: str) -> dict[str, Any]:
    user = {"id": base["user_id"], "username": base["user_name"], "name": base["user_name"]}
    return {
        "type": kind,
        "user": {**user, "team_id": base["team_id"]},
        "team": {"id": base["team_id"], "domain": "sandbox"},
        "token": base["token"],
        "api_app_id": base["api_app_id"],
        "trigger_id": base["trigger_id"],
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _view(callback: str, kept: str, values: Mapping[str, Any]) -> dict[str, Any]:
    blocks = [{"type": "input", "block_id": block} for block in values]
    return {
        "id": "V1",
        "type": "modal",
        "callback_id": callback,
        "private_metadata": kept,
        "blocks": blocks,
        "state": {"values": dict(values)},
    }


def pressed(thing: Thing, run: str, ask: str) -> str:
    """The value of a button: of a run, of its question, or the words of a page of the log."""
    if thing.choice:
        return f"{run}.{ask}"
    return run if thing.name in (OF_RUN, DETAILS, CANCEL, UNDO) else f"run {run}"
