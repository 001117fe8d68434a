"""Trigger ids: the right to open a modal, for three seconds, once."""

import uuid
from dataclasses import dataclass

from bot.sandbox.errors import SlackError
from bot.sandbox.workspace import Workspace

TRIGGER_SECONDS = 3.0  # docs.slack.dev, "Handling user interaction"


@dataclass
class Trigger:
    """Whose click it was, and when it ends."""

    user: str
    ends: float
    used: bool = False


class Triggers:
    """The trigger ids that were given out."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._given: dict[str, Trigger] = {}

    def give(self, user: str) -> str:
        """A new trigger id."""
        trigger_id = f"{len(self._given) + 1}.{uuid.uuid4().int % 10**12}.{uuid.uuid4().hex}"
        self._given[trigger_id] = Trigger(user, self._workspace.now() + TRIGGER_SECONDS)
        return trigger_id

    def take(self, trigger_id: str) -> Trigger:
        """Uses a trigger id up. Raises SlackError."""
        trigger = self._given.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self._workspace.now() >= trigger.ends:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger
