"""03: the same request has one effect, however often and however it comes. Also kept by
tests/records/test_deliveries.py, tests/scenario/test_delivery.py, tests/slack/test_actions.py and
tests/slack/test_forms.py."""

from typing import Any

from bot.sandbox.delivery import Delivery
from tests.scenario.floor import Floor

RUNBOOK = """
    name: touch
    title: Touch it
    steps:
      - id: touch
        command: {target: here, run: [sh, -c, 'echo touched >> effects'], directory: DIR, repeatable: true}
"""


def _the_same(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def _in_another_order(payload: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(payload.items()))


def _with_other_words(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "text": "run touch ", "response_url": payload["response_url"] + "?2"}


def _by_somebody_else(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "user_id": "U00000SRE1", "user_name": "sre1"}


HOSTILE = (_the_same, _in_another_order, _with_other_words, _by_somebody_else)


async def test_a_replayed_request_has_no_second_effect(floor: Floor) -> None:
    """Not at once, not after Maint was started anew, not with its fields changed around the same trigger."""
    floor.runbook("touch", RUNBOOK)
    floor.workplace.settings["grants"] += [{"role": "sre", "runbooks": ["touch"]}]  # type: ignore[operator]

    async def replay(first: Delivery) -> None:
        for change in HOSTILE:
            await floor.sandbox.deliverer.deliver("slash_commands", change(first.payload))

    async with floor.open():
        first = await floor.type("admin", "run touch")
        await floor.shows(await floor.card("Touch it"), "Done")
        await replay(first)
    async with floor.open():
        await replay(first)
        await floor.type("admin", "whoami")
        await floor.told("admin", "admin")
    duplicates = [each for each in await floor.audited("command.run") if each[1] == "duplicate"]

    assert floor.effects() == ["touched"]
    assert len(await floor.audited("run.started")) == 1
    assert len(duplicates) == 2 * len(HOSTILE)


async def test_a_request_without_an_id_of_its_own_is_known_by_all_of_it(floor: Floor) -> None:
    """Without `trigger_id` the whole body is what is remembered."""
    floor.runbook("touch", RUNBOOK)
    async with floor.open():
        workspace = floor.sandbox.workspace
        admin, ops = workspace.member("admin"), workspace.channel("ops")
        payload = floor.sandbox._payloads.slash(admin, ops, "/maint", "run touch")
        payload["trigger_id"] = ""
        for _ in range(3):
            await floor.sandbox.deliverer.deliver("slash_commands", payload)
        await floor.shows(await floor.card("Touch it"), "Done")

    assert floor.effects() == ["touched"]
