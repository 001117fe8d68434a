"""What the engine is told when it asks whether a run still may: by kind of person, role and channel."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.authority import Granted
from bot.lookup import Lookup, NoToken
from bot.sandbox import Sandbox
from bot.settings import Loaded, load_settings
from runbooks.errors import Refused, Unsure
from runbooks.records.person import Person
from runbooks.records.records import Records
from runbooks.spec.library import SHIPPED
from tests.commands.world import run_row

SETTINGS = """\
slack: {channels: {ops: C0OPS, sec: C0SEC}}
runbooks: runbooks
roles:
  sre: {members: ['@sre']}
grants:
  - {role: sre, runbooks: [plain, homed], channels: [ops], environments: [staging]}
  - {role: sre, runbooks: [private], channels: [direct]}
terminal: [{users: [ada], runbooks: [plain]}]
targets:
  db: {type: host, environment: staging}
  vault: {type: host, environment: production}
"""
STEPS = "steps: [{id: a, manual: {instructions: x}}]\n"
SAM = Person(kind="slack", id="U00000SRE1", name="Sam", team="T00SANDBOX")


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Settings with three runbooks, one of which has a channel of its own."""
    (tmp_path / "runbooks").mkdir()
    for name, more in (("plain", ""), ("private", ""), ("homed", "channel: sec\n")):
        text = f"name: {name}\ntitle: T\n{more}{STEPS}"
        (tmp_path / "runbooks" / f"{name}.yaml").write_text(text)
    (tmp_path / "maint.yaml").write_text(SETTINGS)
    return load_settings(tmp_path / "maint.yaml", {}, library=SHIPPED)


def granted(loaded: Loaded, *roles: str) -> Granted:
    """The authority, where everybody has those roles."""

    async def roles_by_id(_user: str, _team: str) -> frozenset[str]:
        return frozenset(roles)

    authority = Granted(loaded)
    authority.connect(roles_by_id)
    return authority


def a_run(runbook: str = "plain", target: str = "db", channel: str = "C0OPS", **more: Any) -> Any:
    """A run that was asked for there, of a plan with that target."""
    plan = {"targets": [target], "steps": [{"id": "a", "kind": "command", "target": target}]}
    return run_row(runbook=runbook, plan=plan, channel=channel, channel_name="", **more)


async def test_what_is_granted_goes_on_and_what_is_not_does_not(loaded: Loaded) -> None:
    """By the role, the environment of every target, and the channel that it was asked for from."""
    sre = granted(loaded, "sre")

    assert await sre.refusal(a_run(), SAM) == ""
    assert "Sam may not run plain" in await sre.refusal(a_run(target="vault"), SAM)
    assert "Sam may not run plain" in await sre.refusal(a_run(channel="C0SEC"), SAM)
    assert "Sam may not run other" in await sre.refusal(a_run("other"), SAM)
    assert "Sam may not run plain" in await granted(loaded).refusal(a_run(), SAM)


async def test_a_run_whose_card_is_elsewhere_may_have_been_asked_for_anywhere(loaded: Loaded) -> None:
    """A runbook with a channel of its own does not say from where it was asked for; nor does a message."""
    sre = granted(loaded, "sre")

    assert await sre.refusal(a_run("homed", channel="C0SEC"), SAM) == ""
    assert await sre.refusal(a_run("private", channel="D0SAM"), SAM) == ""
    assert await sre.refusal(a_run("private", channel="C0OPS"), SAM) != ""


async def test_who_is_refused_by_slack_is_refused_here(loaded: Loaded) -> None:
    """A closed account, a guest: with Slack's reason. Who cannot be looked up is in doubt."""
    authority = Granted(loaded)
    with pytest.raises(Unsure, match="only just started"):
        await authority.refusal(a_run(), SAM)

    async def gone(_user: str, _team: str) -> frozenset[str]:
        raise Refused("Maint does not answer guests.")

    authority.connect(gone)
    assert await authority.refusal(a_run(), SAM) == (
        "Sam may have nothing done any more: Maint does not answer guests."
    )


async def test_the_clock_and_the_terminal_need_no_slack(loaded: Loaded) -> None:
    """Who wrote the schedule was asked when the file was; a kind that nobody knows is refused."""
    authority = Granted(loaded)

    assert await authority.refusal(a_run(), Person(kind="clock", id="clock", name="clock")) == ""
    assert await authority.refusal(a_run(), Person(kind="terminal", id="ada@here", name="ada")) == ""
    assert "eve may not run plain" in await authority.refusal(
        a_run(), Person(kind="terminal", id="eve@here", name="eve")
    )
    assert "what a robot may do" in await authority.refusal(a_run(), Person(kind="robot", id="r2", name="R2"))


@asynccontextmanager
async def lookup_of(loaded: Loaded, environ: Mapping[str, str], folder: Path) -> AsyncIterator[Lookup]:
    """A look-up of a process that is not connected to Slack, and its records."""
    records = await Records.open(f"sqlite:///{folder}/maint.db")
    lookup = Lookup(loaded.settings, environ)
    try:
        async with lookup.open(records.record):
            yield lookup
        events = await records.events()
        assert {each.event.action for each in events} <= {"person.identified", "person.refused"}
    finally:
        await records.close()


async def test_the_terminal_asks_slack_where_it_has_a_token(
    loaded: Loaded, sandbox: Sandbox, tmp_path: Path
) -> None:
    """For runs that were asked for in Slack and that it carries; connected once, remembered after."""
    authority = Granted(loaded)
    async with lookup_of(loaded, sandbox.environment(), tmp_path) as lookup:
        authority.connect(lookup.roles_by_id)
        answers = await asyncio.gather(*(authority.refusal(a_run(), SAM) for _ in range(3)))

    assert answers == ["", "", ""]
    assert [call.method for call in sandbox.calls].count("auth.test") == 1
    assert [call.method for call in sandbox.calls].count("users.info") == 1


async def test_without_a_token_it_waits_for_a_maint_that_serves(loaded: Loaded, tmp_path: Path) -> None:
    """That is no answer, and nobody is asked about it."""
    async with lookup_of(loaded, {}, tmp_path) as lookup:
        with pytest.raises(NoToken, match="SLACK_BOT_TOKEN") as doubt:
            await lookup.roles_by_id(SAM.id, SAM.team)

    assert doubt.value.patient


async def test_a_slack_that_is_away_is_tried_again(loaded: Loaded, sandbox: Sandbox, tmp_path: Path) -> None:
    """The first question fails and leaves nothing behind; a later one is answered."""
    sandbox.fault("auth.test", "server_error", times=4)
    async with lookup_of(loaded, sandbox.environment(), tmp_path) as lookup:
        with pytest.raises(Unsure, match="just now") as doubt:
            await lookup.roles_by_id(SAM.id, SAM.team)
        assert await lookup.roles_by_id(SAM.id, SAM.team) == {"sre"}

    assert not doubt.value.patient
