"""The audit log in the sandbox and at the terminal: searched, exported, and put together for auditors."""

import csv
import hashlib
import io
import json
import re
import sqlite3
import stat
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox import Message
from bot.sandbox.model import Content
from runbooks.records import chain
from runbooks.records.audit import Event, Filter
from runbooks.records.records import Records
from tests.scenario.conftest import OPS, Workplace
from tests.scenario.floor import Floor
from tests.scenario.test_program import environment, maint

DEPLOY = """
    name: deploy
    title: Deploy it
    steps:
      - id: copy
        command: {target: here, run: [sh, -c, 'echo copied fifty files'], repeatable: true}
      - id: go
        title: Go ahead
        gate: {approvers: [sre]}
      - id: shift
        command: {target: here, run: [sh, -c, 'true'], directory: DIR, repeatable: true}
"""
COLUMNS = 20


@asynccontextmanager
async def opened(floor: Floor) -> AsyncIterator[None]:
    """Maint serves, with a runbook that has a gate."""
    floor.runbook("deploy", DEPLOY)
    async with floor.open():
        yield


async def deployed(floor: Floor) -> tuple[Message, str]:
    """A run of admin's that sre1 has approved; its card, and its id."""
    card = await floor.start("deploy", card="Deploy it")
    await floor.shows(card, "Waits for approval")
    await floor.press("sre1", card, "Approve")
    await floor.shows(card, "Done")
    return card, (await floor.view(card)).run.id


async def page(floor: Floor, user: str, line: str) -> Message:
    """What somebody is shown of the log."""
    await floor.type(user, f"audit {line}")
    return await floor.told(user, "Audit log")


async def test_the_log_is_searched_in_words_and_a_click_is_linked_to_its_message(any_floor: Floor) -> None:
    """Who approved, by a mention; with the message in which they pressed the button."""
    floor = any_floor
    async with opened(floor):
        card, run = await deployed(floor)
        sre = floor.sandbox.workspace.member("sre1").id
        found = await page(
            floor, "admin", f"by <@{sre}|sre1> action gate.* runbook deploy on here ok since 1h"
        )
        await floor.shows(found, "gate.approve", f"run {run[-8:]}", "message")
        assert "run.started" not in found.shown
    (approved,) = await floor.workplace.audit(Filter(action="gate.approve"))
    assert (
        approved.event.permalink
        == f"{floor.sandbox.workspace.base_url}archives/{OPS}/p{card.ts.replace('.', '')}"
    )
    assert (approved.event.runbook, approved.event.targets) == ("deploy", ("here",))


async def test_pages_lead_to_older_events_and_back_in_place(any_floor: Floor) -> None:
    """The buttons redraw the message that they stand in; nothing is left out and nothing comes twice."""
    floor = any_floor
    await happened(floor, 45, "drill.held")
    async with opened(floor):
        seen: list[str] = []
        found = await page(floor, "admin", "by me action drill.held")
        seen += numbers(found)
        while floor.offers(found, "audit-older"):
            before = found.shown
            await floor.press("admin", found, "Older")
            await floor.until(lambda was=before: found.shown != was, lambda: found.shown)  # type: ignore[misc]
            seen += numbers(found)
        last = found.shown
        await floor.press("admin", found, "Newer")
        await floor.until(lambda: found.shown != last, lambda: found.shown)
        assert numbers(found) == seen[20:40]
    everything = await floor.workplace.audit(Filter(action="drill.held"))
    assert seen == [str(each.seq) for each in reversed(everything)]
    assert len([m for m in floor.sandbox.messages("ops", "admin") if "Audit log" in m.shown]) == 1


async def happened(floor: Floor, count: int, action: str) -> None:
    """Admin did that so often."""
    records = await Records.open(str(floor.workplace.settings["database"]))
    try:
        for number in range(count):
            event = Event(
                actor_kind="slack", actor_id="U0000ADMIN", action=action, outcome="ok", object=f"{number}"
            )
            await records.record(event)
    finally:
        await records.close()


def numbers(message: Message) -> list[str]:
    """The places in the log of the events that a page shows, in its order."""
    return re.findall(r"no\. (\d+)", message.shown)


async def test_everybody_sees_only_what_is_their_business(any_floor: Floor) -> None:
    """Without the grant: what they did, and runs that they decide about; a run that is not theirs is none."""
    floor = any_floor
    grants = floor.workplace.settings["grants"]
    assert isinstance(grants, list)
    grants.append({"role": "dba", "commands": ["audit"], "environments": ["staging"]})
    async with opened(floor):
        _, run = await deployed(floor)
        await floor.type("admin", "health preview")
        await floor.card("Morning health check")
        theirs = await page(floor, "sre1", "")
        assert "run.started" in theirs.shown
        assert "command.health" not in theirs.shown
        stranger = await page(floor, "nobody", "")
        assert "run.started" not in stranger.shown
        assert "admin" not in stranger.shown
        await floor.type("nobody", f"audit run {run[-8:]}")
        await floor.told("nobody", "that you may see")
        await floor.type("nobody", "audit by nobody-at-all")
        await floor.until(lambda: len(pages(floor, "nobody")) == 2, lambda: str(pages(floor, "nobody")))
        assert "No event that you may see" in pages(floor, "nobody")[-1].shown
        staging = await page(floor, "dba", "by admin")
        assert "command.health" in staging.shown
        assert "run.started" not in staging.shown


def pages(floor: Floor, user: str) -> list[Message]:
    """The pages of the log that somebody was shown."""
    return [m for m in floor.sandbox.messages("ops", user) if "Audit log" in m.shown]


async def test_the_card_of_a_run_leads_to_its_events_for_whose_business_it_is(floor: Floor) -> None:
    """Its button shows them to the person who pressed it; the card stays what it is."""
    async with opened(floor):
        card, _ = await deployed(floor)
        shown = card.shown
        await floor.press("sre2", card, "Audit")
        found = await floor.told("sre2", "Audit log")
        assert "run.started" in found.shown
        assert "step.finished" in found.shown or "step.ok" in found.shown or "copy" in found.shown
        await floor.press("nobody", card, "Audit")
        await floor.told("nobody", "that you may see")
        assert card.shown == shown


async def test_a_forged_page_shows_nothing_that_the_words_would_not(floor: Floor) -> None:
    """The value of a button is read as words are, and rights are looked up at the click."""
    async with opened(floor):
        await deployed(floor)
        await floor.type("nobody", "whoami")
        await floor.told("nobody", "You")
        mine = await page(floor, "nobody", "")
        assert not floor.offers(mine, "audit-older")
        forge(floor, mine, "audit-older", "before 99999 by admin")
        await floor.press("nobody", mine, "Older")
        await floor.until(lambda: "No event that you may see" in mine.shown, lambda: mine.shown)
        forge(floor, mine, "audit-older", "before '; DROP TABLE audit_events --")
        await floor.press("nobody", mine, "Older")
        await floor.told("nobody", "takes the number")


def forge(floor: Floor, message: Message, choice: str, value: str) -> None:
    """Puts a button into a message that nobody drew there."""
    button = {
        "type": "button", "action_id": f"maint:{choice}", "value": value,
        "text": {"type": "plain_text", "text": "Older", "emoji": False},
    }  # fmt: skip
    actions = {"type": "actions", "block_id": "forged", "elements": [button]}
    floor.sandbox.workspace.edit(message, Content("forged", (actions,)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("denyed", "Did you mean denied?"),
        ("by", "What follows by?"),
        ("by nobody-at-all", "Nobody called 'nobody-at-all'"),
        ("by sre9", "Did you mean"),
        ("--csv", "are for the terminal"),
        ("export --to x", "at the terminal"),
        ("run zzzzzzzz", "There is no run"),
    ],
)
async def test_words_that_do_not_fit_are_answered_with_the_way_out(
    floor: Floor, line: str, said: str
) -> None:
    """And stand in the log as such."""
    async with opened(floor):
        await floor.type("sre1", "whoami")
        await floor.told("sre1", "You")
        await floor.type("admin", f"audit {line}")
        await floor.told("admin", said)
    assert ("admin", "invalid") in await floor.audited("command.audit.finished")


async def test_an_export_needs_the_grant_for_everything(floor: Floor) -> None:
    """Who may see a part of the log takes nothing out of it."""
    async with opened(floor):
        await floor.type("nobody", "audit export --to x")
        await floor.told("nobody", "no grant for audit")
    assert ("nobody", "denied") in await floor.audited("command.audit.finished")


async def test_evidence_goes_to_the_person_alone(floor: Floor) -> None:
    """As a file in the direct message with Maint; in a channel it says where to ask for it."""
    floor.workplace.settings["grants"].append(  # type: ignore[attr-defined]
        {"role": "admin", "commands": ["audit"], "runbooks": ["*"], "channels": ["direct"]}
    )
    async with opened(floor):
        _, run = await deployed(floor)
        await floor.type("admin", f"audit evidence {run[-8:]}")
        await floor.told("admin", "direct message with Maint")
        assert not floor.sandbox.files
        direct = floor.sandbox.workspace.direct(floor.sandbox.workspace.member("admin").id).id
        await floor.type("admin", f"audit evidence {run[-8:]}", direct)
        await floor.until(lambda: floor.sandbox.files, lambda: "no file")
    (file,) = floor.sandbox.files
    assert file.channels == [direct]
    assert zipfile.ZipFile(io.BytesIO(file.content or b"")).testzip() is None
    assert await floor.audited("audit.evidence") == [("admin", "ok")]


async def run_maint(floor: Floor, *words: str) -> tuple[int, str, str]:
    """`maint …` as a process."""
    workplace = floor.workplace
    ended = await maint(
        "--config", str(workplace.path), *words, env=environment(workplace), cwd=workplace.folder
    )
    return ended.code, ended.out, ended.err


async def test_the_terminal_prints_pages_for_programs(any_floor: Floor) -> None:
    """--json and --csv have the columns of the log; --limit says how many; a formula is none."""
    floor = any_floor
    async with opened(floor):
        await deployed(floor)
        await floor.type("admin", '+cmd|"/C calc"')
        await floor.told("admin", "There is no command")
    code, out, _ = await run_maint(floor, "audit", "by", "admin", "--limit", "3", "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found["events"]) == 3
    assert len(found["events"][0]) == COLUMNS
    assert found["older"].startswith("by admin before ")
    code, out, _ = await run_maint(floor, "audit", "invalid", "action", "command.unknown", "--csv")
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert (code, len(rows), len(rows[0])) == (0, 2, COLUMNS)
    assert dict(zip(rows[0], rows[1], strict=True))["object"].startswith("'+cmd|")
    code, out, _ = await run_maint(floor, "audit", "--limit", "0")
    assert code == 3
    assert "from 1 to 499" in out


async def test_an_export_can_be_checked_without_us(any_floor: Floor) -> None:
    """The manifest counts and sums up what the file has; the chain of hashes is whole; it is an event."""
    floor = any_floor
    async with opened(floor):
        await deployed(floor)
    code, out, err = await run_maint(floor, "audit", "export", "--to", "all", "--since", "1h")
    assert code == 0, out + err
    folder = floor.folder / "all"
    manifest = json.loads((folder / "manifest.json").read_text())
    content = (folder / "events.jsonl").read_bytes()
    events = [json.loads(line) for line in content.decode().split("\n")[:-1]]
    assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "manifest.json"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["events"] == len(events)
    assert (manifest["first"]["seq"], manifest["last"]["hash"]) == (events[0]["seq"], events[-1]["hash"])
    for before, event in zip([None, *events], events, strict=False):
        assert hash_of(event) == event["hash"]
        assert before is None or event["prev"] == before["hash"]
    (exported,) = await floor.workplace.audit(Filter(action="audit.exported"))
    assert exported.event.details["sha256"] == manifest["sha256"]
    code, out, _ = await run_maint(floor, "audit", "export", "--to", "all")
    assert (code, "is not empty" in out) == (3, True)


def hash_of(event: dict[str, Any]) -> str:
    """As docs/audit.md says."""
    details = json.dumps(event["details"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return chain.hash_of({**event, "details": details})


async def test_an_export_that_cannot_be_recorded_is_not_there(floor: Floor) -> None:
    """Its event is written before its files get their names."""
    async with opened(floor):
        await deployed(floor)
    refuse(floor.workplace, "audit.exported")
    code, _, _ = await run_maint(floor, "audit", "export", "--to", "all")
    assert code != 0
    assert list((floor.folder / "all").iterdir()) == []


def refuse(workplace: Workplace, action: str) -> None:
    """From now on the database takes no event of that action."""
    path = str(workplace.settings["database"]).removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON audit_events WHEN NEW.action = '{action}' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )


async def test_evidence_says_who_approved_what_and_that_the_log_is_whole(any_floor: Floor) -> None:
    """One zip with everything about a run; every file's sha256; the run's own events, each with its hash."""
    floor = any_floor
    async with opened(floor):
        card, run = await deployed(floor)
    code, out, err = await run_maint(floor, "audit", "evidence", run[-8:], "--to", "change.zip")
    assert code == 0, out + err
    pack = unpacked(floor.folder / "change.zip")
    sums = json.loads(pack["manifest.json"])["sha256"]
    assert sums == {
        name: hashlib.sha256(content.encode()).hexdigest()
        for name, content in pack.items()
        if name not in ("manifest.json", "README.txt")
    }
    assert "approve by sre1" in pack["README.txt"]
    assert "of the plan of this run" in pack["README.txt"]
    (gate,) = json.loads(pack["approvals.json"])
    assert gate["votes"][0]["name"] == "sre1"
    assert gate["digest"] == json.loads(pack["plan.json"])["digest"]
    assert "title: Deploy it" in pack["runbook.yaml"]
    outputs = {step["path"]: step for step in json.loads(pack["outputs.json"])}
    assert "copied fifty files" in outputs["copy"]["printed"]
    links = [message["permalink"] for message in json.loads(pack["messages.json"])]
    assert f"{floor.sandbox.workspace.base_url}archives/{OPS}/p{card.ts.replace('.', '')}" in links
    events = [json.loads(line) for line in pack["events.jsonl"].split("\n")[:-1]]
    assert {event["correlation"] for event in events} == {run}
    assert all(hash_of(event) == event["hash"] for event in events)
    verdict = json.loads(pack["verification.json"])
    assert (verdict["fits"], verdict["first"]) == (True, events[0]["seq"])
    assert verdict["anchored"] is False


def unpacked(path: Path) -> dict[str, str]:
    """The files of a pack by their names."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_evidence_says_when_the_log_was_touched(floor: Floor) -> None:
    """At which event; with the exit code of something critical."""
    async with opened(floor):
        _, run = await deployed(floor)
    started = (await floor.workplace.audit(Filter(action="step.finished"))) or (
        await floor.workplace.audit(Filter(correlation=run))
    )
    seq = started[-1].seq
    with sqlite3.connect(floor.folder / "maint.db") as connection:
        connection.execute("DROP TRIGGER audit_events_no_update")
        connection.execute("UPDATE audit_events SET outcome = 'late' WHERE seq = ?", (seq,))
    code, out, _ = await run_maint(floor, "audit", "evidence", run[-8:])
    assert code == 2
    assert f"event {seq} was changed" in out
    pack = unpacked(floor.folder / f"evidence-{run[-8:]}.zip")
    assert "does NOT fit" in pack["README.txt"]
