"""Grants in the sandbox: one that denies, one that asks for a second person, and why."""

from tests.scenario.floor import Floor

PLAIN = """
    name: vacuum
    title: Vacuum {{ params.host }}
    params:
      host: {type: target, of: host, prompt: Which machine}
    steps:
      - id: shift
        title: Vacuum it
        command: {target: '{{ params.host }}', run: [sh, -c, 'echo vacuumed >> effects'], directory: DIR,
                  repeatable: true}
"""
#: A runbook whose first step has the name of the gate that is put before it.
NAMED_ALIKE = """
    name: vacuum
    title: Vacuum {{ params.host }}
    params:
      host: {type: target, of: host, prompt: Which machine}
    steps:
      - {id: approval, title: Old approval, wait: {for: 1ms}}
      - id: shift
        command: {target: '{{ params.host }}', run: [sh, -c, 'echo vacuumed >> effects'], directory: DIR,
                  repeatable: true}
"""


def granted(floor: Floor, *grants: dict[str, object], text: str = PLAIN) -> None:
    """A runbook, a second machine, and grants for it beside those of the workplace."""
    floor.runbook("vacuum", text)
    floor.workplace.settings["targets"]["there"] = {"type": "host"}  # type: ignore[index]
    floor.workplace.settings["grants"] += list(grants)  # type: ignore[operator]


def line_of(floor: Floor, words: str) -> str:
    """The place of the grant that has those words: `maint.yaml:12`."""
    lines = floor.workplace.path.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if words in line)
    while not lines[at].startswith("- "):
        at -= 1
    return f"maint.yaml:{at + 1}"


async def test_a_denied_target_is_refused_privately_and_audited(any_floor: Floor) -> None:
    """Though the admin's grant allows every runbook; on the other machine it is carried out."""
    floor = any_floor
    granted(floor, {"role": "admin", "runbooks": ["vacuum"], "targets": ["there"], "deny": True})
    async with floor.open():
        await floor.type("admin", "run vacuum host=there")
        await floor.told("admin", f"{line_of(floor, 'deny: true')} denies it")
        card = await floor.start("vacuum host=here", card="Vacuum here")
        await floor.shows(card, "Done")
    assert floor.effects() == ["vacuumed"]
    assert ("admin", "denied") in await floor.audited("command.run.finished")


async def test_a_run_under_an_approval_begins_with_somebody_elses_yes(any_floor: Floor) -> None:
    """A gate that is in no file: on the card, in the plan that is approved, and kept over a restart."""
    floor = any_floor
    granted(
        floor, {"role": "sre", "runbooks": ["vacuum"], "approval": {"by": ["sre", "dba"]}}, text=NAMED_ALIKE
    )
    async with floor.open():
        card = await floor.start("vacuum host=here", user="sre1", card="Vacuum here")
        await floor.shows(card, "Waits for approval", "Approval of the run")
        await floor.press("sre1", card, "Approve")
        await floor.told("sre1", "You asked for this run: somebody else has to approve it")
        run = (await floor.view(card)).run
    assert run.plan["approval"] == {
        "by": ["sre", "dba"], "people": 1, "expires": "4h", "grant": line_of(floor, "approval:"),
    }  # fmt: skip
    assert floor.effects() == []
    async with floor.open():
        await floor.press("dba", card, "Approve")
        await floor.shows(card, "Done", "approved by dba")
        assert list(await floor.states(card)) == ["approval-2", "approval", "shift"]
    assert floor.effects() == ["vacuumed"]
    assert await floor.audited("gate.approve") == [("sre1", "denied"), ("dba", "ok")]


async def test_who_has_a_grant_without_an_approval_waits_for_nobody(floor: Floor) -> None:
    """The admin's grant asks for nobody."""
    granted(floor, {"role": "admin", "runbooks": ["vacuum"], "approval": {"by": ["sre"]}})
    async with floor.open():
        card = await floor.start("vacuum host=here", card="Vacuum here")
        await floor.shows(card, "Done")
        assert list(await floor.states(card)) == ["shift"]


async def test_an_approval_of_a_plan_that_has_changed_is_void(floor: Floor) -> None:
    """The gate that a grant asks for is bound to the plan as every gate is."""
    granted(floor, {"role": "sre", "runbooks": ["vacuum"], "approval": {"by": ["sre", "dba"], "people": 2}})
    async with floor.open():
        card = await floor.start("vacuum host=here", user="sre1", card="Vacuum here")
        await floor.shows(card, "2 of them")
        await floor.press("sre2", card, "Approve")
        await floor.shows(card, "1 of 2 approved")
    floor.workplace.settings["targets"]["here"]["ssh"] = {"host": "127.0.0.1", "port": 1}  # type: ignore[index]
    async with floor.open():
        await floor.press("dba", card, "Approve")
        await floor.shows(card, "0 of 2 approved", "The plan has changed since it was approved")
    assert floor.effects() == []


async def test_a_run_that_is_undone_asks_for_no_approval_again(floor: Floor) -> None:
    """The way back must work: the gate was about going there."""
    text = PLAIN + "        rollback: {command: {target: here, run: [sh, -c, 'echo undone >> effects'],\n"
    text += "                             directory: DIR, repeatable: true}}\n"
    granted(floor, {"role": "sre", "runbooks": ["vacuum"], "approval": {"by": ["dba"]}}, text=text)
    async with floor.open():
        card = await floor.start("vacuum host=here", user="sre1", card="Vacuum here")
        await floor.press("dba", card, "Approve") if await floor.shows(card, "Waits for approval") else None
        await floor.shows(card, "Done")
        run = (await floor.view(card)).run.id[-8:]
        await floor.type("sre1", f'rollback {run} "not needed"')
        back = await floor.card("Rollback: Vacuum here")
        await floor.shows(back, "Rolled back")
    assert floor.effects() == ["vacuumed", "undone"]


async def test_explain_says_of_a_colleague_what_slack_says_of_them(floor: Floor) -> None:
    """Their usergroups at this moment, by the line of the file; who may not ask is told so."""
    granted(floor, {"role": "sre", "runbooks": ["vacuum"], "channels": ["ops"], "approval": {"by": ["dba"]}})
    async with floor.open():
        sre1 = floor.sandbox.workspace.member("sre1").id
        await floor.type("admin", f"access explain <@{sre1}|sre1> run vacuum on here")
        line = line_of(floor, "approval:")
        await floor.told("admin", f"may run vacuum on here here: {line} allows it, after 1 of dba")
        await floor.told("admin", "#ops\nsre: runbook vacuum")
        group = next(each for each in floor.sandbox.workspace.usergroups.values() if each.handle == "sre")
        group.users.remove(sre1)
    async with floor.open():
        await floor.type("admin", f"access explain <@{sre1}|sre1> run vacuum on here")
        await floor.told("admin", "may not run vacuum on here here: no grant of theirs is about it")
        await floor.type("sre2", f"access explain <@{sre1}|sre1> run vacuum")
        await floor.told("sre2", "may ask about yourself")
        guest = floor.sandbox.workspace.member("guest").id
        await floor.type("admin", f"access explain <@{guest}> run vacuum")
        await floor.told("admin", "Maint does not answer guests")
