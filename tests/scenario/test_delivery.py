"""What Slack's protocols do to a request: both ways in, duplicates, lost connections, limits, faults."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from urllib.parse import urlencode

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import Engine, text

from bot.sandbox import Sandbox
from bot.sandbox.model import Content
from bot.slack import publisher
from bot.slack.people import People
from runbooks.errors import RecordsError
from runbooks.records.audit import Filter
from runbooks.records.cards import Card
from runbooks.records.records import Records
from tests.scenario.conftest import Site, Workplace, newest

REPORTED = "Morning health check: "


@pytest.fixture
def by_http(workplace: Workplace) -> Workplace:
    """The same Maint, to which Slack sends signed HTTP requests."""
    workplace.settings["slack"] = {**dict(workplace.settings["slack"]), "mode": "http"}  # type: ignore[call-overload]
    workplace.settings["http"] = {"port": 0}
    return workplace


async def test_health_works_over_signed_http(sandbox: Sandbox, by_http: Workplace) -> None:
    """The same journey by signed requests to /slack/events."""
    async with by_http.serving():
        delivery = await sandbox.slash("admin", "ops", "/maint health")
        await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"))

    assert delivery.acked
    assert delivery.status == 200


async def test_a_replayed_request_does_nothing_twice(
    sandbox: Sandbox, by_http: Workplace, site: Site
) -> None:
    """A valid request that is sent again within its five minutes is recorded as a duplicate, no more."""
    async with by_http.serving():
        delivery = await sandbox.slash("admin", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"))
        answer = await sandbox.request(urlencode(delivery.payload).encode())
        duplicates = await eventually(by_http, Filter(outcome="duplicate"))

    assert answer.status == 200
    assert duplicates == 1
    assert site.hits == 1


async def test_an_envelope_that_comes_twice_is_carried_out_once(
    sandbox: Sandbox, workplace: Workplace, site: Site
) -> None:
    """The same command delivered over both connections is done once, also when they come at the same time."""
    async with workplace.serving():
        delivery = await sandbox.slash("admin", "ops", "/maint health app")
        await asyncio.gather(
            *(sandbox.deliverer.deliver("slash_commands", delivery.payload) for _ in range(3))
        )
        await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"))
        duplicates = await eventually(workplace, Filter(outcome="duplicate"), 3)

    assert duplicates == 3
    assert site.hits == 1


def many_targets(site: Site, count: int) -> dict[str, object]:
    """Targets that are all the same site, one of them on staging."""
    targets: dict[str, object] = {f"app-{n}": {"type": "http", "url": site.url} for n in range(count - 1)}
    return {**targets, "preview": {"type": "http", "url": site.url, "environment": "staging"}}


async def eventually(workplace: Workplace, which: Filter, count: int = 1) -> int:
    """How many such audit events there are once there are `count`."""
    for _ in range(100):
        if len(found := await workplace.audit(which)) >= count:
            break
        await asyncio.sleep(0.05)
    return len(found)


async def test_several_connections_are_kept(sandbox: Sandbox, workplace: Workplace) -> None:
    """Maint is connected twice by default."""
    async with workplace.serving():
        assert len(sandbox.sockets.connections) == 2


@pytest.mark.parametrize("how", ["refresh_requested", "close", "abort"])
async def test_a_lost_connection_loses_no_command(sandbox: Sandbox, workplace: Workplace, how: str) -> None:
    """When one of the connections is refreshed, closed or cut off, commands keep being answered."""
    async with workplace.serving():
        connection = sandbox.sockets.connections[0]
        if how == "refresh_requested":
            await sandbox.sockets.disconnect("refresh_requested", connection)
        elif how == "close":
            await sandbox.sockets.close(connection)
        else:
            sandbox.sockets.abort(connection)
        answers = [await sandbox.slash("admin", "ops", "/maint whoami") for _ in range(5)]

    assert [answer.error for answer in answers] == [None] * 5


async def test_a_rate_limited_post_waits_and_arrives(sandbox: Sandbox, workplace: Workplace) -> None:
    """A 429 is waited out as Slack says, and the card is posted once."""
    sandbox.fault("chat.postMessage", "ratelimited", seconds=1)
    started = time.monotonic()
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"), 10)

    assert time.monotonic() - started >= 1
    assert [message for message in sandbox.messages("ops") if not message.thread_ts] == [card]


@pytest.mark.parametrize("trouble", ["drop_after", "server_error", "drop_before"])
async def test_a_post_that_may_have_arrived_is_not_sent_twice(
    sandbox: Sandbox, workplace: Workplace, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the answer to a post is lost, the card is looked for; there is one card, whatever had happened."""
    monkeypatch.setattr(publisher, "DOUBT_PAUSE", 0.05)
    sandbox.fault("chat.postMessage", trouble)
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"), 10)

    assert [message for message in sandbox.messages("ops") if not message.thread_ts] == [card]
    assert "conversations.history" in {call.method for call in sandbox.calls}


async def test_a_lost_edit_is_sent_again(sandbox: Sandbox, workplace: Workplace) -> None:
    """An edit may be done twice, so one whose answer was lost is repeated."""
    sandbox.fault("chat.update", "drop_before")
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"), 10)


async def test_a_report_whose_card_was_deleted_is_answered_in_private(
    sandbox: Sandbox, workplace: Workplace, site: Site
) -> None:
    """Who asked gets the report, also when somebody deleted the card in the meantime."""
    site.seconds = 0.5
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
        card = await sandbox.wait_for(lambda: newest(sandbox, "checking"))
        web = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
        await web.chat_delete(channel="C000000OPS", ts=card.ts)
        report = await sandbox.wait_for(lambda: newest(sandbox, REPORTED, as_user="admin"), 10)

    assert "The card was deleted" in report.shown
    assert report.ephemeral_to == "U0000ADMIN"


async def test_a_card_is_mended_once_slack_is_back(
    sandbox: Sandbox, workplace: Workplace, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that could not be mended because Slack was away is tried again in the next round."""
    monkeypatch.setattr("bot.app.CARD_AGE", timedelta(0))
    monkeypatch.setattr("bot.app.TIDY_INTERVAL", 0.2)
    monkeypatch.setattr("bot.slack.client.ATTEMPTS", 0)
    channel = "C000000OPS"
    web = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
    card = Card(kind="command", correlation="c", channel=channel)
    metadata = {"event_type": publisher.METADATA, "event_payload": {"card": card.id, "done": False}}
    posted = await web.chat_postMessage(channel=channel, text="checking", metadata=metadata)
    records = await Records.open(str(workplace.settings["database"]))
    await records.add_card(replace(card, ts=str(posted["ts"])))
    await records.close()
    sandbox.fault("chat.update", "server_error", times=2, status=503)
    async with workplace.serving():
        await sandbox.wait_for(lambda: newest(sandbox, "Interrupted"), 10)


async def test_a_card_of_unknown_place_is_found_under_many_messages(
    sandbox: Sandbox, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost card is looked for in all that was said since, not only on the first page."""
    monkeypatch.setattr("bot.app.CARD_AGE", timedelta(0))
    channel = "C000000OPS"
    lost = Card(kind="command", correlation="c", channel=channel)
    web = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
    metadata = {"event_type": publisher.METADATA, "event_payload": {"card": lost.id}}
    await web.chat_postMessage(channel=channel, text="checking", metadata=metadata)
    for number in range(250):
        sandbox.workspace.post(channel, "U00000SRE1", Content(f"busy {number}"))
    records = await Records.open(str(workplace.settings["database"]))
    await records.add_card(lost)
    await records.close()
    async with workplace.serving():
        await sandbox.wait_for(lambda: newest(sandbox, "Interrupted"), 10)


async def test_a_card_is_edited_about_once_a_second_at_most(
    sandbox: Sandbox, workplace: Workplace, site: Site
) -> None:
    """Many results in quick succession are coalesced; the final report does not wait for long."""
    site.seconds = 0.15
    workplace.settings["targets"] = many_targets(site, 30)
    workplace.settings["checks"] = {"concurrency": 2}
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"), 15)

    times = [version.time for version in card.history]
    progress = [later - earlier for earlier, later in pairwise(times[:-1])]
    assert len(progress) >= 1
    assert all(gap >= 0.95 for gap in progress)


async def test_text_from_outside_pings_nobody(sandbox: Sandbox, workplace: Workplace, site: Site) -> None:
    """What a checked service answers reaches Slack as text, never as a mention."""
    site.status, site.body = 500, "<!channel> <@U0000ADMIN> *bold* `code`"
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}critical"))

    assert not card.broadcast


async def test_stopping_lets_what_was_asked_come_to_its_end(
    sandbox: Sandbox, workplace: Workplace, site: Site
) -> None:
    """A command that was acknowledged before Maint was stopped is answered all the same."""
    site.seconds = 0.5
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
    assert newest(sandbox, f"{REPORTED}ok")


async def test_a_command_that_outlasts_the_drain_is_said_to_be_interrupted(
    sandbox: Sandbox, workplace: Workplace, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card never stays at `checking` because Maint was stopped."""
    monkeypatch.setattr("bot.app.DRAIN", 0.5)
    site.seconds = 5
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, "checking"))
    assert newest(sandbox, "Interrupted")
    assert not newest(sandbox, "checking")


async def test_the_scopes_of_the_manifest_are_those_of_the_calls(
    sandbox: Sandbox, workplace: Workplace, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every journey works with exactly the manifest's scopes, and each scope is needed by a call."""
    from bot.slack.manifest import BOT_SCOPES, manifest

    monkeypatch.setattr(publisher, "DOUBT_PAUSE", 0.05)
    sandbox.workspace.install(manifest())
    sandbox.fault("chat.postMessage", "drop_after")
    site.status, site.body = 500, "x"
    workplace.settings["targets"] = many_targets(site, 60)
    async with workplace.serving():
        for user in ("sre1", "dba", "admin"):
            await sandbox.slash(user, "ops", "/maint health")
        await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}critical"), 15)
        await sandbox.wait_for(lambda: sandbox.files, 15)

    refused = [call for call in sandbox.calls if call.answer.get("error") == "missing_scope"]
    # An address in users.info comes with no call of its own, #ops is a public channel; evidence is asked
    # for in tests of buttons, and direct messages are opened in tests of escalation.
    by_design = {"users:read.email", "groups:history", "im:history", "im:write", "files:read"}
    assert refused == []
    assert set(BOT_SCOPES) - by_design <= sandbox.workspace.scopes_used


async def test_a_report_is_never_mended_away(
    sandbox: Sandbox, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the database could not note that a card is done, the card in Slack still says that it is.

    The database fails in just that moment by replacing the one call: a real one cannot be stopped so well.
    """

    async def fails(*_: object) -> None:
        raise RecordsError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Records, "card_finished", fails)
        async with workplace.serving():
            await sandbox.slash("admin", "ops", "/maint health app")
            await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"), 10)
    monkeypatch.setattr("bot.app.CARD_AGE", timedelta(0))
    async with workplace.serving():
        await sandbox.wait_for(lambda: [c for c in sandbox.calls if c.method == "conversations.history"])

    assert newest(sandbox, f"{REPORTED}ok")
    assert not newest(sandbox, "Interrupted")


async def test_a_refused_upload_is_a_line_in_the_log(
    sandbox: Sandbox, workplace: Workplace, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """When Slack takes the details' file not, the card stands all the same, and the log says what failed."""
    sandbox.fault("upload", "server_error", times=4)
    site.status, site.body = 500, "x"
    workplace.settings["targets"] = many_targets(site, 60)
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health")
        await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}critical"), 15)
    assert "slack.answer.failed" in caplog.text


async def test_a_fault_of_ours_is_answered_with_a_reference(
    sandbox: Sandbox, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No acknowledged command is left without an answer, also when Maint itself breaks on the way in.

    The fault is planted: every one that is known was repaired.
    """

    async def breaks(*_: object) -> None:
        raise KeyError("user")

    monkeypatch.setattr(People, "identify", breaks)
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, "Something broke in Maint", as_user="admin"))


async def test_a_database_that_fails_after_the_checks_costs_nobody_the_report(
    sandbox: Sandbox, workplace: Workplace, site: Site
) -> None:
    """A report whose results cannot be kept is shown all the same, and says so."""
    site.seconds = 0.4

    def lose_table(engine: Engine) -> None:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE check_results RENAME TO gone"))

    async with workplace.serving() as server:
        assert server._records is not None
        await sandbox.slash("admin", "ops", "/maint health app")
        for _ in range(200):
            if site.hits:  # what was measured before has been read by now
                break
            await asyncio.sleep(0.02)
        await asyncio.to_thread(lose_table, server._records.engine)
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"), 10)

    assert "these results are not kept" in card.shown
