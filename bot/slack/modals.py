"""Draws forms: the only file that writes views. What it is told is text, and stays text.

Limits (docs.slack.dev, reference/views): 100 blocks, 24 characters in a title, 2,000 in a label or a hint,
75 in an option's text and 150 in its value, 3,000 in private_metadata.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.slack.render import Block, blocks_of, clean
from commands.reply import Alarm, Note, Paragraph, RunForm
from runbooks.spec.params import Param
from runbooks.spec.runbook import Runbook
from runbooks.visible import shorten

View = dict[str, Any]

ANSWER, RUN = "maint:answer", "maint:run"
#: What the action_id of a parameter's input begins with.
PARAM = "maint-param:"
TITLE_LENGTH, LABEL_LENGTH, HINT_LENGTH, PLACEHOLDER_LENGTH = 24, 200, 1000, 150
OPTION_LENGTH, VALUE_LENGTH, MOST_OPTIONS = 75, 150, 100
#: Characters of an input, and of what is kept with a form.
INPUT_LENGTH, METADATA_LENGTH = 3000, 3000
#: Inputs of one form.
MOST_INPUTS = 90
#: The block of the words, and of the files, in the form of an answer.
SAID, FILES, PERSON = "said", "files", "person"

_YES_NO = ("true", "false")


def answer_form(
    *, title: str, about: str, label: str, kept: Mapping[str, str], evidence: str = "", person: bool = False
) -> View:
    """Asks for what a button needs: a reason; or evidence (`optional`, `required`), in words or as files; or
    a person."""
    blocks: list[Block] = blocks_of([Paragraph(about)] if about else [])
    if person:
        blocks.append(_input(PERSON, label, {"type": "users_select", "action_id": PERSON}))
    else:
        typed = {"type": "plain_text_input", "action_id": SAID, "multiline": True, "max_length": 2500}
        # With files there may be no words; which of both are there is looked at when it is sent.
        blocks.append(_input(SAID, label, typed, optional=bool(evidence)))
    if evidence:
        files = {"type": "file_input", "action_id": FILES, "max_files": 5}
        blocks.append(_input(FILES, "Files", files, optional=True))
    return _modal(ANSWER, title, "Send", blocks, kept)


def run_form(
    runbook: Runbook, form: RunForm, kept: Mapping[str, str], targets: Callable[[Param], Sequence[str]]
) -> View:
    """Asks for the parameters of a runbook, with what was given in its place and what was wrong above it.

    `targets`: the names of targets that fit a parameter.
    """
    blocks: list[Block] = blocks_of([Paragraph(shorten(runbook.purpose, 600))] if runbook.purpose else [])
    declared = list(runbook.params.items())
    strange = [f"{name}: {fault}" for name, fault in form.faults.items() if name not in runbook.params]
    blocks += blocks_of([Alarm(text) for text in strange])
    for name, param in declared[:MOST_INPUTS]:
        given = form.given.get(name)
        if given is not None and (fault := form.faults.get(name)):
            blocks += blocks_of([Alarm(f"{name}: {fault}")])
        names = targets(param) if param.type == "target" else ()
        blocks.append(_param(name, param, given, names))
    if len(declared) > MOST_INPUTS:
        blocks += blocks_of([Note("There are more parameters than a form can have: type them instead.")])
    send = "Show plan" if form.word == "plan" else "Run"
    return _modal(RUN, runbook.name, send, blocks or blocks_of([Paragraph("It takes no parameters.")]), kept)


def kept_in(view: Mapping[str, Any]) -> dict[str, str]:
    """What was kept with a form."""
    try:
        found = json.loads(view.get("private_metadata") or "{}")
    except (ValueError, RecursionError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def options(texts: Sequence[str]) -> list[Block]:
    """What a select offers: those that it can."""
    return [_option(text) for text in dict.fromkeys(texts) if 0 < len(text) <= VALUE_LENGTH][:MOST_OPTIONS]


def _modal(callback: str, title: str, send: str, blocks: list[Block], kept: Mapping[str, str]) -> View:
    return {
        "type": "modal",
        "callback_id": callback,
        "title": _plain(title, TITLE_LENGTH),
        "submit": _plain(send, TITLE_LENGTH),
        "close": _plain("Close", TITLE_LENGTH),
        "blocks": blocks,
        "private_metadata": json.dumps(dict(kept), separators=(",", ":"))[:METADATA_LENGTH],
    }


def _param(name: str, param: Param, given: str | None, targets: Sequence[str]) -> Block:
    default = param.default
    if isinstance(default, tuple):
        default = ", ".join(str(item) for item in default)
    if isinstance(default, bool):
        default = str(default).lower()
    at_first = given if given is not None else "" if default is None else str(default)
    element = _element(param, "" if param.secret else at_first, targets)
    element["action_id"] = PARAM + name
    label = f"{name}: {param.prompt}" if param.prompt else name
    hints = [param.help, _limits(param), "It is not shown anywhere." if param.secret else ""]
    optional = not param.required or param.default is not None
    return _input(f"{PARAM}{name}", label, element, optional=optional, hint="  ".join(filter(None, hints)))


def _element(param: Param, at_first: str, targets: Sequence[str]) -> Block:
    match param.type:
        case "integer" | "number":
            return _number(param, at_first)
        case "boolean":
            return _chosen({"type": "radio_buttons"}, _YES_NO, at_first)
        case "date":
            return {"type": "datepicker", **({"initial_date": at_first} if _is_date(at_first) else {})}
        case "user":
            known = at_first[:1] in ("U", "W") and at_first.isalnum()
            return {"type": "users_select", **({"initial_user": at_first} if known else {})}
        case "target":
            return _select(targets, at_first)
        case "choice" if param.choices_from is not None:
            return _searched(at_first)
        case "choice":
            return _select(param.choices, at_first)
    longest = param.max if param.type == "string" and isinstance(param.max, int) else INPUT_LENGTH
    typed: Block = {"type": "plain_text_input", "max_length": max(1, min(longest, INPUT_LENGTH))}
    if param.type == "list":
        typed |= {"placeholder": _plain("one, two, three", PLACEHOLDER_LENGTH)}
    if param.type == "duration":
        typed |= {"placeholder": _plain("1h30m", PLACEHOLDER_LENGTH)}
    return {**typed, **({"initial_value": shorten(clean(at_first), INPUT_LENGTH)} if at_first else {})}


def _number(param: Param, at_first: str) -> Block:
    element: Block = {"type": "number_input", "is_decimal_allowed": param.type == "number"}
    for key, limit in (("min_value", param.min), ("max_value", param.max)):
        if isinstance(limit, int | float):
            element[key] = str(limit)
    try:
        float(at_first)
    except ValueError:
        return element
    return {**element, "initial_value": at_first}


def _select(texts: Sequence[str], at_first: str) -> Block:
    # What a select cannot hold is looked for as it is typed.
    if not 0 < len(texts) <= MOST_OPTIONS or any(len(text) > VALUE_LENGTH for text in texts):
        return _searched(at_first)
    return _chosen({"type": "static_select"}, texts, at_first)


def _searched(at_first: str) -> Block:
    known = {"initial_option": _option(at_first)} if 0 < len(at_first) <= VALUE_LENGTH else {}
    return {"type": "external_select", "min_query_length": 0, **known}


def _chosen(element: Block, texts: Sequence[str], at_first: str) -> Block:
    chosen = {"initial_option": _option(at_first)} if at_first in texts else {}
    return {**element, "options": options(texts), **chosen}


def _option(text: str) -> Block:
    return {"text": _plain(text, OPTION_LENGTH), "value": text}


def _input(block_id: str, label: str, element: Block, *, optional: bool = False, hint: str = "") -> Block:
    drawn: Block = {
        "type": "input",
        "block_id": block_id,
        "label": _plain(label, LABEL_LENGTH),
        "element": element,
        "optional": optional,
    }
    return {**drawn, "hint": _plain(hint, HINT_LENGTH)} if hint else drawn


def _limits(param: Param) -> str:
    said = []
    if param.min is not None:
        said.append(f"at least {param.min}")
    if param.max is not None:
        said.append(f"at most {param.max}")
    if param.pattern:
        said.append(f"matches {param.pattern}")
    return ", ".join(said)


def _plain(text: str, length: int) -> Block:
    return {"type": "plain_text", "text": shorten(clean(text), length) or " ", "emoji": False}


def _is_date(text: str) -> bool:
    return len(text) == 10 and text[4] == text[7] == "-" and text.replace("-", "").isdigit()
