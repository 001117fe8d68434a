"""What the tests of actions do again and again."""

from collections.abc import Callable, Mapping
from typing import Any

from runbooks.steps import ACTIONS
from runbooks.steps.action import Call, Done
from runbooks.steps.reach import Connections
from runbooks.targets import HostTarget, TargetBase

HERE = HostTarget(name="here", type="host")


def a_call(
    connections: Connections, target: TargetBase, tell: Callable[[str], None] = lambda _: None
) -> Call:
    """What the engine hands to an action."""
    return Call(
        targets={target.name: target},
        connections=connections,
        key="run1:step:1",
        run="run1",
        requester="Ada",
        tell=tell,
    )


async def act(
    kind: str, target: TargetBase, fields: Mapping[str, Any], tell: Callable[[str], None] = lambda _: None
) -> Done:
    """Does what a step of that kind says, with connections of its own."""
    action = ACTIONS[kind].model_validate({"target": target.name, **fields})
    async with Connections() as connections:
        return await action.act(target, a_call(connections, target, tell))
