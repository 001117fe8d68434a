"""Commands typed in Slack: the card's life, private answers, refusals, and the audit log of them."""

import pytest

from bot.sandbox import Sandbox
from runbooks.records.audit import Filter
from tests.scenario.conftest import Site, Workplace, newest

REPORTED = "Morning health check: "


async def test_health_is_answered_with_one_card_that_fills_in(sandbox: Sandbox, workplace: Workplace) -> None:
    """`/maint health` posts one card at once and edits it to the final report; its thread has the details."""
    async with workplace.serving():
        delivery = await sandbox.slash("admin", "ops", "/maint health")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"))
        await sandbox.wait_for(lambda: sandbox.thread(card))

    assert delivery.acked
    assert "checking" in card.history[0].blocks[0]["text"]["text"]
    assert "2 fine" in card.shown
    assert card.text == "Morning health check: ok, 2 checks fine"
    assert [message for message in sandbox.messages("ops") if not message.thread_ts] == [card]
    assert "app response" in sandbox.thread(card)[0].shown


async def test_trouble_comes_first_with_value_and_threshold(
    sandbox: Sandbox, workplace: Workplace, site: Site
) -> None:
    """A service that answers 500 is critical, and the card says which and why before anything else."""
    site.status = 500
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}critical"))

    assert "app response" in card.shown
    assert "500" in card.shown


async def test_only_the_named_targets_are_checked(sandbox: Sandbox, workplace: Workplace, site: Site) -> None:
    """`/maint health preview` looks at that target and at no other."""
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health preview")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"))

    assert "preview" in card.shown
    assert site.hits == 1


@pytest.mark.parametrize(
    ("user", "line", "answer"),
    [
        ("admin", "/maint", "/maint health [target …]"),
        ("admin", "/maint help", "Check that everything is all right"),
        ("admin", "/maint help health", "worst first"),
        ("admin", "/maint targets", "http, production"),
        ("admin", "/maint whoami", "Roles: admin"),
        ("sre2", "/maint whoami", "Roles: sre"),
        ("dba", "/maint whoami", "Roles: dba"),
        ("nobody", "/maint whoami", "Roles: none"),
        ("nobody", "/maint help", "11 more commands need a grant"),
        ("admin", "/maint helth", "Did you mean /maint health?"),
        ("admin", "/maint health ap", "Did you mean app?"),
        ("admin", "/maint health —verbose", "no options"),
        ("admin", "/maint help helth", "Did you mean health?"),
        ("admin", "/maint whoami now", "takes no words"),
        ("admin", "/maint health <!channel> &amp;", "no target '<!channel>'"),
    ],
)
async def test_answers_are_private(
    sandbox: Sandbox, workplace: Workplace, user: str, line: str, answer: str
) -> None:
    """Help, whoami, targets and every misunderstanding are answered only to the person who asked."""
    async with workplace.serving():
        await sandbox.slash(user, "ops", line)
        message = await sandbox.wait_for(lambda: newest(sandbox, answer, as_user=user))

    assert message.ephemeral_to == sandbox.workspace.member(user).id
    assert not message.broadcast
    assert sandbox.messages("ops") == []


@pytest.mark.parametrize(
    ("user", "channel", "line", "answer"),
    [
        ("nobody", "ops", "/maint health", "have no grant for health"),
        ("guest", "ops", "/maint help", "does not answer guests"),
        ("stranger", "ops", "/maint help", "only members of its own workspace"),
        ("sre1", "alerts", "/maint health", "not from this channel. /maint whoami shows from which"),
        ("dba", "ops", "/maint health app", "may not use health on production"),
        ("sre1", "@sre1", "/maint health", "not from this channel"),
    ],
)
async def test_who_may_not_is_refused_in_private_and_recorded(
    sandbox: Sandbox, workplace: Workplace, site: Site, user: str, channel: str, line: str, answer: str
) -> None:
    """No grant, no action: a private reason, an audit event with who and what, and nothing was touched."""
    async with workplace.serving():
        await sandbox.slash(user, channel, line)
        message = await sandbox.wait_for(lambda: newest(sandbox, answer, channel, as_user=user))
        events = await workplace.audit(Filter(outcome="denied"))

    assert message.ephemeral_to == sandbox.workspace.member(user).id
    assert {event.event.actor_id for event in events} == {sandbox.workspace.member(user).id}
    (refused,) = [event.event for event in events if event.event.action != "person.refused"]
    assert refused.object == line.removeprefix("/maint ")
    assert site.hits == 0


async def test_hints_name_only_what_the_person_may_see(sandbox: Sandbox, workplace: Workplace) -> None:
    """Who may see staging alone does not learn from a typo what there is in production."""
    async with workplace.serving():
        await sandbox.slash("dba", "ops", "/maint health ap")
        message = await sandbox.wait_for(lambda: newest(sandbox, "no target", as_user="dba"))

    assert "preview" in message.shown
    assert "app" not in message.shown


async def test_only_granted_environments_are_checked(
    sandbox: Sandbox, workplace: Workplace, site: Site
) -> None:
    """Somebody who may see staging gets staging's checks, and is told that there is more."""
    async with workplace.serving():
        await sandbox.slash("dba", "ops", "/maint health")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"))

    assert "preview" in card.shown
    assert "app" not in card.shown
    assert "1 target that you may not see" in card.shown
    assert site.hits == 1


async def test_every_request_is_in_the_audit_log(sandbox: Sandbox, workplace: Workplace) -> None:
    """Who it was, the request and its end are events with one correlation id: who, what, where, how."""
    async with workplace.serving():
        await sandbox.slash("sre1", "ops", "/maint health app")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"))
        known, asked, done = [recorded.event for recorded in await workplace.audit()]

    assert (known.action, known.actor_name, known.outcome) == ("person.identified", "sre1", "ok")
    assert known.correlation == asked.correlation
    assert (asked.action, asked.outcome) == ("command.health", "accepted")
    assert (asked.actor_id, asked.actor_name) == ("U00000SRE1", "sre1")
    assert (asked.object, asked.channel, asked.channel_name) == ("health app", "C000000OPS", "ops")
    assert (done.action, done.outcome) == ("command.health.finished", "ok")
    assert done.correlation == asked.correlation
    assert asked.correlation[-8:] in card.shown


async def test_the_next_report_says_how_it_was(sandbox: Sandbox, workplace: Workplace, site: Site) -> None:
    """Results are kept, so that a later report has a 7-day median beside a value that is out of bounds."""
    async with workplace.serving():
        await sandbox.slash("admin", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"))
        site.seconds = 3.1
        await sandbox.slash("admin", "ops", "/maint health app")
        card = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}warning"), 15)

    assert "> 3,000 ms" in card.shown
    assert "7-day median" in card.shown


async def test_a_channel_without_the_bot_is_answered_in_private(
    sandbox: Sandbox, workplace: Workplace
) -> None:
    """Where Maint is no member the person gets the report, and is told how everybody would."""
    async with workplace.serving():
        await sandbox.slash("admin", "random", "/maint health")
        report = await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok", "random", as_user="admin"))

    assert "/invite" in report.shown
    assert sandbox.messages("random") == []


async def test_a_member_that_leaves_the_group_loses_the_role(
    sandbox: Sandbox, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is in a usergroup is asked again once the answer is two minutes old."""
    monkeypatch.setattr("bot.slack.people.GROUP_AGE", 0.0)
    async with workplace.serving():
        await sandbox.slash("sre2", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, f"{REPORTED}ok"))
        group = sandbox.workspace.usergroups["S000000SRE"]
        group.users.remove("U00000SRE2")
        await sandbox.slash("sre2", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, "have no grant", as_user="sre2"))


async def test_when_slack_does_not_say_who_is_in_a_group_nobody_is(
    sandbox: Sandbox, workplace: Workplace
) -> None:
    """A usergroup that cannot be read gives nobody its role."""
    sandbox.fault("usergroups.users.list", "server_error", times=20)
    async with workplace.serving():
        await sandbox.slash("sre1", "ops", "/maint health app")
        await sandbox.wait_for(lambda: newest(sandbox, "Slack does not say", as_user="sre1"), 20)


async def test_a_flood_is_throttled_and_recorded_once(sandbox: Sandbox, workplace: Workplace) -> None:
    """More commands than allowed are answered with when to try again; one event stands for the flood."""
    workplace.settings["limits"] = {"commands_per_minute": 6}
    async with workplace.serving():
        answers = [await sandbox.slash("admin", "ops", "/maint whoami") for _ in range(6)]
        await sandbox.wait_for(lambda: newest(sandbox, "You", as_user="admin"))

    throttled = [answer for answer in answers if "too many commands" in str(answer.answer)]
    assert len(throttled) == 4
    assert all(answer.acked for answer in answers)
    assert len(await workplace.audit(Filter(outcome="throttled"))) == 1
