"""`access explain`: allowed or not, by which line, from where, and what is missing."""

from dataclasses import replace
from typing import Any

import pytest

from commands.command import Request
from runbooks.access import Access, Approval, Place
from tests.commands.world import OPS, Engine, World, at_terminal, grant, in_slack, read

GRANTS = (
    grant(10, role="dev", runbooks=("deploy",), channels=("ops",)),
    grant(11, role="dev", commands=("health",), targets=("preview",)),
    grant(12, role="dev", commands=("health",), targets=("app",), channels=("alerts",)),
    grant(13, role="dev", runbooks=("clean",), approval=Approval(by=("sre", "U0EVE"), people=2)),
    grant(14, role="dev", runbooks=("restart-service",)),
    grant(15, role="dev", runbooks=("restart-service",), targets=("web-1",), deny=True),
    grant(16, role="sre", runbooks=("*",), risk="low"),
    grant(17, role="sre", commands=("health", "access", "stop"), channels=("ops", "direct")),
    grant(18, role="dev", commands=("reject",), deny=True),
)


def asks(name: str, action: str, place: Place = OPS) -> Request:
    """What somebody types, with those grants."""
    typed = in_slack(name, f"access explain {action}", place=place)
    return replace(typed, access=Access(typed.access.roles, GRANTS, place))


async def explained(request: Request) -> tuple[str, dict[str, Any]]:
    reply = await World(Engine()).ask(request)
    assert isinstance(reply.data, dict), reply.fallback
    return read(reply), reply.data


@pytest.mark.parametrize(
    ("action", "allowed", "said"),
    [
        ("run deploy on app", True, ["maint.yaml:10 allows it", "From: #ops\n"]),
        ("health on preview", True, ["maint.yaml:11 allows it", "From: #ops, #alerts, any other channel"]),
        ("health app", False, ["From: #alerts", "maint.yaml:12)", "holds only from alerts"]),
        (
            "health web-1",
            False,
            ["not on web-1, only on preview", "The role sre would allow it: maint.yaml:17"],
        ),
        ("run clean", True, ["maint.yaml:13 allows it, after 2 of sre or U0EVE approved it"]),
        ("run restart-service on web-1", False, ["maint.yaml:15 denies it", "DENIED"]),
        ("run restart-service", False, ["maint.yaml:15 denies it"]),
        ("plan deploy", True, ["maint.yaml:10 allows it"]),
        ("targets", False, ["No line of maint.yaml allows it", "`- {role: ROLE, commands: [targets]}`"]),
        ("stop everything", False, ["The role sre would allow it: maint.yaml:17"]),
        ("break-glass on app", False, ["`- {role: ROLE, commands: [break-glass]}`"]),
        ("approve", True, ["it needs no grant; a gate or the run itself says who may"]),
        ("reject", False, ["maint.yaml:18 denies it"]),
        ("whoami", True, ["it needs no grant; it shows one's own"]),
        ("me run deploy on app", True, ["maint.yaml:10 allows it"]),
        ("USAM run deploy on app", True, ["maint.yaml:10 allows it"]),
    ],
)
async def test_it_says_which_line_and_from_where(action: str, allowed: bool, said: list[str]) -> None:
    """Of a word, of a runbook, of targets; what is missing is said with where it would come from."""
    text, data = await explained(asks("sam", action))

    assert data["allowed"] is allowed
    assert [words for words in said if words not in text] == [], text


async def test_it_says_what_typing_it_would_say() -> None:
    """The explanation is made of what decides."""
    cases = (("deploy", "version=1.2", True), ("clean", "", True), ("rollback", "", False))
    for runbook, given, allowed in cases:
        typed = replace(asks("sam", "x"), text=f"plan {runbook} {given}")
        reply = await World().ask(typed)
        _, data = await explained(asks("sam", f"plan {runbook} {given}"))

        assert (data["allowed"], "Plan" in reply.title) == (allowed, allowed), reply.fallback


async def test_of_somebody_else_only_who_was_granted_the_word_is_told() -> None:
    """What others may do is no business of everybody's."""
    refused = await World().ask(asks("sam", "<@UDANA|dana> run deploy"))
    text, data = await explained(asks("kim", "<@USAM|sam> run deploy on app"))

    assert refused.title == "Not allowed"
    assert "may ask about yourself" in read(refused)
    assert data["who"] == "sam"
    assert "sam may" in text


async def test_who_is_refused_by_maint_may_do_nothing() -> None:
    """A guest with a role stays a guest."""
    text, data = await explained(asks("kim", "<@UGUEST> health"))

    assert (data["allowed"], data["from"]) == (False, [])
    assert "UGUEST" in text or "somebody" in text
    assert "Maint does not answer guests" in text


async def test_at_the_terminal_a_person_of_slack_has_no_here() -> None:
    """The places are those of maint.yaml."""
    text, data = await explained(at_terminal("access explain USAM run deploy on app"))

    assert data == {
        "who": "sam", "action": "run deploy on app", "allowed": True, "by": "maint.yaml:2",
        "from": ["#ops"], "approval": "", "missing": [], "unknown": [],
    }  # fmt: skip
    assert "from some channel: maint.yaml:2 allows it" in text


async def test_the_owner_of_the_file_may_everything_at_the_terminal() -> None:
    """And is told why."""
    text, data = await explained(at_terminal("access explain run deploy on app"))

    assert (data["allowed"], data["from"]) == (True, ["the terminal"])
    assert "being the owner of maint.yaml allows it" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("access", "access explain [USER] ACTION"),
        ("access explain", "access explain [USER] ACTION"),
        ("access explain USAM", "access explain [USER] ACTION"),
        ("access expain run deploy", "access explain [USER] ACTION"),
        ("access explain @bob health", "Slack did not say who @bob is"),
        ("access explain run", "Name the runbook"),
        ("access explain run deplo", "Did you mean deploy?"),
        ("access explain helth", "Did you mean health?"),
        ("access explain health prevew", "Did you mean preview?"),
        ("access explain health web-2", "There is no target 'web-2'"),
    ],
)
async def test_what_does_not_fit_is_answered_with_how_it_is_written(line: str, said: str) -> None:
    """With the nearest word."""
    reply = await World().ask(replace(asks("sam", "x"), text=line))

    assert said in reply.fallback


async def test_no_name_is_told_to_who_may_not_see_it() -> None:
    """Hints are of what the person may use: a guess finds out no target, runbook or word."""
    for line in ("health webb-1", "run restart-servic", "unlok"):
        reply = await World().ask(replace(asks("nobody", "x"), text=f"access explain {line}"))

        assert "Did you mean" not in reply.fallback
        assert not {"web-1", "restart-service", "unlock"} & set(reply.fallback.split())


async def test_whoami_says_each_line() -> None:
    """Grants with where they are written, denials marked, and whose yes a run takes."""
    typed = replace(asks("sam", "x"), text="whoami")
    text = read(await World().ask(typed))

    assert "dev: runbook deploy; any environment; from ops  (maint.yaml:10)" in text
    assert "dev: runbook clean; any environment; any channel; after 2 of sre or U0EVE approved it" in text
    assert (
        "dev DENIED: runbook restart-service; any environment; only web-1; any channel  (maint.yaml:15)"
        in text
    )


async def test_help_shows_what_the_asker_may_do_and_nothing_else() -> None:
    """Neither in the list, nor by name, nor as a hint."""
    world = World()
    mine = replace(asks("sam", "x"), text="help")
    reply = await world.ask(mine)
    assert isinstance(reply.data, dict)
    denied = await world.ask(replace(mine, text="help unlock"))
    unknown = await world.ask(replace(mine, text="help unlok"))
    nearest = await world.ask(replace(mine, text="help helth"))

    assert "health" in reply.data["commands"]
    assert not {"unlock", "stop", "targets", "reject"} & set(reply.data["commands"])
    assert denied.title == "Not allowed"
    assert "unlock" not in unknown.fallback.replace("unlok", "")
    assert "Did you mean health?" in nearest.fallback
