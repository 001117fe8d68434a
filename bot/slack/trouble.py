"""What can go wrong with a call to Slack, in words that say what to do about it."""

import aiohttp
from slack_sdk.errors import SlackApiError

from bot.slack.client import error_code, http_status
from runbooks.errors import SlackError

#: Slack's words for "the bot cannot post there": the answer goes privately to the person instead.
_NO_ENTRY = {
    "not_in_channel", "channel_not_found", "is_archived", "restricted_action", "cannot_reply_to_message",
    "restricted_action_read_only_channel", "restricted_action_thread_only_channel", "no_permission",
}  # fmt: skip
#: Slack's words for "that message is not there any more".
_GONE = {"message_not_found", "cant_update_message", "thread_not_found"}
#: Errors of Slack's own after which nobody knows whether the call took effect.
_DOUBTFUL = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
#: Seconds to be silent for, where Slack does not say.
_LONG_ENOUGH = 30.0

CONNECTION_ERRORS = (aiohttp.ClientError, TimeoutError, ConnectionError)


class NoEntry(SlackError):
    """The bot cannot post in that channel."""


class Gone(SlackError):
    """The card was deleted."""


class TooOften(SlackError):
    """Slack was asked too often: nothing was done, and nothing is to be asked for `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Slack was asked too often, and wants to be left alone for {seconds:g} s.")
        self.seconds = seconds


def is_doubtful(error: Exception) -> bool:
    """Whether the call may have taken effect although it failed."""
    if isinstance(error, SlackApiError):
        return http_status(error) >= 500 or error_code(error) in _DOUBTFUL
    return not isinstance(error, aiohttp.ClientConnectorError)


def as_slack_error(error: Exception) -> SlackError:
    """The same for people, and of a class that says what to do about it."""
    if isinstance(error, SlackApiError):
        code = error_code(error)
        if code == "ratelimited" or http_status(error) == 429:
            return TooOften(_retry_after(error))
        if code in _NO_ENTRY:
            return NoEntry("Maint is not in that channel.")
        if code in _GONE:
            return Gone("The card was deleted.")
        return SlackError(f"Slack refused: {code}" if code else f"Slack answered {http_status(error)}.")
    return SlackError(f"Slack could not be reached: {type(error).__name__}")


def _retry_after(error: SlackApiError) -> float:
    headers = getattr(error.response, "headers", None) or {}
    said = headers.get("Retry-After") or headers.get("retry-after")
    said = said[0] if isinstance(said, list) and said else said
    try:
        return max(1.0, float(said or ""))
    except ValueError:
        return _LONG_ENOUGH
