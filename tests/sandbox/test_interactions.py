"""What members do, as the app hears of it, and what the app's answers do, by both ways of delivery."""

import asyncio
from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Message, Sandbox, View

Json = dict[str, Any]

CARD = [
    {
        "type": "actions",
        "block_id": "decision",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "text": {"type": "plain_text", "text": "Approve"},
                "value": "run-7",
                "style": "primary",
            },
            {
                "type": "static_select",
                "action_id": "pick",
                "options": [
                    {"text": {"type": "plain_text", "text": "Database"}, "value": "db"},
                    {"text": {"type": "plain_text", "text": "Cache"}, "value": "cache"},
                ],
            },
        ],
    }
]
FORM: Json = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "Run"},
    "submit": {"type": "plain_text", "text": "Run"},
    "notify_on_close": True,
    "blocks": [
        {
            "type": "input",
            "block_id": "version",
            "label": {"type": "plain_text", "text": "Version"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
        {
            "type": "input",
            "block_id": "when",
            "optional": True,
            "label": {"type": "plain_text", "text": "When"},
            "element": {"type": "datepicker", "action_id": "date", "initial_date": "2026-11-21"},
        },
        {
            "type": "input",
            "block_id": "who",
            "optional": True,
            "label": {"type": "plain_text", "text": "Who"},
            "element": {"type": "external_select", "action_id": "person", "min_query_length": 0},
        },
    ],
}


@pytest.fixture(params=["connected", "http"])
def delivery(request: pytest.FixtureRequest) -> str:
    """The app, reached in each of the two ways."""
    request.getfixturevalue(request.param)
    return str(request.param)


@pytest.fixture
async def card(sandbox: Sandbox, client: AsyncWebClient) -> Message:
    """A message with a button and a select in #ops."""
    await client.chat_postMessage(channel="C000000OPS", text="go?", blocks=CARD)
    return sandbox.messages("ops")[0]


@pytest.fixture
async def form(sandbox: Sandbox, client: AsyncWebClient) -> View:
    """A modal that sre1 has open."""
    await client.views_open(trigger_id=sandbox.triggers.give("U00000SRE1"), view=FORM)
    return sandbox.views("sre1")[0]


async def test_names_in_a_command_arrive_as_ids(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """As with should_escape in the manifest; what looks like a tag is escaped."""
    texts: list[str] = []

    @app.command("/maint")
    async def maint(ack: Any, command: Json) -> None:
        texts.append(command["text"])
        await ack()

    await sandbox.slash("sre1", "ops", "/maint ask @sre2 and @sre in #ops <b>")

    assert texts == ["ask <@U00000SRE2|sre2> and <!subteam^S000000SRE|@sre> in <#C000000OPS|ops> &lt;b&gt;"]


async def test_a_command_can_be_answered_to_all(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """With response_type in_channel, and with blocks."""

    @app.command("/maint")
    async def maint(ack: Any) -> None:
        await ack(text="ok", blocks=[{"type": "divider"}], response_type="in_channel")

    done = await sandbox.slash("sre1", "ops", "/maint")

    assert done.message is not None
    assert sandbox.messages("ops") == [done.message]
    assert done.message.blocks[0]["type"] == "divider"


async def test_a_click_says_who_what_and_where(
    sandbox: Sandbox, app: AsyncApp, delivery: str, card: Message
) -> None:
    """The member, the button's value, the message, and ids to answer with."""
    bodies: list[Json] = []

    @app.action("approve")
    async def approve(ack: Any, body: Json) -> None:
        bodies.append(body)
        await ack()

    done = await sandbox.click("sre1", card, "Approve")

    (body,) = bodies
    assert done.acked
    assert body["user"]["id"] == "U00000SRE1"
    assert (body["actions"][0]["action_id"], body["actions"][0]["value"]) == ("approve", "run-7")
    assert (body["channel"]["id"], body["message"]["ts"]) == ("C000000OPS", card.ts)
    assert body["container"]["is_ephemeral"] is False
    assert body["trigger_id"]
    assert body["response_url"].startswith(sandbox.workspace.base_url)


async def test_a_choice_is_sent_with_its_option(
    sandbox: Sandbox, app: AsyncApp, delivery: str, card: Message
) -> None:
    """Named by its text or its value."""
    chosen: list[str] = []

    @app.action("pick")
    async def pick(ack: Any, action: Json) -> None:
        chosen.append(action["selected_option"]["value"])
        await ack()

    await sandbox.click("sre1", card, "pick", "Cache")

    assert chosen == ["cache"]


async def test_a_click_on_what_is_gone_needs_an_old_screen(
    sandbox: Sandbox, app: AsyncApp, delivery: str, card: Message, client: AsyncWebClient
) -> None:
    """A removed button can be pressed only by somebody who has not seen the update."""
    clicks: list[str] = []

    @app.action("approve")
    async def approve(ack: Any, action: Json) -> None:
        clicks.append(action["value"])
        await ack()

    await client.chat_update(channel=card.channel, ts=card.ts, text="done", blocks=[])
    with pytest.raises(LookupError, match="nothing to click"):
        await sandbox.click("sre1", card, "approve")
    await sandbox.click("sre1", card, "approve", stale=True)

    assert clicks == ["run-7"]


async def test_an_ephemeral_message_is_clicked_by_its_member_only(
    sandbox: Sandbox, app: AsyncApp, delivery: str, client: AsyncWebClient
) -> None:
    """And its content is not in the payload."""
    bodies: list[Json] = []

    @app.action("approve")
    async def approve(ack: Any, body: Json) -> None:
        bodies.append(body)
        await ack()

    await client.chat_postEphemeral(channel="C000000OPS", user="U00000SRE1", text="go?", blocks=CARD)
    (message,) = sandbox.messages("ops", as_user="sre1")
    with pytest.raises(LookupError, match="does not see"):
        await sandbox.click("sre2", message, "approve")
    await sandbox.click("sre1", message, "approve")

    assert (bodies[0]["container"]["is_ephemeral"], "message" in bodies[0]) == (True, False)


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


async def test_an_opened_home_is_published_and_seen(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """app_home_opened, views.publish."""

    @app.event("app_home_opened")
    async def opened(client: AsyncWebClient, event: Json) -> None:
        await client.views_publish(
            user_id=event["user"], view={"type": "home", "blocks": [{"type": "divider"}]}
        )

    await sandbox.open_home("sre1")

    home = await sandbox.wait_for(lambda: sandbox.home("sre1"))
    assert home.definition["blocks"][0]["type"] == "divider"


async def test_a_mention_is_answered_in_its_thread(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """The event carries the id of the bot and the ts to answer to."""

    @app.event("app_mention")
    async def mentioned(say: Any, event: Json) -> None:
        await say(text=event["text"], thread_ts=event["ts"])

    await sandbox.mention("sre1", "ops", "hello")

    replies = await sandbox.wait_for(lambda: sandbox.thread(sandbox.messages("ops")[0]))
    assert [reply.text for reply in replies] == ["<@U0000MAINT> hello"]


async def test_a_direct_message_is_an_event_of_its_own(
    sandbox: Sandbox, app: AsyncApp, delivery: str
) -> None:
    """message with channel_type im."""
    events: list[Json] = []

    @app.event("message")
    async def direct(event: Json) -> None:
        events.append(event)

    await sandbox.direct_message("sre1", "hello")

    await sandbox.wait_for(lambda: events, timeout=1)
    assert (events[0]["channel_type"], events[0]["text"]) == ("im", "hello")


async def test_talk_among_members_is_not_delivered(sandbox: Sandbox, client: AsyncWebClient) -> None:
    """The app did not subscribe to message.channels; a test can let it."""
    assert await sandbox.say("sre1", "ops", "lunch?") == []

    sandbox.workspace.events |= {"message.channels"}
    sandbox.deliverer.retries = ()
    assert [each.kind for each in await sandbox.say("sre1", "ops", "lunch?")] == ["events_api"]


async def test_an_installed_app_has_what_its_manifest_says(sandbox: Sandbox) -> None:
    """Its commands, its events and its scopes, and what was used of them is known."""
    sandbox.workspace.install(
        {
            "features": {"slash_commands": [{"command": "/maint", "should_escape": False}]},
            "oauth_config": {"scopes": {"bot": ["commands", "chat:write"]}},
            "settings": {"event_subscriptions": {"bot_events": ["app_mention"]}},
        }
    )

    delivery = await sandbox.slash("sre1", "ops", "/maint ask @sre2")
    assert delivery.payload["text"] == "ask @sre2"
    with pytest.raises(LookupError, match="no command /other"):
        await sandbox.slash("sre1", "ops", "/other")
    with pytest.raises(LookupError, match="no app_mention"):  # the scope is missing
        await sandbox.mention("sre1", "ops", "hello")
    assert sandbox.workspace.scopes_used == {"commands"}


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


async def test_a_member_who_left_does_nothing(sandbox: Sandbox) -> None:
    """The test that tries has an error in it."""
    with pytest.raises(LookupError, match="deactivated"):
        await sandbox.slash("gone", "ops", "/maint")


async def test_many_members_at_once_are_all_answered(sandbox: Sandbox, app: AsyncApp, delivery: str) -> None:
    """Twenty commands, each acknowledged with its own text."""

    @app.command("/maint")
    async def maint(ack: Any, command: Json) -> None:
        await ack(command["text"])

    done = await asyncio.gather(*(sandbox.slash("sre1", "ops", f"/maint {n}") for n in range(20)))

    assert [each.answer["text"] for each in done] == [str(n) for n in range(20)]
