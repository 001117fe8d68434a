"""The form of a runbook's parameters: opened, judged field by field, and sent as the command that it is."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox import View
from bot.sandbox.validate import view as slack_takes
from bot.slack.forms import fitting
from bot.slack.manifest import manifest
from bot.slack.modals import options, run_form
from commands.reply import RunForm
from runbooks.spec.params import Param
from runbooks.spec.runbook import Runbook
from runbooks.steps.choices import read_choices
from tests.scenario.conftest import Site
from tests.slack.conftest import Edged


async def opened(edged: Edged, typed: str = "run deploy", user: str = "sre1") -> View:
    """The form that this command opens."""
    await edged.sandbox.slash(user, "ops", f"/maint {typed}")
    return await edged.form(user)


def inputs(form: View) -> dict[str, dict[str, object]]:
    """The inputs of a form by their parameters."""
    blocks = [block for block in form.definition["blocks"] if block["type"] == "input"]
    return {block["block_id"].removeprefix("maint-param:"): block["element"] for block in blocks}


async def test_missing_parameters_open_a_form_made_from_their_declarations(edged: Edged) -> None:
    """Each type has its own input, with its default in it."""
    form = await opened(edged)
    found = inputs(form)

    assert {name: element["type"] for name, element in found.items()} == {
        "version": "plain_text_input",
        "replicas": "number_input",
        "ratio": "number_input",
        "fast": "radio_buttons",
        "lane": "static_select",
        "build": "external_select",
        "where": "static_select",
        "from": "datepicker",
        "within": "plain_text_input",
        "who": "users_select",
        "hosts": "plain_text_input",
        "token": "plain_text_input",
    }
    assert found["replicas"]["initial_value"] == "3"
    assert (found["replicas"]["min_value"], found["replicas"]["max_value"]) == ("1", "9")
    assert found["lane"]["initial_option"]["value"] == "blue"  # type: ignore[index]


async def test_what_was_typed_stands_in_the_form(edged: Edged) -> None:
    """And what was wrong with it is said above."""
    form = await opened(edged, "run deploy version=abc lane=green")

    assert inputs(form)["version"]["initial_value"] == "abc"
    assert inputs(form)["lane"]["initial_option"]["value"] == "green"  # type: ignore[index]
    assert "must match" in json.dumps(form.definition["blocks"])


async def test_faults_stand_at_their_fields(edged: Edged) -> None:
    """The form stays open, and nothing is started."""
    form = await opened(edged)
    done = await edged.sandbox.submit(
        "sre1", form, {"maint-param:version": "x", "maint-param:within": "soon"}
    )

    assert set(done.answer["errors"]) == {"maint-param:version", "maint-param:within"}
    assert edged.sandbox.views("sre1") == [form]
    assert edged.engine.started == []


async def test_a_sent_form_starts_the_run(edged: Edged) -> None:
    """With every value as its type has it; its card appears in the channel."""
    form = await opened(edged)
    values = {
        "version": "1.2",
        "replicas": 5,
        "ratio": "0.5",
        "fast": "true",
        "lane": "green",
        "where": "preview",
        "from": "2026-12-24",
        "within": "2h",
        "who": "sre2",
        "hosts": "a, b",
        "token": "s3cret-token-9",
    }
    done = await edged.sandbox.submit("sre1", form, {f"maint-param:{k}": v for k, v in values.items()})
    await edged.place.shows("Run of deploy")

    assert done.error is None
    (started,) = edged.engine.started
    assert (started["version"], started["replicas"], started["ratio"]) == ("1.2", 5, 0.5)
    assert (started["fast"], started["lane"], started["where"]) == (True, "green", "preview")
    assert (started["from"], started["hosts"]) == ("2026-12-24", ["a", "b"])
    assert "U00000SRE2" in str(started["who"])
    assert started["token"] == "s3cret-token-9"


async def test_a_secret_of_a_form_is_in_no_record(edged: Edged) -> None:
    """The audit log has dots in its place."""
    form = await opened(edged)
    values = {"maint-param:version": "1.2", "maint-param:token": "s3cret-token-9"}
    await edged.sandbox.submit("sre1", form, values)
    await edged.place.shows("Run of deploy")
    events = await edged.place.records.events()

    assert "s3cret-token-9" not in repr(events)
    assert any("version=1.2" in recorded.event.object for recorded in events)


async def test_a_form_that_is_delivered_twice_starts_one_run(edged: Edged) -> None:
    """The second delivery is a duplicate."""
    form = await opened(edged)
    done = await edged.sandbox.submit("sre1", form, {"maint-param:version": "1.2"})
    await asyncio.gather(*(edged.sandbox.deliverer.deliver("interactive", done.payload) for _ in range(2)))
    assert await edged.audited("command.run", "duplicate", 2) == 2
    await edged.place.shows("Run of deploy")

    assert len(edged.engine.started) == 1


async def test_a_form_that_somebody_else_sends_is_judged_by_who_sends_it(edged: Edged) -> None:
    """Rights are looked at when it is sent, not when it was opened."""
    form = await opened(edged)
    done = await edged.sandbox.submit("sre1", form, {"maint-param:version": "x"})  # refused: it stays
    state = {**done.payload["view"]["state"]["values"]}
    state["maint-param:version"] = {"maint-param:version": {"type": "plain_text_input", "value": "1.2"}}
    forged = {
        **done.payload,
        "user": {**done.payload["user"], "id": "U000NOBODY", "name": "nobody"},
        "view": {**done.payload["view"], "state": {"values": state}},
        "trigger_id": "9.9.9",
    }
    await edged.sandbox.deliverer.deliver("interactive", forged)

    assert await edged.audited("command.run", "denied") == 1
    assert edged.engine.started == []


async def test_who_may_not_run_it_gets_no_form(edged: Edged) -> None:
    """The member without grants."""
    await edged.sandbox.slash("nobody", "ops", "/maint run deploy")
    await edged.shown_to("nobody", "no grant for any runbook")

    assert edged.sandbox.views("nobody") == []


async def test_choices_of_a_service_load_as_one_types(edged: Edged, site: Site) -> None:
    """Those with the typed letters, the ones that begin with them first."""
    site.body, site.kind = json.dumps(["b-12", "a-1", "b-13", "ab-1"]), "application/json"
    form = await opened(edged)
    typed = await edged.sandbox.suggest("sre1", form, "maint-param:build", "b")
    asked = site.hits
    again = await edged.sandbox.suggest("sre1", form, "maint-param:build", "b-13")

    assert [option["value"] for option in typed.answer["options"]] == ["b-12", "b-13", "ab-1"]
    assert [option["value"] for option in again.answer["options"]] == ["b-13"]
    assert site.hits == asked  # people type faster than services answer


@pytest.mark.parametrize(
    ("status", "body"), [(500, "[]"), (200, "{}"), (200, "no json"), (200, '["' + "x" * 9)]
)
async def test_a_service_without_choices_leaves_the_select_empty(
    edged: Edged, site: Site, status: int, body: str
) -> None:
    """And is answered within Slack's time."""
    site.status, site.body = status, body
    form = await opened(edged)
    typed = await edged.sandbox.suggest("sre1", form, "maint-param:build", "")

    assert typed.error is None
    assert typed.answer["options"] == []


async def test_strangers_get_no_options(edged: Edged, site: Site) -> None:
    """What a service offers is told to members only."""
    site.body = '["secret-build"]'
    form = await opened(edged)
    typed = await edged.sandbox.suggest("sre1", form, "maint-param:build", "")
    forged = {**typed.payload, "user": {**typed.payload["user"], "id": "U0STRANGER", "team_id": "T00PARTNER"}}
    answer = await edged.sandbox.deliverer.deliver("interactive", forged)

    assert answer.answer["options"] == []


def book(params: dict[str, Param]) -> Runbook:
    """A runbook with these parameters, and nothing else."""
    head = {"title": "t", "purpose": "", "owner": "", "path": "x.yaml", "digest": "0" * 64, "timeout": None}
    empty = dict.fromkeys(("prerequisites", "success_criteria", "schedule", "escalation", "steps"), ())
    return Runbook(name="x", params=params, **head, **empty)  # type: ignore[arg-type]


@given(
    st.text(max_size=400), st.text(max_size=400), st.lists(st.text(min_size=1, max_size=200), max_size=120)
)
def test_any_declaration_is_a_form_that_slack_takes(prompt: str, given_: str, choices: list[str]) -> None:
    """Whatever stands in a runbook and whatever was typed."""
    choices = choices or ["only"]
    params = {
        "text": Param(prompt=prompt, help=given_),
        "choice": Param(type="choice", choices=tuple(choices)),
        "day": Param(type="date"),
        "count": Param(type="integer"),
        "person": Param(type="user"),
        "target": Param(type="target"),
        "really": Param(type="boolean"),
    }
    form = RunForm(runbook="x", given=dict.fromkeys(params, given_), faults={"text": prompt})

    slack_takes(run_form(book(params), form, {"url": "https://x"}, lambda _: tuple(choices)))


@given(st.lists(st.text(max_size=200), max_size=300), st.text(max_size=5))
def test_options_are_as_many_and_as_long_as_slack_takes(texts: list[str], typed: str) -> None:
    """And only such as have what was typed in them."""
    found = options(fitting(texts, typed))

    assert len(found) <= 100
    assert all(typed.strip().casefold() in option["value"].casefold() for option in found)
    assert all(0 < len(option["value"]) <= 150 and 0 < len(option["text"]["text"]) <= 75 for option in found)


def test_choices_are_read_from_texts_and_from_maps() -> None:
    """What is no text is left out."""
    assert read_choices(b'["a", 1, null, "a", {"name": "b"}]', None) == ("a", "1")
    assert read_choices(b'[{"name": "a"}, {"other": 1}, {"name": ["x"]}]', "name") == ("a",)


def test_the_manifest_switches_interactivity_on() -> None:
    """In Socket Mode without an address; over HTTP with ours, for clicks and for options."""
    url = "https://maint.example.com/slack/events"

    assert manifest()["settings"]["interactivity"] == {"is_enabled": True}
    assert manifest("https://maint.example.com")["settings"]["interactivity"] == {
        "is_enabled": True,
        "request_url": url,
        "message_menu_options_url": url,
    }
