"""`runbooks`: what can be run, for people to read; and `help`, which shows the words that go with it."""

from dataclasses import replace

import pytest

from runbooks.access import Access, Grant
from tests.commands.world import OPS, World, at_terminal, in_slack, read


async def test_the_list_has_what_may_be_run() -> None:
    """Name, title, owner, purpose and parameters of each that is granted; and of no other."""
    grants = (Grant(role="dev", runbooks=("deploy",)),)
    access = Access(frozenset({"dev"}), grants, OPS)

    shown = read(await World().ask(replace(in_slack("sam", "runbooks"), access=access)))

    assert "clean" not in shown
    assert "deploy  Deploy the shop VERSION  (owner: platform)\n  A new version, in stages" in shown
    assert "version=…  environment=[…]  token=[…]  note=[…]" in shown


async def test_who_may_run_nothing_is_told_so() -> None:
    """The list is for those who have a grant of some runbook."""
    assert "no grant for any runbook" in read(await World().ask(in_slack("kim", "runbooks")))


async def test_a_runbook_is_shown_for_people_to_read() -> None:
    """Purpose, prerequisites, parameters, steps, success, trouble, owner: all that the file says."""
    shown = read(await World().ask(in_slack("sam", "runbooks deploy")))

    for said in (
        "A new version, in stages, and back if it misbehaves.",
        "Before you run it\n• The tests are green",
        r"• version: Version to roll out (string, like ^\d+\.\d+$)",
        "• environment: (choice, one of staging, production, production if not given)",
        "• token: (string, secret, may be left out)",
        "Steps\n• Approval  (gate)\n• Look at the shop  (http.probe on app)",
        "Rollback\n• Let it settle  (wait)",
        "It worked when\n• Errors stay below 1 %",
        "Trouble is told to\n• devops, who is paged, when status is critical: day and night",
        "owner platform  ·  deploy.yaml",
        "/maint plan deploy",
    ):
        assert said in shown


@pytest.mark.parametrize(
    ("typed", "said"),
    [("runbooks deplyo", "Did you mean deploy?"), ("runbooks a b", "takes one name")],
)
async def test_a_wrong_name_finds_the_right_one(typed: str, said: str) -> None:
    """The nearest runbook that the person may run."""
    assert said in read(await World().ask(in_slack("sam", typed)))


async def test_help_groups_the_words() -> None:
    """Looking, running, deciding, emergencies: each with the words that the person may use."""
    mine, all_ = await World().ask(in_slack("sam", "help")), await World().ask(at_terminal("help"))

    assert "Look\n/maint alerts [ALERT" in read(mine)
    assert "/maint runbooks [NAME]" in read(mine)
    assert "Decide\n/maint approve" in read(mine)
    assert "In an emergency" not in read(mine)
    assert "In an emergency\nmaint stop everything" in read(all_)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("run", "needs a grant of the runbook"),
        ("approve", "Everybody in the workspace may type it"),
        ("stop", "needs a grant in maint.yaml"),
    ],
)
async def test_help_says_who_may(word: str, said: str) -> None:
    """With the word's own kind of grant."""
    assert said in read(await World().ask(in_slack("dana", f"help {word}")))
