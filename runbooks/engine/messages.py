"""Carries out `slack.message`: into the outbox, once."""

from runbooks.engine.at import At, Finished
from runbooks.steps.slack_message import SlackMessage
from runbooks.visible import one_line


async def say(at: At, model: SlackMessage) -> Finished:
    """Puts the message into the outbox. After a crash it is put there again under the same key, so once."""
    key = f"message:{at.row.attempt}"
    await at.post("message", {"text": model.text}, channel=model.channel.removeprefix("#"), key=key)
    return Finished(summary=one_line(model.text, 80))
