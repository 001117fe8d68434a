"""Gates, in the sandbox: who may approve, what becomes of every other click, and what if nobody does."""

import pytest

from tests.scenario.floor import Floor

DEPLOY = """
    name: deploy
    title: Deploy {{ params.version }}
    params:
      version: {type: string, pattern: '\\d+\\.\\d+\\.\\d+', prompt: Which version}
    steps:
      - id: go
        title: Go ahead
        gate: {approvers: [sre], quorum: 1, expires: 4h, remind: [30m, 1h], then: dba}
      - id: shift
        command: {target: here, run: [sh, -c, 'echo shifted >> effects'], directory: DIR, repeatable: true}
"""


async def test_a_member_of_the_role_approves_and_the_run_goes_on(floor: Floor) -> None:
    """The card asks, names who may and who may not; a click of one of them lets the run pass."""
    floor.runbook("deploy", DEPLOY)
    async with floor.open():
        card = await floor.start("deploy version=1.2.3", card="Deploy 1.2.3")
        await floor.shows(card, "Waits for approval", "one of them, not who asked for it")
        assert floor.effects() == []
        await floor.press("sre1", card, "Approve")
        await floor.shows(card, "Done", "approved by sre1")
        assert floor.effects() == ["shifted"]
        with pytest.raises(LookupError):
            await floor.press("sre1", card, "Approve")
    assert await floor.audited("gate.approve") == [("sre1", "ok")]
