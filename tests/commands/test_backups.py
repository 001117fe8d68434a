"""`/maint backups`: what there is, how proven, and what must stay; each sees what is theirs."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from commands import COMMANDS
from commands.backups import BackupsCommand
from commands.command import Request, Services
from commands.reply import Reply
from runbooks.access import Access
from runbooks.engine.catalogue import KeptCatalogue
from runbooks.engine.checks import CheckRunner, Limits
from runbooks.errors import UsageError
from runbooks.records.records import Records
from runbooks.scrub import Scrubber
from runbooks.targets import PostgresTarget
from tests.backups.making import make_backup
from tests.commands.world import NOW, OPS, Engine, at_terminal, grant, in_slack, read

DAY = timedelta(days=1)
TARGETS = {
    name: PostgresTarget.model_validate(
        {"type": "postgres", "name": name, "url": "postgresql://db/x", "environment": place}
    )
    for name, place in (("db", "production"), ("users", "staging"))
}


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    """Three backups of the shop, one of them proven, and one of the users."""
    records = await Records.open(f"sqlite:///{tmp_path}/maint.db")
    catalogue = KeptCatalogue(records, lambda: NOW - 3 * DAY)
    for number in range(3):
        await catalogue.add(make_backup(f"{number}00000000000", taken_at=NOW - (number + 1) * DAY))
    await catalogue.add(make_backup("900000000000", target="users", database="users", taken_at=NOW - 5 * DAY))
    await catalogue.proven("200000000000")
    yield records
    await records.close()


async def ask(records: Records, request: Request) -> Reply:
    """What the person reads."""
    services = Services(
        targets=TARGETS,
        runbooks={},
        checks=CheckRunner({}, records, Scrubber(), Limits()),
        commands=COMMANDS,
        runs=Engine(),
        alerts=None,  # type: ignore[arg-type]
        records=records,
        proof=None,  # type: ignore[arg-type]
        now=lambda: NOW,
    )
    words = tuple(request.text.split()[1:])
    return await BackupsCommand().answer(request, words, services, lambda _: None)


def somebody(text: str, environment: str) -> Request:
    """Who may see the backups of one environment."""
    grants = (grant(1, role="dev", commands=("backups",), environments=(environment,)),)
    return replace(in_slack("sam", text), access=Access(frozenset({"dev"}), grants, OPS))


async def test_each_database_says_how_old_and_how_proven(records: Records) -> None:
    """One paragraph for each, with the newest ones and their ids."""
    said = read(await ask(records, at_terminal("backups", "U1")))

    assert "db · shop  3 backups, newest 24 h ago, last proven restore 3 d ago" in said
    assert "users · users  1 backup, newest 5 d ago (late), never restored for a proof" in said
    assert "00000000  " in said


async def test_each_sees_what_is_granted(records: Records) -> None:
    """Backups of the other environment are not mentioned, and cannot be held."""
    said = read(await ask(records, somebody("backups", "staging")))
    assert "users" in said
    assert "shop" not in said

    with pytest.raises(UsageError, match="that you may see"):
        await ask(records, somebody("backups hold 000000000000 on because no", "staging"))


async def test_of_a_target_that_is_named_only_its_own_are_listed(records: Records) -> None:
    """By the name in maint.yaml."""
    found = (await ask(records, at_terminal("backups db", "U1"))).data
    assert {each["target"] for each in found["backups"]} == {"db"}  # type: ignore[index, attr-defined]


async def test_a_hold_is_kept_with_its_reason_and_its_event(records: Records) -> None:
    """On, on again, and off: each change is in the audit log, and nothing else is."""
    for text in ("on because the case of May", "on because the case of May", "off because it is over"):
        await ask(records, at_terminal(f"backups hold 100000000000 {text}", "U1"))
        if text.startswith("on"):
            held = await KeptCatalogue(records).get("100000000000")
            assert held is not None
            assert held.hold == "the case of May (alice)"
    released = await KeptCatalogue(records).get("100000000000")
    events = [found.event for found in await records.events()]

    assert released is not None
    assert released.hold == ""
    assert [event.action for event in events] == ["backup.released", "backup.held"]
    assert events[1].targets == ("db",)
    assert events[1].details["reason"] == "the case of May"


@pytest.mark.parametrize(
    "text", ["hold", "hold 100000000000", "hold 100000000000 perhaps", "hold nix on because x", "hold 1 on x"]
)
async def test_what_does_not_fit_is_said(records: Records, text: str) -> None:
    """And nothing is held."""
    with pytest.raises(UsageError):
        await ask(records, at_terminal(f"backups {text}", "U1"))
    with pytest.raises(UsageError, match="Say why"):
        await ask(records, at_terminal("backups hold 100000000000 on", "U1"))
    assert await records.events() == ()


async def test_no_backup_is_told_with_what_takes_one(tmp_path: Path) -> None:
    """Nothing is not an empty card."""
    empty = await Records.open(f"sqlite:///{tmp_path}/empty.db")
    try:
        assert "backup-daily takes one" in read(await ask(empty, at_terminal("backups", "U1")))
    finally:
        await empty.close()
