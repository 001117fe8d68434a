"""The audit log anchored, verified, held and shortened: through Slack, and by the real program."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from bot.sandbox import Message, Sandbox
from runbooks.proof.checkpoint import Checkpoint, find_checkpoints
from runbooks.proof.signing import SigningKey, make_key
from runbooks.records.audit import Filter
from runbooks.records.database import open_database
from runbooks.records.migrate import migrate
from tests.records.tampering import anchor, as_owner, fill
from tests.scenario.conftest import Workplace, newest
from tests.scenario.test_program import environment, maint

KEY_TEXT = make_key()
KEY = SigningKey(KEY_TEXT)


@pytest.fixture
def anchored(workplace: Workplace) -> Workplace:
    """A Maint that signs, and keeps its anchors in a file and in #ops."""
    workplace.environment["MAINT_AUDIT_KEY"] = KEY_TEXT
    workplace.settings["audit"] = {"anchors": {"channel": "ops", "file": "anchors.jsonl"}}
    return workplace


def database(workplace: Workplace) -> Engine:
    """The workplace's own, as its owner opens it."""
    engine = open_database(str(workplace.settings["database"]))
    migrate(engine)
    return engine


def posted(sandbox: Sandbox) -> list[Checkpoint]:
    """The anchors that stand in #ops."""
    return [found for message in sandbox.messages("ops") for found in find_checkpoints(message.shown)]


async def in_file(workplace: Workplace, count: int = 1) -> list[Checkpoint]:
    """Those in the file, once there are so many."""
    path = workplace.folder / "anchors.jsonl"
    for _ in range(200):
        there = list(find_checkpoints(path.read_text())) if path.exists() else []
        if len(there) >= count:
            break
        await asyncio.sleep(0.05)
    return there


async def test_a_day_has_one_anchor_in_the_channel_and_in_the_file(
    sandbox: Sandbox, anchored: Workplace
) -> None:
    """Whoever copies the message has it, signature and all; a second start makes no second one."""
    await asyncio.to_thread(fill_and_close, anchored)
    async with anchored.serving():
        await sandbox.wait_for(lambda: bool(posted(sandbox)), 20)
        assert await in_file(anchored) == posted(sandbox)
    async with anchored.serving():
        await sandbox.slash("admin", "ops", "/maint audit verify")
        await sandbox.wait_for(lambda: verified(sandbox, "nothing was changed"), 20)

    (only,) = posted(sandbox)
    assert only.fits_its_signature
    assert only.key == KEY.public
    assert only.seq >= 12  # what Maint itself recorded at its start too
    assert len(await in_file(anchored)) == 1
    assert [each.event.outcome for each in await anchored.audit(Filter(action="audit.verified"))] == ["ok"]


def verified(sandbox: Sandbox, words: str, user: str = "admin") -> Message | None:
    """The answer to a verification."""
    return newest(sandbox, words, as_user=user)


def fill_and_close(workplace: Workplace) -> None:
    """Twelve events."""
    engine = database(workplace)
    fill(engine)
    engine.dispose()


async def test_an_anchor_reaches_the_channel_when_an_answer_of_slack_was_lost(
    sandbox: Sandbox, anchored: Workplace
) -> None:
    """Once: it is looked for before it is posted again."""
    await asyncio.to_thread(fill_and_close, anchored)
    sandbox.fault("chat.postMessage", "drop_after")
    async with anchored.serving():
        await sandbox.wait_for(lambda: bool(posted(sandbox)), 30)

    assert len(posted(sandbox)) == 1


async def test_who_has_no_grant_for_the_audit_log_verifies_nothing(
    sandbox: Sandbox, anchored: Workplace
) -> None:
    """Refused, and recorded."""
    async with anchored.serving():
        await sandbox.slash("sre1", "ops", "/maint audit verify")
        await sandbox.wait_for(lambda: verified(sandbox, "no grant for audit", "sre1"), 20)

    assert await anchored.audit(Filter(action="audit.verified")) == []


async def test_files_of_the_machine_are_not_read_for_somebody_in_slack(
    sandbox: Sandbox, anchored: Workplace
) -> None:
    """Whatever they may."""
    async with anchored.serving():
        await sandbox.slash("admin", "ops", "/maint audit verify --anchors /etc/passwd")
        await sandbox.wait_for(lambda: verified(sandbox, "are read at the terminal"), 20)


@pytest.mark.timeout(240)  # many processes, one after the other
async def test_the_program_verifies_and_its_exit_code_says_how(anchored: Workplace) -> None:
    """0 when it fits; 2 when it does not, and which event; 3 when nobody can say."""
    anchored.write()
    env, folder = environment(anchored), anchored.folder
    await asyncio.to_thread(fill_and_close, anchored)

    made = await maint("audit", "anchor", "--json", env=env, cwd=folder)
    assert made.code == 0, made.err
    (folder / "saved.txt").write_text(f"copied from #ops:\n{json.loads(made.out)['line']}\nthanks")
    fine = await maint("audit", "verify", "--anchors", "saved.txt", env=env, cwd=folder)
    assert (fine.code, fine.err) == (0, "")
    assert "nothing was changed" in fine.out

    stranger = await maint("audit", "verify", env={**env, "MAINT_AUDIT_KEY": make_key()}, cwd=folder)
    assert stranger.code == 2  # the checkpoints in the database are signed with a key that is not trusted
    nobody = await maint(
        "audit", "verify", env={name: env[name] for name in env if name != "MAINT_AUDIT_KEY"}, cwd=folder
    )
    assert nobody.code == 3
    assert "does not name" in nobody.out

    await asyncio.to_thread(cut, anchored, 10)
    cut_off = await maint("audit", "verify", "--json", env=env, cwd=folder)
    assert cut_off.code == 2
    assert json.loads(cut_off.out)["misfits"][0]["how"] in ("cut off", "removed")
    missing = await maint("audit", "verify", "--anchors", "nowhere.txt", env=env, cwd=folder)
    assert missing.code == 3


def cut(workplace: Workplace, last: int) -> None:
    """Nothing is there that came later."""
    engine = database(workplace)
    with as_owner(engine) as connection:
        connection.execute(text(f"DELETE FROM audit_events WHERE seq > {last}"))
    engine.dispose()


@pytest.mark.timeout(240)  # many processes, one after the other
async def test_the_program_holds_shortens_and_forgets(anchored: Workplace) -> None:
    """Each is an event, and the log fits after all of it."""
    anchored.settings["audit"] = {"keep": "60d", "anchors": {"file": "anchors.jsonl"}}
    anchored.write()
    env, folder = environment(anchored), anchored.folder
    await asyncio.to_thread(grow_old, anchored)

    held = await maint("audit", "hold", "on", "because", "the case of May", env=env, cwd=folder)
    assert (held.code, "held" in held.out) == (0, True)
    refused = await maint("audit", "prune", env=env, cwd=folder)
    assert refused.code == 3
    assert "the case of May" in refused.out
    assert (await maint("audit", "hold", "off", "because", "over", env=env, cwd=folder)).code == 0
    pruned = await maint("audit", "prune", "--json", env=env, cwd=folder)
    assert json.loads(pruned.out) == {"removed": 12, "up_to": 12}
    gone = await maint("audit", "forget", "Ada", "because", "they asked", env=env, cwd=folder)
    assert (gone.code, "Ada" in gone.out) == (0, False)
    fine = await maint("audit", "verify", "--json", env=env, cwd=folder)
    assert (fine.code, json.loads(fine.out)["removed_up_to"]) == (0, 12)

    actions = [each.event.action for each in await anchored.audit()]
    assert {"audit.hold", "audit.pruned", "audit.forgotten", "audit.verified"} <= set(actions)


def grow_old(workplace: Workplace) -> None:
    """Twelve events of a year ago and their anchor, and twelve of today."""
    engine = database(workplace)
    now = datetime.now(UTC)
    fill(engine, begin=now - timedelta(days=365))
    anchor(engine, KEY, now - timedelta(days=364))
    fill(engine, begin=now - timedelta(minutes=20))
    engine.dispose()


async def test_a_key_is_made_once_and_only_its_public_half_is_shown(tmp_path: Path) -> None:
    """In a file that only its owner reads."""
    env = environment()
    first = await maint("audit", "key", "audit.key", env=env, cwd=tmp_path)
    again = await maint("audit", "key", "audit.key", env=env, cwd=tmp_path)

    private = (tmp_path / "audit.key").read_text().strip()
    assert (first.code, again.out) == (0, first.out)
    assert SigningKey(private).public in first.out
    assert private not in first.out + first.err
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600
