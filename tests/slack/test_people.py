"""Who somebody is and which roles they have, asked of a Slack that changes, slows down and goes away."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from bot.slack import people as people_module
from bot.slack.people import People
from runbooks.access import Role
from runbooks.errors import RecordsError, Refused, Unsure
from runbooks.records.audit import Event

TEAM = "T00SANDBOX"
ROLES = {
    "sre": Role(members=("@sre",)),
    "dba": Role(members=("dba@example.com",)),
    "admin": Role(members=("U0000ADMIN",)),
}


@dataclass
class Asked:
    """People of the sandbox, and the audit events of their look-ups."""

    people: People
    sandbox: Sandbox
    events: list[Event] = field(default_factory=list)
    broken: bool = False

    def calls(self, method: str) -> int:
        """How often Slack was asked."""
        return sum(call.method == method for call in self.sandbox.calls)

    async def roles(self, user: str) -> frozenset[str]:
        """The roles of a member, looked up as for a request."""
        return await self.people.roles_by_id(self.sandbox.workspace.member(user).id, TEAM)


@pytest.fixture
async def asked(sandbox: Sandbox) -> Asked:
    """People, on the SDK's own client, without retries."""

    async def record(event: Event) -> None:
        if found.broken:
            raise RecordsError("the disk is full")
        found.events.append(event)

    web = AsyncWebClient(sandbox.bot_token, base_url=sandbox.api_url, retry_handlers=[], timeout=5)
    found = Asked(People(web, frozenset({TEAM}), ROLES, record), sandbox)
    return found


async def test_slack_is_asked_once_and_every_look_up_is_an_event(asked: Asked) -> None:
    """What is remembered is no look-up: one call and one event, however often somebody comes."""
    for _ in range(3):
        assert await asked.roles("sre1") == {"sre"}

    assert (asked.calls("users.info"), asked.calls("usergroups.users.list")) == (1, 1)
    (event,) = asked.events
    assert (event.action, event.outcome, event.actor_id) == ("person.identified", "ok", "U00000SRE1")
    assert (event.actor_name, event.team) == ("sre1", TEAM)


@pytest.mark.parametrize(
    ("user", "why"),
    [("guest", "guests"), ("stranger", "own workspace"), ("gone", "active"), ("maint", "active")],
)
async def test_who_is_refused_is_an_event_too(asked: Asked, user: str, why: str) -> None:
    """23: guests, strangers, closed accounts and bots, once per look-up, with the reason."""
    for _ in range(2):
        with pytest.raises(Refused, match=why):
            await asked.roles(user)

    (event,) = asked.events
    assert (event.action, event.outcome) == ("person.refused", "denied")
    assert why in event.details["reason"]


async def test_an_id_that_slack_does_not_know_is_nobody(asked: Asked) -> None:
    """That is an answer, and no doubt: nobody waits for a better one."""
    with pytest.raises(Refused, match="nobody of that id") as refusal:
        await asked.people.identify("U0FORGED00", TEAM)

    assert not isinstance(refusal.value, Unsure)
    assert [event.action for event in asked.events] == ["person.refused"]


async def test_nobody_is_known_whose_look_up_cannot_be_recorded(asked: Asked) -> None:
    """20: without the audit event the person is not identified; the next request asks again."""
    asked.broken = True
    with pytest.raises(Unsure, match="audit log cannot be written"):
        await asked.roles("sre1")
    asked.broken = False
    assert await asked.roles("sre1") == {"sre"}


Change = Callable[[Asked], None]


def _leaves(asked: Asked) -> None:
    asked.sandbox.workspace.usergroup("sre").users.remove("U00000SRE1")
    asked.people.forget_group("S000000SRE")


def _is_disabled(asked: Asked) -> None:
    asked.sandbox.workspace.usergroup("sre").is_disabled = True
    asked.people.forget_group("S000000SRE")


def _is_renamed(asked: Asked) -> None:
    asked.sandbox.workspace.usergroup("sre").handle = "reliability"
    asked.people.forget_group("S000000SRE")


@pytest.mark.parametrize("change", [_leaves, _is_disabled, _is_renamed])
async def test_what_slack_says_has_changed_is_asked_anew(asked: Asked, change: Change) -> None:
    """Who left, and whose group is no more or has another name, has the role no longer."""
    assert await asked.roles("sre1") == {"sre"}
    change(asked)
    assert await asked.roles("sre1") == frozenset()


async def test_an_answer_from_before_a_change_is_not_kept(asked: Asked) -> None:
    """A look-up that was under way when Slack told of the change is told, and the next one asks again."""
    asked.sandbox.fault("users.info", "late", seconds=0.3)
    first = asked.people.identify("U00000SRE1", TEAM)
    asking = asyncio.ensure_future(first)
    await asyncio.sleep(0.05)
    asked.people.forget_person("U00000SRE1")
    await asking
    await asked.people.identify("U00000SRE1", TEAM)

    assert asked.calls("users.info") == 2


async def test_an_old_answer_is_no_answer_when_slack_is_away(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """06: what is remembered holds while it is young; beyond its age nobody has the role."""
    assert await asked.roles("sre1") == {"sre"}
    asked.sandbox.fault("*", "server_error", times=50)
    assert await asked.roles("sre1") == {"sre"}

    monkeypatch.setattr(asked.people._groups, "_max_age", 0.0)
    with pytest.raises(Unsure, match="does not say who is in the usergroup"):
        await asked.roles("sre1")
    monkeypatch.setattr(asked.people._users, "_max_age", 0.0)
    with pytest.raises(Unsure, match="does not say who you are"):
        await asked.roles("sre1")


async def test_a_failed_look_up_does_not_drop_a_later_answer(asked: Asked) -> None:
    """What fails late takes away only itself."""
    remembered: people_module.Remembered[str, str]
    gates: list[asyncio.Future[str]] = []

    async def ask(_: str) -> str:
        gates.append(asyncio.get_running_loop().create_future())
        return await gates[-1]

    remembered = people_module.Remembered(ask, 60)
    first = asyncio.ensure_future(remembered.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    remembered.drop("a")
    second = asyncio.ensure_future(remembered.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gates[1].set_result("new")
    assert await second == "new"
    gates[0].set_exception(TimeoutError())
    with pytest.raises(TimeoutError):
        await first

    assert await remembered.get("a") == "new"
    assert len(gates) == 2
