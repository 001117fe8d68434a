"""Forms: opened, filled in, answered and closed, by both ways of delivery."""

from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox, View
from tests.sandbox.block_kit import Json
from tests.sandbox.conftest import FORM


async def test_a_form_is_sent_with_all_that_stands_in_it(
    sandbox: Sandbox, app: AsyncApp, delivery: str, form: View
) -> None:
    """What was typed, what stood there at first, and what is empty; then it closes."""
    states: list[Json] = []

    @app.view("form")
    async def submitted(ack: Any, view: Json) -> None:
        states.append(view["state"]["values"])
        await ack()

    await sandbox.submit("sre1", form, {"version": "1.2.3"})

    assert states[0]["version"]["text"] == {"type": "plain_text_input", "value": "1.2.3"}
    assert states[0]["when"]["date"]["selected_date"] == "2026-11-21"
    assert states[0]["who"]["person"]["selected_option"] is None
    assert sandbox.views("sre1") == []


async def test_a_dependent_field_is_sent_at_once(
    sandbox: Sandbox, app: AsyncApp, delivery: str, client: AsyncWebClient
) -> None:
    """With dispatch_action; and what was entered stands in the view's state."""
    bodies: list[Json] = []

    @app.action("text")
    async def typed(ack: Any, body: Json) -> None:
        bodies.append(body)
        await ack()

    view = {**FORM, "blocks": [{**FORM["blocks"][0], "dispatch_action": True}]}
    await client.views_open(trigger_id=sandbox.triggers.give("U00000SRE1"), view=view)
    await sandbox.click("sre1", sandbox.views("sre1")[0], "text", "1.2")

    assert bodies[0]["actions"][0]["value"] == "1.2"
    assert bodies[0]["view"]["state"]["values"]["version"]["text"]["value"] == "1.2"


async def test_a_field_that_does_not_dispatch_cannot_be_clicked(sandbox: Sandbox, form: View) -> None:
    """Slack sends it with the form only."""
    with pytest.raises(LookupError, match="dispatch_action"):
        await sandbox.click("sre1", form, "text", "1.2")


async def test_a_form_with_an_empty_field_is_not_sent(sandbox: Sandbox, form: View) -> None:
    """Slack's own client asks for it."""
    with pytest.raises(ValueError, match="version"):
        await sandbox.submit("sre1", form, {})


async def test_errors_keep_the_form_open(sandbox: Sandbox, app: AsyncApp, delivery: str, form: View) -> None:
    """response_action errors, at the block of the input."""

    @app.view("form")
    async def submitted(ack: Any) -> None:
        await ack(response_action="errors", errors={"version": "not a version"})

    done = await sandbox.submit("sre1", form, {"version": "x"})

    assert (done.error, done.answer["errors"]) == (None, {"version": "not a version"})
    assert sandbox.views("sre1") == [form]


async def test_errors_at_no_input_are_trouble(
    sandbox: Sandbox, app: AsyncApp, delivery: str, form: View
) -> None:
    """The member would see "We had some trouble connecting"."""

    @app.view("form")
    async def submitted(ack: Any) -> None:
        await ack(response_action="errors", errors={"elsewhere": "wrong"})

    assert (await sandbox.submit("sre1", form, {"version": "x"})).error == "trouble_connecting"


async def test_a_form_can_be_answered_with_the_next_page(
    sandbox: Sandbox, app: AsyncApp, delivery: str, form: View
) -> None:
    """response_action push puts a view on top, update changes the one that is there."""
    answers = iter(["push", "update", "clear"])

    @app.view("form")
    async def submitted(ack: Any) -> None:
        action = next(answers)
        title = {"type": "plain_text", "text": action}
        await ack(response_action=action, **({} if action == "clear" else {"view": {**FORM, "title": title}}))

    await sandbox.submit("sre1", form, {"version": "x"})
    below, above = sandbox.views("sre1")
    assert (above.previous_id, above.root_id) == (below.id, below.id)
    await sandbox.submit("sre1", above, {"version": "x"})
    assert above.definition["title"]["text"] == "update"
    await sandbox.submit("sre1", above, {"version": "x"})

    assert sandbox.views("sre1") == []


async def test_a_closed_form_tells_if_it_was_asked_to(
    sandbox: Sandbox, app: AsyncApp, delivery: str, form: View
) -> None:
    """notify_on_close."""
    closed: list[str] = []

    @app.view_closed("form")
    async def on_close(ack: Any, view: Json) -> None:
        closed.append(view["id"])
        await ack()

    await sandbox.dismiss("sre1", form)

    assert (closed, sandbox.views("sre1")) == ([form.id], [])


async def test_an_external_select_asks_the_app(
    sandbox: Sandbox, app: AsyncApp, delivery: str, form: View
) -> None:
    """block_suggestion, answered with options."""

    @app.options("person")
    async def people(ack: Any, payload: Json) -> None:
        await ack(options=[{"text": {"type": "plain_text", "text": payload["value"]}, "value": "1"}])

    done = await sandbox.suggest("sre1", form, "person", "ada")

    assert done.answer["options"][0]["text"]["text"] == "ada"


@pytest.mark.parametrize(
    ("age", "uses", "code"), [(3.0, 0, "expired_trigger_id"), (0.0, 1, "exchanged_trigger_id")]
)
async def test_a_trigger_opens_one_view_within_three_seconds(
    sandbox: Sandbox, client: AsyncWebClient, age: float, uses: int, code: str
) -> None:
    """Later, or again, it is refused."""
    trigger_id = sandbox.triggers.give("U00000SRE1")
    for _ in range(uses):
        await client.views_open(trigger_id=trigger_id, view=FORM)
    sandbox.workspace.advance(age)

    with pytest.raises(SlackApiError) as refused:
        await client.views_open(trigger_id=trigger_id, view=FORM)

    assert refused.value.response["error"] == code


async def test_a_made_up_trigger_opens_nothing(client: AsyncWebClient) -> None:
    """It was never given out."""
    with pytest.raises(SlackApiError) as refused:
        await client.views_open(trigger_id="1.2.3", view=FORM)

    assert refused.value.response["error"] == "invalid_trigger_id"


async def test_a_fourth_view_is_one_too_many(sandbox: Sandbox, client: AsyncWebClient, form: View) -> None:
    """Three may lie on top of each other."""
    for _ in range(2):
        await client.views_push(trigger_id=sandbox.triggers.give("U00000SRE1"), view=FORM)

    with pytest.raises(SlackApiError) as refused:
        await client.views_push(trigger_id=sandbox.triggers.give("U00000SRE1"), view=FORM)

    assert refused.value.response["error"] == "push_limit_reached"


async def test_a_view_that_changed_meanwhile_is_not_overwritten(client: AsyncWebClient, form: View) -> None:
    """The hash of an old version conflicts."""
    old = form.hash
    await client.views_update(view_id=form.id, hash=old, view=FORM)

    with pytest.raises(SlackApiError) as refused:
        await client.views_update(view_id=form.id, hash=old, view=FORM)

    assert refused.value.response["error"] == "hash_conflict"
