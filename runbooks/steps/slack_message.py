"""`slack.message`: says something in the thread of the run's card, or in a channel."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from runbooks.steps.program import Word
from runbooks.steps.step import Step
from runbooks.targets import TargetBase
from runbooks.visible import one_line

#: Characters of a message; more belongs into a file.
LONGEST_MESSAGE = 3000


class SlackMessage(Step):
    """A message as it is written: nothing in it is read as Slack's markup, so it pings nobody.

    The step is done when the message is in the outbox: a run does not wait for Slack.
    """

    kind: ClassVar[str] = "slack.message"
    title: ClassVar[str] = "Message"

    text: Annotated[Word, StringConstraints(min_length=1, max_length=LONGEST_MESSAGE)]
    channel: Annotated[str, Field(max_length=100)] = ""

    def plan_lines(self, targets: Mapping[str, TargetBase]) -> tuple[str, ...]:  # noqa: ARG002 - as all kinds
        """What is said, and where."""
        where = f"in #{self.channel.removeprefix('#')}" if self.channel else "in this run's thread"
        return (f"says {where}: {one_line(self.text, LONGEST_MESSAGE)}",)
