"""How Slack says no."""

from typing import Any


class SlackError(Exception):
    """A refusal: Slack's error code, and what else stands in the answer beside `ok` and `error`."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra

    @property
    def answer(self) -> dict[str, Any]:
        """The body that Slack would send."""
        return {"ok": False, "error": self.code, **self.extra}


def invalid(code: str, *messages: str) -> SlackError:
    """A refusal that explains itself in `response_metadata.messages`."""
    return SlackError(code, response_metadata={"messages": [f"[ERROR] {message}" for message in messages]})
